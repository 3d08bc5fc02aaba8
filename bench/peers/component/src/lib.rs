//! A page of 8 KiB, as anybody would write it with the standard library and the bindings that WASI's own project has for Rust:
//! std's allocator, std's start, a stack as large as the linker makes it.

use std::fmt::Write as _;
use std::io::Write;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

const LINES: usize = 128;
const LINE_BYTES: usize = 64;

wasip2::http::proxy::export!(Page);

struct Page;

impl Guest for Page {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        for (name, value) in [("content-type", "text/plain; charset=utf-8"), ("content-length", "8192")] {
            headers.append(name, value.as_bytes()).expect("a header that is allowed");
        }
        let response = OutgoingResponse::new(headers);
        let body = response.body().expect("the first body");
        ResponseOutparam::set(out, Ok(response));
        let mut stream = body.write().expect("the first stream");
        // A client that is gone takes nothing; there is nobody to tell.
        let _ = stream.write_all(page().as_bytes()).and_then(|()| Write::flush(&mut stream));
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Written line by line, so that there is something to do.
fn page() -> String {
    let mut text = String::with_capacity(LINES * LINE_BYTES);
    for line in 0..LINES {
        let _ = writeln!(text, "{line:5}  nearby is where this line was written, for this very visitor");
    }
    text.truncate(LINES * LINE_BYTES);
    text
}

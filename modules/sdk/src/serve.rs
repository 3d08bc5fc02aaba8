//! One request from the host's call to the last byte: what `handler!` runs.

use http::HeaderMap;

use crate::bindings::wasi::http::types as wasi;
use crate::body::{BodyWriter, Disconnected};
use crate::response::Body;
use crate::{Request, Response, Result, log, panics};

/// Answers one request by `respond`. An error becomes a problem document or a page, by what the client accepts.
pub fn serve(respond: fn(Request) -> Result, request: wasi::IncomingRequest, out: wasi::ResponseOutparam) {
    panics::to_log();
    let request = Request::receive(request);
    let by_program = request.prefers_json();
    let response = respond(request).unwrap_or_else(|error| {
        error.report();
        if by_program { error.to_problem() } else { error.to_page() }
    });
    send(response, out);
}

/// Hands a response over to the host.
pub fn send(response: Response, out: wasi::ResponseOutparam) {
    let head = wasi::OutgoingResponse::new(fields(&response.headers));
    if head.set_status_code(response.status.as_u16()).is_err() {
        log(format_args!("the host takes no status {}", response.status));
    }
    let Ok(body) = head.body() else { return log("the host gave no body to write to") };
    wasi::ResponseOutparam::set(out, Ok(head));

    // A visitor who has left is no error: there is nothing to report, and no one to report it to.
    if write(&body, response.body).is_ok() && wasi::OutgoingBody::finish(body, None).is_err() {
        log("the host does not take the body: its length is not what the headers say");
    }
}

fn write(body: &wasi::OutgoingBody, content: Body) -> Result<(), Disconnected> {
    match content {
        Body::Bytes(bytes) if bytes.is_empty() => Ok(()),
        Body::Bytes(bytes) => {
            let mut writer = BodyWriter::new(body.write().map_err(|()| Disconnected)?);
            writer.write(&bytes)?;
            writer.finish()
        }
        Body::Stream(produce) => {
            let mut writer = BodyWriter::new(body.write().map_err(|()| Disconnected)?);
            produce(&mut writer)?;
            writer.finish()
        }
    }
}

/// All headers in one call. Those the host refuses are left out, rather than the whole answer.
fn fields(headers: &HeaderMap) -> wasi::Fields {
    let entries: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_owned())).collect();
    wasi::Fields::from_list(&entries).unwrap_or_else(|_| {
        let fields = wasi::Fields::new();
        for (name, value) in &entries {
            if fields.append(name, value).is_err() {
                log(format_args!("the host takes no header {name}"));
            }
        }
        fields
    })
}

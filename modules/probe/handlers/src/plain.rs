//! A page that needs no data: what making it takes is the instance and the way there and back.

use std::fmt::Write;

use nearside_sdk::{Request, Response, Result};

const LINES: usize = 128;

/// 8 KiB, written line by line.
pub(crate) fn page(_: &Request) -> Result {
    let mut text = String::with_capacity(LINES * 64);
    for line in 0..LINES {
        let _ = writeln!(text, "{line:5}  nearby is where this line was written, for this very visitor");
    }
    text.truncate(LINES * 64);
    Ok(Response::text(text))
}

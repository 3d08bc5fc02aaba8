//! Server-sent events.

use std::time::Duration;

use nearside_sdk::{Request, Response, Result};

/// One event at once, and another one `ms` milliseconds later.
pub(crate) fn two(request: &Request) -> Result {
    let ms = request.query().read("ms").unwrap_or(0);
    Ok(Response::stream("text/event-stream", move |body| {
        body.write(b"data: first\n\n")?;
        body.flush()?;
        std::thread::sleep(Duration::from_millis(ms));
        body.write(b"data: second\n\n")
    }))
}

//! A page that takes a while and differs each time it is made: equal answers are of one render.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nearside_sdk::http::{HeaderValue, header::CACHE_CONTROL};
use nearside_sdk::{Error, Request, Response, Result};

/// Waits `ms` milliseconds and tells the time, which may be kept if there is a `keep`.
pub(crate) fn wait(request: &Request) -> Result {
    let query = request.query();
    std::thread::sleep(Duration::from_millis(query.read("ms").unwrap_or(0)));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| Error::internal(error.to_string()))?;
    let response = Response::text(format!("{}.{:09}\n", now.as_secs(), now.subsec_nanos()));
    Ok(match query.get("keep") {
        Some(_) => response.with_header(CACHE_CONTROL, HeaderValue::from_static("max-age=600")),
        None => response,
    })
}

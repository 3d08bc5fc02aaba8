//! What an instance knows of those who came before.

use core::sync::atomic::{AtomicU32, Ordering};

use nearside_sdk::http::{HeaderValue, header::CACHE_CONTROL};
use nearside_sdk::{Request, Response, Result};

use crate::misbehave;

static VISITS: AtomicU32 = AtomicU32::new(0);

/// Tells how many this instance has served, or does what it is told.
pub(crate) fn visits(request: &Request) -> Result {
    let visits = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
    println!("visit {visits}");
    let response = Response::text(format!("{visits}\n"));
    match request.query().get("do") {
        Some("trap") => misbehave::trap(request),
        Some("spin") => misbehave::spin(request),
        Some("keep") => Ok(response.with_header(CACHE_CONTROL, HeaderValue::from_static("max-age=60"))),
        _ => Ok(response),
    }
}

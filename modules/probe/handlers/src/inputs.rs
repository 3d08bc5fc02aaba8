//! What a handler can see, and what should or should not switch its cache off.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use nearside_sdk::{Error, Request, Response, Result, variable};

/// The order depends on the hasher's seed: the same on every instance, or the cache would be wrong.
pub(crate) fn hashmap(_: &Request) -> Result {
    let map: HashMap<&str, u32> =
        ["ash", "birch", "cedar", "elm", "fir", "oak", "pine", "yew"].into_iter().zip(1..).collect();
    Ok(Response::text(map.iter().map(|(name, number)| format!("{name} {number}\n")).collect::<String>()))
}

/// Seconds and nanoseconds since 1970.
pub(crate) fn clock(_: &Request) -> Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Response::text(format!("{}.{:09}\n", now.as_secs(), now.subsec_nanos())))
}

/// Method, path, query and every header that is visible, sorted.
pub(crate) fn echo(request: &Request) -> Result {
    let mut headers: Vec<String> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    let target = format!("{} {}?{}\n", request.method(), request.path(), request.query_string());
    Ok(Response::text(target + &headers.concat()))
}

/// The app's secret, which no app with visitors should show.
pub(crate) fn secret(_: &Request) -> Result {
    variable("PROBE_SECRET").map(Response::text).ok_or_else(|| Error::internal("PROBE_SECRET is not granted"))
}

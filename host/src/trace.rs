//! W3C trace context: the id under which a request is found in logs.

use http::HeaderMap;

/// A trace is long enough to be found by so many of its first digits.
pub const SHORT_DIGITS: usize = 8;

/// The trace id of a request's `traceparent`, or a new one: 32 hexadecimal digits.
pub fn trace_id(headers: &HeaderMap) -> String {
    let given = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(|text| {
        let id = text.split('-').nth(1)?;
        let valid = id.len() == 32
            && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && id.bytes().any(|b| b != b'0');
        valid.then(|| id.to_owned())
    });
    given.unwrap_or_else(|| {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).expect("BUG: an operating system without randomness cannot serve");
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    })
}

//! W3C trace context: the id under which a request is found in logs.

use std::cell::RefCell;

use http::HeaderMap;
use nearside_protocol::trace_context::{HEADER, SpanId, TraceId};

/// A trace is long enough to be found by so many of its first digits.
pub const SHORT_DIGITS: usize = 8;

/// The trace id of a request's `traceparent`, or a new one: 32 hexadecimal digits.
pub fn trace_id(headers: &HeaderMap) -> String {
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(|text| {
        let id = text.split('-').nth(1)?;
        let valid = id.len() == 32
            && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && id.bytes().any(|b| b != b'0');
        valid.then(|| id.to_owned())
    });
    given.unwrap_or_else(|| new_trace().to_string())
}

thread_local! {
    /// Begun by the system's randomness once a thread: it need not be asked for each request.
    static IDS: RefCell<blake3::OutputReader> = RefCell::new({
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("BUG: an operating system without randomness cannot serve");
        blake3::Hasher::new_keyed(&seed).finalize_xof()
    });
}

pub(crate) fn new_trace() -> TraceId {
    TraceId(random())
}

pub(crate) fn new_span() -> SpanId {
    SpanId(random())
}

/// Not all zero, which no id may be.
fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    while bytes == [0; BYTES] {
        IDS.with_borrow_mut(|ids| ids.fill(&mut bytes));
    }
    bytes
}

//! Guests that never end, take everything, break off or lie about their answer.

use core::arch::wasm32::unreachable;
use std::hint::black_box;
use std::time::Duration;

use nearside_sdk::http::{HeaderValue, header::CONTENT_LENGTH};
use nearside_sdk::{Request, Response, Result};

/// Spins for ever.
pub(crate) fn spin(_: &Request) -> Result {
    loop {
        black_box(());
    }
}

/// Takes memory until there is none.
pub(crate) fn hog(_: &Request) -> Result {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Executes an `unreachable` instruction.
pub(crate) fn trap(_: &Request) -> Result {
    unreachable()
}

/// Panics, which writes to stderr first.
pub(crate) fn panic(_: &Request) -> Result {
    panic!("asked to panic")
}

/// Announces a hundred bytes and writes ten.
pub(crate) fn broken_body(_: &Request) -> Result {
    Ok(Response::text("ten bytes\n").with_header(CONTENT_LENGTH, HeaderValue::from_static("100")))
}

/// Sends its head and some of its body, then traps.
pub(crate) fn half(_: &Request) -> Result {
    Ok(Response::stream("text/plain", |body| {
        body.write(b"the first half")?;
        body.flush()?;
        unreachable()
    }))
}

/// Streams `bytes` bytes.
pub(crate) fn big(request: &Request) -> Result {
    const PIECE_BYTES: u64 = 64 * 1024;

    let mut left = request.query().read::<u64>("bytes").unwrap_or(0);
    Ok(Response::stream("application/octet-stream", move |body| {
        let piece = vec![b'x'; PIECE_BYTES as usize];
        while left > 0 {
            let now = left.min(PIECE_BYTES);
            body.write(&piece[..now as usize])?;
            left -= now;
        }
        Ok(())
    }))
}

/// Sleeps `ms` milliseconds.
pub(crate) fn slow(request: &Request) -> Result {
    let ms = request.query().read("ms").unwrap_or(0);
    std::thread::sleep(Duration::from_millis(ms));
    Ok(Response::text(format!("slept {ms} ms\n")))
}

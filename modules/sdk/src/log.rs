//! One line to the operator, on the node's log. Visitors never see it.

use std::fmt::Display;

/// Writes `message` and a newline to stderr. A log that cannot be written is dropped: the request goes on.
pub fn log(message: impl Display) {
    write(&format!("{message}\n"));
}

#[cfg(target_family = "wasm")]
fn write(line: &str) {
    /// `blocking-write-and-flush` takes no more in one call.
    const CALL_BYTES: usize = 4096;

    let stderr = crate::bindings::wasi::cli::stderr::get_stderr();
    for piece in line.as_bytes().chunks(CALL_BYTES) {
        if stderr.blocking_write_and_flush(piece).is_err() {
            return;
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn write(line: &str) {
    eprint!("{line}");
}

//! Writing a body to the host in as few calls as it allows.

use crate::bindings::wasi::io::streams::{OutputStream, StreamError};

/// The other side has stopped listening: there is no one left to write for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected;

impl From<StreamError> for Disconnected {
    fn from(_: StreamError) -> Self {
        Self
    }
}

/// A body under way.
pub struct BodyWriter(OutputStream);

impl BodyWriter {
    pub(crate) fn new(stream: OutputStream) -> Self {
        Self(stream)
    }

    /// Writes all of `bytes`, waiting whenever the host's buffer is full.
    ///
    /// # Errors
    /// When the visitor has gone.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Disconnected> {
        while !bytes.is_empty() {
            let permit = usize::try_from(self.0.check_write()?).unwrap_or(usize::MAX);
            if permit == 0 {
                self.0.subscribe().block();
                continue;
            }
            let (piece, rest) = bytes.split_at(permit.min(bytes.len()));
            self.0.write(piece)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Sends what is buffered on its way and waits until it has gone.
    ///
    /// # Errors
    /// When the visitor has gone.
    pub fn flush(&mut self) -> Result<(), Disconnected> {
        Ok(self.0.blocking_flush()?)
    }

    /// The last call: what is buffered goes out while the guest is already done.
    pub(crate) fn finish(self) -> Result<(), Disconnected> {
        Ok(self.0.flush()?)
    }
}

//! What a guest prints goes to the node's log, line by line, with who printed it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use nearside_protocol::limits;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// Who is speaking: what every log line about a guest names.
#[derive(Clone, Debug)]
pub struct Speaker {
    pub app: String,
    /// The route's pattern, or the command's or task's name.
    pub place: String,
    pub trace: String,
}

/// Standard output and standard error of one guest.
#[derive(Clone)]
pub(crate) struct GuestLog(Arc<Mutex<Lines>>);

struct Lines {
    speaker: Speaker,
    unfinished: Vec<u8>,
    bytes: usize,
}

impl GuestLog {
    pub(crate) fn new(speaker: Speaker) -> GuestLog {
        GuestLog(Arc::new(Mutex::new(Lines { speaker, unfinished: Vec::new(), bytes: 0 })))
    }

    fn write(&self, bytes: &[u8]) {
        self.0.lock().expect("BUG: nothing panics while holding a log").write(bytes);
    }
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        let room = limits::GUEST_LOG_BYTES.saturating_sub(self.bytes);
        if room == 0 {
            return;
        }
        self.bytes += bytes.len();
        self.unfinished.extend_from_slice(&bytes[..bytes.len().min(room)]);
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            self.say(&line[..end]);
        }
        if self.bytes >= limits::GUEST_LOG_BYTES {
            self.say(format!("(more than {} bytes of log; the rest is dropped)", limits::GUEST_LOG_BYTES).as_bytes());
        }
    }

    fn say(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let Speaker { app, place, trace } = &self.speaker;
        tracing::info!(target: "guest", %app, %place, %trace, "{line}");
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            let line = std::mem::take(&mut self.unfinished);
            self.say(&line);
        }
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for GuestLog {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestLog {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        GuestLog::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(limits::GUEST_LOG_BYTES)
    }
}

impl AsyncWrite for GuestLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        GuestLog::write(&self, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

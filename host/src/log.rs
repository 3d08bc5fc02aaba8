//! What a guest prints goes to the node's log, line by line, with who printed it.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use bytes::Bytes;
use nearside_protocol::limits;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::speaker::Speaker;

/// Who else hears each line that goes to the log.
pub type Ear = Arc<dyn Fn(&str) + Send + Sync>;

/// Standard output or standard error of one guest.
#[derive(Clone)]
pub(crate) struct GuestLog {
    lines: Arc<Mutex<Lines>>,
    from: Pipe,
}

#[derive(Clone, Copy, PartialEq)]
enum Pipe {
    Stdout,
    Stderr,
}

struct Lines {
    speaker: Arc<Speaker>,
    ear: Option<Ear>,
    /// The lines that have not come to their ends.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    bytes: usize,
    /// The end of stderr, whether or not it went to the log: a guest that panics says there why.
    last_words: VecDeque<String>,
}

impl GuestLog {
    /// Its standard output and its standard error.
    pub(crate) fn new(speaker: Arc<Speaker>, ear: Option<Ear>) -> (GuestLog, GuestLog) {
        let stdout = GuestLog { lines: Arc::new(Mutex::new(Lines::of(speaker, ear))), from: Pipe::Stdout };
        let stderr = GuestLog { from: Pipe::Stderr, ..stdout.clone() };
        (stdout, stderr)
    }

    /// From now on it is somebody else's.
    pub(crate) fn hand_to(&self, speaker: Arc<Speaker>) {
        let mut lines = self.lines();
        lines.finish();
        *lines = Lines::of(speaker, lines.ear.take());
    }

    fn write(&self, bytes: &[u8]) {
        self.lines().write(bytes, self.from);
    }

    /// Tells what was begun, and gives the last lines of stderr, if there are any.
    pub(crate) fn finish(&self) -> Option<String> {
        let mut lines = self.lines();
        lines.finish();
        let words = lines.last_words.make_contiguous().join("\n");
        Some(words).filter(|words| !words.is_empty())
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("BUG: nothing panics while holding a log")
    }
}

impl Lines {
    fn of(speaker: Arc<Speaker>, ear: Option<Ear>) -> Lines {
        Lines { speaker, ear, stdout: Vec::new(), stderr: Vec::new(), bytes: 0, last_words: VecDeque::new() }
    }

    fn write(&mut self, mut bytes: &[u8], from: Pipe) {
        if self.bytes > limits::GUEST_LOG_BYTES {
            // Of what is dropped, only last words matter.
            if from == Pipe::Stdout {
                return;
            }
            bytes = &bytes[bytes.len().saturating_sub(limits::GUEST_LOG_BYTES)..];
        }
        let mut unfinished = std::mem::take(self.unfinished(from));
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            unfinished.extend_from_slice(piece);
            if unfinished.ends_with(b"\n") || unfinished.len() >= limits::GUEST_LOG_BYTES {
                self.say(&unfinished, from);
                unfinished.clear();
            }
        }
        *self.unfinished(from) = unfinished;
    }

    fn unfinished(&mut self, from: Pipe) -> &mut Vec<u8> {
        match from {
            Pipe::Stdout => &mut self.stdout,
            Pipe::Stderr => &mut self.stderr,
        }
    }

    fn say(&mut self, line: &[u8], from: Pipe) {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        if from == Pipe::Stderr && !text.trim().is_empty() {
            if self.last_words.len() == limits::GUEST_LAST_WORDS_LINES {
                self.last_words.pop_front();
            }
            let end = text.floor_char_boundary(limits::GUEST_LAST_WORDS_LINE_BYTES);
            self.last_words.push_back(text[..end].to_owned());
        }
        if self.bytes > limits::GUEST_LOG_BYTES {
            return;
        }
        self.bytes += line.len();
        if self.bytes > limits::GUEST_LOG_BYTES {
            let most = limits::GUEST_LOG_BYTES;
            self.tell(&format!("(more than {most} bytes of log; the rest is dropped)"));
        } else {
            self.tell(&text);
        }
    }

    fn tell(&self, line: &str) {
        self.speaker.said(line);
        if let Some(ear) = &self.ear {
            ear(line);
        }
    }

    fn finish(&mut self) {
        for from in [Pipe::Stdout, Pipe::Stderr] {
            let line = std::mem::take(self.unfinished(from));
            if !line.is_empty() {
                self.say(&line, from);
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.finish();
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

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{
        budget::Role,
        logbook::{Filter, Logbook},
    };

    fn logged(work: impl FnOnce(&GuestLog, &GuestLog) -> Option<String>) -> (Vec<String>, Option<String>) {
        let logbook = Logbook::new();
        let subscriber = tracing_subscriber::registry().with(logbook.layer());
        let words = tracing::subscriber::with_default(subscriber, || {
            let (app, place, trace) = ("a".to_owned(), "/".to_owned(), "t".to_owned());
            let (stdout, stderr) =
                GuestLog::new(Arc::new(Speaker { role: Role::Handler, app, place, release: None, trace }), None);
            work(&stdout, &stderr)
        });
        (logbook.recent(&Filter::default(), usize::MAX).iter().map(|entry| entry.message.clone()).collect(), words)
    }

    #[test]
    fn lines_come_whole_from_either_stream_and_last_words_are_of_stderr() {
        let (lines, words) = logged(|stdout, stderr| {
            stdout.write(b"one\ntw");
            stderr.write(b"thread panicked:\n\nwh");
            stdout.write(b"o\n");
            stderr.write(b"y");
            stderr.finish()
        });
        assert_eq!(lines, ["one", "thread panicked:", "", "two", "why"]);
        assert_eq!(words.as_deref(), Some("thread panicked:\nwhy"));
    }

    #[test]
    fn too_much_is_dropped_and_said_so_and_last_words_are_kept_all_the_same() {
        let (lines, words) = logged(|stdout, stderr| {
            (0..100).for_each(|_| stdout.write(format!("{}\n", "x".repeat(1_023)).as_bytes()));
            (0..100).for_each(|number| stderr.write(format!("{number}\n").as_bytes()));
            stderr.write(&[b'y'; 3 * limits::GUEST_LOG_BYTES]);
            stderr.finish()
        });
        assert_eq!(lines.len(), limits::GUEST_LOG_BYTES / 1_024 + 1);
        assert!(lines.last().unwrap().contains("is dropped"));
        let words = words.unwrap();
        assert!(words.len() <= limits::GUEST_LAST_WORDS_LINES * (limits::GUEST_LAST_WORDS_LINE_BYTES + 1));
        assert!(words.contains("99"), "{words}");
    }
}

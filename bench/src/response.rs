//! A minimal HTTP/1.1 response parser (RFC 9112) for a client that keeps connections and never pipelines: status,
//! `content-length`, chunked. It reads what it must to find the end of the response and nothing else.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::limits::{RESPONSE_BODY_MAX_BYTES, RESPONSE_HEAD_MAX_BYTES};

/// One response being read. `feed` it until it says it is complete, then `reset`.
#[derive(Debug)]
pub struct Response {
    state: State,
    /// The head, when it arrived in pieces or is kept; a head that arrives whole is parsed where it lies.
    head: Vec<u8>,
    sink: Sink,
    pub status: u16,
    pub body_bytes: u64,
}

/// Where the body goes.
#[derive(Debug)]
enum Sink {
    Nowhere,
    /// The same, but the head is kept.
    Head,
    Memory(Vec<u8>),
    File(File),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Head,
    Length { left: u64 },
    Chunk(Chunk),
    Complete,
}

/// Where a chunked body stands (RFC 9112 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Chunk {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    Data { left: u64 },
    DataEnd,
    Trailer { line_bytes: u32 },
}

#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    state: State,
}

impl Response {
    /// Counts the body without keeping it, as the load generator wants it.
    pub fn counting() -> Self {
        Self { state: State::Head, head: Vec::new(), sink: Sink::Nowhere, status: 0, body_bytes: 0 }
    }

    /// Keeps head and body, to be looked at.
    pub fn keeping() -> Self {
        Self { sink: Sink::Memory(Vec::new()), ..Self::counting() }
    }

    /// Keeps the head, and counts the body.
    pub fn heads() -> Self {
        Self { sink: Sink::Head, ..Self::counting() }
    }

    /// Writes the body to `file`, however long it is; for one response.
    pub fn saving(file: File) -> Self {
        Self { sink: Sink::File(file), ..Self::counting() }
    }

    pub fn reset(&mut self) {
        self.state = State::Head;
        self.head.clear();
        if let Sink::Memory(body) = &mut self.sink {
            body.clear();
        }
        self.status = 0;
        self.body_bytes = 0;
    }

    /// Empty if it was not kept.
    pub fn body(&self) -> &[u8] {
        if let Sink::Memory(body) = &self.sink { body } else { &[] }
    }

    /// The headers as they came, of a kept response. Values that are not text are left out.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        header_lines(&self.head).filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// When to come again, if this is a refusal for now: a 503 that says so, in seconds (RFC 9110 section 10.2.3).
    pub fn refused(&self) -> Option<Duration> {
        let retry_after = self.header("retry-after").filter(|_| self.status == 503)?;
        Some(Duration::from_secs(retry_after.parse().ok()?))
    }

    /// Takes the next bytes of the connection; true once the response is complete.
    ///
    /// Fails on anything that is not a response whose end is known, and on bytes after that end: nobody asked for them.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<bool> {
        while self.state != State::Complete && !input.is_empty() {
            let taken = self.step(input)?;
            input = &input[taken..];
        }
        ensure!(input.is_empty(), "{} bytes after the end of the response", input.len());
        Ok(self.state == State::Complete)
    }

    fn step(&mut self, input: &[u8]) -> Result<usize> {
        match self.state {
            State::Head => self.step_head(input),
            State::Length { left } => {
                let taken = self.take_body(input, left)?;
                self.state = after_length(left - taken as u64);
                Ok(taken)
            }
            State::Chunk(chunk) => self.step_chunk(chunk, input),
            State::Complete => Ok(0),
        }
    }

    fn step_head(&mut self, input: &[u8]) -> Result<usize> {
        if self.head.is_empty()
            && let Some(end) = head_end(input)
        {
            self.begin(&input[..end])?;
            // When to come again stands in the head of a refusal.
            if !matches!(self.sink, Sink::Nowhere) || self.status == 503 {
                self.head.extend_from_slice(&input[..end]);
            }
            return Ok(end);
        }
        let before = self.head.len();
        self.head.extend_from_slice(input);
        ensure!(self.head.len() <= RESPONSE_HEAD_MAX_BYTES, "a response head over {RESPONSE_HEAD_MAX_BYTES} bytes");
        let Some(end) = head_end(&self.head) else {
            return Ok(input.len());
        };
        self.head.truncate(end);
        let head = std::mem::take(&mut self.head);
        self.begin(&head)?;
        self.head = head;
        Ok(end - before)
    }

    fn begin(&mut self, head: &[u8]) -> Result<()> {
        let Head { status, state } = parse_head(head)?;
        self.status = status;
        self.state = state;
        Ok(())
    }

    fn step_chunk(&mut self, chunk: Chunk, input: &[u8]) -> Result<usize> {
        let (next, taken) = match chunk {
            Chunk::Data { left } => {
                let taken = self.take_body(input, left)?;
                let left = left - taken as u64;
                (if left == 0 { Chunk::DataEnd } else { Chunk::Data { left } }, taken)
            }
            Chunk::Trailer { line_bytes: 0 } if input[0] == b'\n' => {
                self.state = State::Complete;
                return Ok(1);
            }
            other => (chunk_byte(other, input[0])?, 1),
        };
        self.state = State::Chunk(next);
        Ok(taken)
    }

    fn take_body(&mut self, input: &[u8], left: u64) -> Result<usize> {
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        self.body_bytes += taken as u64;
        let within = self.body_bytes <= RESPONSE_BODY_MAX_BYTES || matches!(self.sink, Sink::File(_));
        ensure!(within, "a response body over {RESPONSE_BODY_MAX_BYTES} bytes");
        match &mut self.sink {
            Sink::Nowhere | Sink::Head => {}
            Sink::Memory(body) => body.extend_from_slice(&input[..taken]),
            Sink::File(file) => file.write_all(&input[..taken]).context("saving a response body")?,
        }
        Ok(taken)
    }
}

fn after_length(left: u64) -> State {
    if left == 0 { State::Complete } else { State::Length { left } }
}

/// The framing bytes of a chunked body, one at a time: they are few, the data between them goes in one piece.
fn chunk_byte(chunk: Chunk, byte: u8) -> Result<Chunk> {
    Ok(match (chunk, byte) {
        (Chunk::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
            ensure!(digits < 15, "a chunk size of over 15 digits");
            let digit = (byte as char).to_digit(16).map_or(0, u64::from);
            Chunk::Size { size: size << 4 | digit, digits: digits + 1 }
        }
        (Chunk::Size { digits: 0, .. }, _) => bail!("a chunk without a size"),
        (Chunk::Size { size, .. } | Chunk::Extension { size }, b'\n') if size == 0 => Chunk::Trailer { line_bytes: 0 },
        (Chunk::Size { size, .. } | Chunk::Extension { size }, b'\n') => Chunk::Data { left: size },
        (Chunk::Size { size, .. } | Chunk::Extension { size }, _) => Chunk::Extension { size },
        (Chunk::DataEnd, b'\r') => Chunk::DataEnd,
        (Chunk::DataEnd, b'\n') => Chunk::Size { size: 0, digits: 0 },
        (Chunk::DataEnd, _) => bail!("a chunk longer than its size"),
        (Chunk::Trailer { line_bytes }, b'\r') => Chunk::Trailer { line_bytes },
        (Chunk::Trailer { .. }, b'\n') => Chunk::Trailer { line_bytes: 0 },
        (Chunk::Trailer { line_bytes }, _) => {
            ensure!(line_bytes as usize <= RESPONSE_HEAD_MAX_BYTES, "a trailer line too long");
            Chunk::Trailer { line_bytes: line_bytes + 1 }
        }
        (Chunk::Data { .. }, _) => bail!("BUG: chunk data taken for framing"),
    })
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn header_lines(head: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    head.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
    })
}

fn parse_head(head: &[u8]) -> Result<Head> {
    let status = match head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', a, b, c, b' ' | b'\r', ..] => {
            let digits = [a, b, c].map(|digit| u16::from(digit.wrapping_sub(b'0')));
            ensure!(digits.iter().all(|digit| *digit <= 9), "a status that is not a number");
            digits[0] * 100 + digits[1] * 10 + digits[2]
        }
        _ => bail!("not an HTTP/1.1 response: {:?}", String::from_utf8_lossy(&head[..head.len().min(40)])),
    };
    ensure!(status >= 200, "an interim response {status}, which nobody asked for");
    let (mut length, mut chunked) = (None, false);
    for (name, value) in header_lines(head) {
        if name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let Ok(parsed) = text.parse::<u64>() else { bail!("a content-length of {text:?}") };
            length = Some(parsed);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            ensure!(value.eq_ignore_ascii_case(b"chunked"), "a transfer-encoding other than chunked");
            chunked = true;
        }
    }
    // RFC 9112 section 6.3: these have no body whatever their headers say.
    let state = match (status, chunked, length) {
        (204 | 304, ..) => State::Complete,
        (_, true, _) => State::Chunk(Chunk::Size { size: 0, digits: 0 }),
        (_, false, Some(length)) => after_length(length),
        (_, false, None) => bail!("a {status} that ends with its connection: it cannot be kept"),
    };
    Ok(Head { status, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Response> {
        let mut response = Response::keeping();
        ensure!(response.feed(bytes)?, "not complete");
        Ok(response)
    }

    /// The same answer however the network cuts it.
    fn in_pieces(bytes: &[u8], piece: usize) -> Response {
        let mut response = Response::keeping();
        let mut complete = false;
        for part in bytes.chunks(piece) {
            assert!(!complete);
            complete = response.feed(part).unwrap();
        }
        assert!(complete);
        response
    }

    #[test]
    fn content_length_in_any_pieces() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello";
        for piece in 1..=bytes.len() {
            let response = in_pieces(bytes, piece);
            assert_eq!((response.status, response.body_bytes), (200, 5));
            assert_eq!(response.body(), b"hello");
            assert_eq!(response.header("etag"), Some("\"x\""));
        }
    }

    #[test]
    fn chunked_in_any_pieces() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            5\r\nhello\r\nb;name=value\r\n, big world\r\n0\r\nTrailer: yes\r\n\r\n";
        for piece in 1..=bytes.len() {
            let response = in_pieces(bytes, piece);
            assert_eq!(response.body(), b"hello, big world");
            assert_eq!(response.body_bytes, 16);
        }
    }

    #[test]
    fn an_empty_chunked_body() {
        let response = whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").unwrap();
        assert_eq!(response.body_bytes, 0);
    }

    #[test]
    fn a_304_has_no_body_whatever_its_length_says() {
        let response = whole(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n").unwrap();
        assert_eq!((response.status, response.body_bytes), (304, 0));
    }

    #[test]
    fn a_connection_is_read_again_after_a_reset() {
        let mut response = Response::counting();
        for _ in 0..2 {
            assert!(!response.feed(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n").unwrap());
            assert!(response.feed(b"\r\nno").unwrap());
            assert_eq!((response.status, response.body_bytes, response.body()), (503, 2, &b""[..]));
            response.reset();
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        for (head, again) in [
            ("503 Busy\r\nRetry-After: 3", Some(3)),
            ("503 Busy\r\nRetry-After: soon", None),
            ("503 Busy\r\nContent-Type: text/plain", None),
            ("200 OK\r\nRetry-After: 3", None),
        ] {
            let mut response = Response::counting();
            let bytes = format!("HTTP/1.1 {head}\r\nContent-Length: 2\r\n\r\nno");
            assert!(response.feed(bytes.as_bytes()).unwrap());
            assert_eq!(response.refused(), again.map(Duration::from_secs), "{head}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (bytes, reason) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], "ends with its connection"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "after the end"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: one\r\n\r\n", "content-length"),
            (b"HTTP/1.1 100 Continue\r\n\r\n", "interim"),
            (b"HTTP/1.1 20x OK\r\n\r\n", "not a number"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP/1.1 response"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "without a size"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab", "longer than its size"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0123456789abcdef0\r\n", "15 digits"),
        ] {
            let error = whole(bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error:?} should say {reason:?}");
        }
    }
}

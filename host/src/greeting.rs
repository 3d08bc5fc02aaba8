//! The first words of a connection: until it is known which version of HTTP is spoken, no other limit holds.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// How HTTP/2 begins (RFC 9113, section 3.4). Whoever says something else speaks HTTP/1.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Fails a read when a client has said nothing, or no more than a part of the preface, for too long.
pub(crate) struct Greeting<S> {
    stream: S,
    /// Runs until it is clear what is spoken.
    waits: Option<Pin<Box<Sleep>>>,
    said: usize,
}

impl<S> Greeting<S> {
    pub(crate) fn within(wait: Duration, stream: S) -> Greeting<S> {
        Greeting { stream, waits: Some(Box::pin(tokio::time::sleep(wait))), said: 0 }
    }

    fn hear(&mut self, words: &[u8]) {
        let left = &PREFACE[self.said..];
        self.said += words.len().min(left.len());
        if words.len() >= left.len() || !left.starts_with(words) {
            self.waits = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(waits) = &mut self.waits else { return read };
        if read.is_pending() && waits.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not say what it speaks")));
        }
        if matches!(read, Poll::Ready(Ok(()))) {
            self.hear(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const WAIT: Duration = Duration::from_millis(100);

    /// What a read comes to after these words and a long silence.
    async fn heard(words: &[u8]) -> Option<io::ErrorKind> {
        let (mut client, server) = tokio::io::duplex(64);
        let mut greeting = Greeting::within(WAIT, server);
        let mut read = [0; 64];
        for byte in words {
            client.write_all(&[*byte]).await.unwrap();
            greeting.read_exact(&mut read[..1]).await.unwrap();
        }
        let silence = tokio::time::timeout(WAIT * 4, greeting.read(&mut read));
        silence.await.ok().map(|read| read.unwrap_err().kind())
    }

    #[tokio::test]
    async fn who_does_not_say_what_it_speaks_is_not_waited_for() {
        for words in [b"".as_slice(), b"P", b"PRI * HTTP/2.0\r\n", &PREFACE[..23]] {
            assert_eq!(heard(words).await, Some(io::ErrorKind::TimedOut), "{words:?}");
        }
        // From here on other limits hold.
        for words in [b"G".as_slice(), b"PO", b"GET / HTTP/1.1", PREFACE, b"PRI * HTTP/2.1\r\n"] {
            assert_eq!(heard(words).await, None, "{words:?}");
        }
    }
}

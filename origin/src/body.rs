//! Bodies, in and out, under their limits.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use nearside_protocol::limits;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
};

/// What the HTTP interface answers with.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is over {0} bytes")]
    TooLarge(u64),
    #[error("nothing more of the body came within {} seconds", limits::REQUEST_BODY_WAIT.as_secs())]
    Stalled,
    #[error("the body broke off: {0}")]
    Broken(hyper::Error),
    #[error("the body cannot be stored: {0}")]
    Disk(#[from] io::Error),
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body as it comes, piece by piece.
struct Pieces {
    body: Incoming,
    most_bytes: u64,
    had_bytes: u64,
}

impl Pieces {
    fn of(body: Incoming, most_bytes: u64) -> Result<Pieces, BodyError> {
        match body.size_hint().lower() > most_bytes {
            true => Err(BodyError::TooLarge(most_bytes)),
            false => Ok(Pieces { body, most_bytes, had_bytes: 0 }),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = tokio::time::timeout(limits::REQUEST_BODY_WAIT, self.body.frame());
            let Some(frame) = frame.await.map_err(|_| BodyError::Stalled)? else { return Ok(None) };
            // Trailers say nothing here.
            let Ok(piece) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
            self.had_bytes += piece.len() as u64;
            if self.had_bytes > self.most_bytes {
                return Err(BodyError::TooLarge(self.most_bytes));
            }
            return Ok(Some(piece));
        }
    }
}

pub(crate) async fn whole(body: Incoming, most_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let mut pieces = Pieces::of(body, most_bytes as u64)?;
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// A file that is there for one request.
pub(crate) struct IncomingFile(PathBuf);

impl IncomingFile {
    pub(crate) async fn receive(body: Incoming, most_bytes: u64, path: PathBuf) -> Result<IncomingFile, BodyError> {
        let mut pieces = Pieces::of(body, most_bytes)?;
        let mut file = File::create(&path).await?;
        let incoming = IncomingFile(path);
        while let Some(piece) = pieces.next().await? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(incoming)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), cause = %error, "a file that came in is left behind");
        }
    }
}

/// A file going out as it is read. Whoever removes it meanwhile does not disturb it.
pub(crate) struct FileBody {
    file: File,
    left_bytes: u64,
    buffer: BytesMut,
}

const PIECE_BYTES: usize = 64 << 10;

impl FileBody {
    /// None when there is no such file.
    pub(crate) async fn open(path: &Path) -> io::Result<Option<FileBody>> {
        match File::open(path).await {
            Ok(mut file) => {
                file.set_max_buf_size(PIECE_BYTES);
                let left_bytes = file.metadata().await?.len();
                Ok(Some(FileBody { file, left_bytes, buffer: BytesMut::new() }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left_bytes == 0 {
            return Poll::Ready(None);
        }
        let body = &mut *self;
        let length = (PIECE_BYTES as u64).min(body.left_bytes) as usize;
        body.buffer.resize(length, 0);
        let mut read = ReadBuf::new(&mut body.buffer);
        match Pin::new(&mut body.file).poll_read(context, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => {
                let filled = read.filled().len();
                if filled == 0 {
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was");
                    return Poll::Ready(Some(Err(error)));
                }
                body.left_bytes -= filled as u64;
                Poll::Ready(Some(Ok(Frame::data(body.buffer.split_to(filled).freeze()))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }
}

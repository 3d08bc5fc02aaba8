//! A file going out as it is read, a piece at a time. Whoever removes it meanwhile does not disturb it.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use nearside_protocol::limits;
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf},
};

/// The reads happen on threads that may wait for a disk.
pub struct FilePieces {
    file: File,
    left_bytes: u64,
    buffer: BytesMut,
}

impl FilePieces {
    /// All of a file; None when there is no such file.
    pub async fn open(path: &Path) -> io::Result<Option<FilePieces>> {
        match File::open(path).await {
            Ok(file) => {
                let bytes = file.metadata().await?.len();
                Ok(Some(FilePieces::of(file, bytes)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next so many bytes of an open file.
    pub fn of(mut file: File, bytes: u64) -> FilePieces {
        file.set_max_buf_size(limits::BLOB_PIECE_BYTES);
        FilePieces { file, left_bytes: bytes, buffer: BytesMut::new() }
    }
}

impl Body for FilePieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left_bytes == 0 {
            return Poll::Ready(None);
        }
        let body = &mut *self;
        let length = (limits::BLOB_PIECE_BYTES as u64).min(body.left_bytes) as usize;
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

//! What an answer's body is made of: bytes that are there, a guest that still writes, or a file.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::{
    file_pieces::FilePieces,
    render::{BrokenOff, Stream},
};

pub enum ReplyBody {
    Whole(Full<Bytes>),
    Streams(Box<Stream>),
    File(Box<FilePieces>),
}

impl ReplyBody {
    pub fn empty() -> ReplyBody {
        ReplyBody::Whole(Full::default())
    }
}

impl From<Bytes> for ReplyBody {
    fn from(bytes: Bytes) -> ReplyBody {
        ReplyBody::Whole(Full::new(bytes))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            ReplyBody::Whole(body) => {
                Pin::new(body).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            ReplyBody::Streams(body) => Pin::new(body).poll_frame(context),
            ReplyBody::File(body) => Pin::new(body).poll_frame(context).map(|frame| {
                frame.map(|frame| {
                    frame.map_err(|error| {
                        tracing::warn!(cause = %error, "a file cannot be read to its end");
                        BrokenOff
                    })
                })
            }),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(body) => body.size_hint(),
            ReplyBody::Streams(body) => body.size_hint(),
            ReplyBody::File(body) => body.size_hint(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(body) => body.is_end_stream(),
            ReplyBody::Streams(body) => body.is_end_stream(),
            ReplyBody::File(body) => body.is_end_stream(),
        }
    }
}

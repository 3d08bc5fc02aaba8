//! A body whose pieces come within so long of each other, or that breaks off.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use wasmtime_wasi_http::Error;

pub(crate) struct BetweenBytes<B> {
    body: B,
    wait: Duration,
    /// Runs while somebody waits for a piece.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<B> BetweenBytes<B> {
    pub(crate) fn of(body: B, wait: Duration) -> BetweenBytes<B> {
        BetweenBytes { body, wait, waits: None }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for BetweenBytes<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.waits = None;
            return frame;
        }
        let wait = self.wait;
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        waits.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A body on its way out while its handler still runs.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    task::JoinHandle,
};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::deadline::Deadline;
use crate::guest::Ended;

pub struct Stream {
    pub(super) first: Vec<Bytes>,
    pub(super) rest: HyperOutgoingBody,
    pub(super) guest: Running,
    pub(super) deadline: Deadline,
}

/// The handler failed in the middle: the connection is reset, so that nobody takes the part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the response broke off")]
pub struct BrokenOff;

impl Body for Stream {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        this.deadline.move_on();
        if !this.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(this.first.remove(0)))));
        }
        match Pin::new(&mut this.rest).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BrokenOff))),
            Poll::Ready(None) => match this.guest.has_failed() {
                true => Poll::Ready(Some(Err(BrokenOff))),
                false => Poll::Ready(None),
            },
        }
    }
}

/// The task of a guest that streams; ends with its last holder.
pub(super) struct Running {
    /// None where it had come to its end before its answer was taken.
    pub(super) task: Option<JoinHandle<()>>,
    pub(super) finished: oneshot::Receiver<Result<(), Ended>>,
    /// Its place among the streams.
    pub(super) _stream: OwnedSemaphorePermit,
}

impl Running {
    /// Whether the guest of a stream has failed by now, or was lost.
    fn has_failed(&mut self) -> bool {
        !matches!(self.finished.try_recv(), Ok(Ok(())) | Err(oneshot::error::TryRecvError::Empty))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

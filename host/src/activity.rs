//! What goes on on one connection: requests that are worked on, answers that are to be taken, and bytes that were.
//!
//! Nothing here is shared with other connections, so that counting costs a stored page next to nothing.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Of one connection.
#[derive(Default)]
pub(crate) struct Activity {
    /// Requests that came, ever.
    asked: AtomicU64,
    /// Those that this side has to go on with: they are answered, or their answers wait for something here.
    working: AtomicU32,
    /// Answers whose next piece the client has to take first.
    to_take: AtomicU32,
    /// Bytes of answers handed to the connection, and bytes that have gone out by its socket.
    handed: AtomicU64,
    written: AtomicU64,
}

/// All of it at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub asked: u64,
    pub working: u32,
    pub to_take: u32,
    pub written: u64,
    /// Not all that was handed to the connection can have gone out.
    pub owes: bool,
}

impl Activity {
    pub(crate) fn seen(&self) -> Seen {
        let written = self.written.load(Ordering::Relaxed);
        Seen {
            asked: self.asked.load(Ordering::Relaxed),
            working: self.working.load(Ordering::Relaxed),
            to_take: self.to_take.load(Ordering::Relaxed),
            written,
            owes: self.handed.load(Ordering::Relaxed) > written,
        }
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A request came.
    pub(crate) fn asks(self: &Arc<Activity>) -> Stream {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.working.fetch_add(1, Ordering::Relaxed);
        Stream { of: self.clone(), turn: Turn::Ours }
    }

    fn count(&self, turn: Turn) -> &AtomicU32 {
        match turn {
            Turn::Ours => &self.working,
            Turn::Theirs => &self.to_take,
        }
    }
}

/// Who has to go on.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Ours,
    Theirs,
}

/// A request and its answer, as long as they last.
pub(crate) struct Stream {
    of: Arc<Activity>,
    turn: Turn,
}

impl Stream {
    /// The request is answered by this, which the client is to take.
    pub(crate) fn answered<B>(mut self, body: B) -> Answer<B> {
        self.turn(Turn::Theirs);
        Answer { body, stream: self }
    }

    fn turn(&mut self, turn: Turn) {
        if self.turn != turn {
            self.of.count(turn).fetch_add(1, Ordering::Relaxed);
            self.of.count(self.turn).fetch_sub(1, Ordering::Relaxed);
            self.turn = turn;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.of.count(self.turn).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that tells who has to go on with it. A connection asks for a piece when its client has room for it.
pub(crate) struct Answer<B> {
    body: B,
    stream: Stream,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.stream.turn(if frame.is_pending() { Turn::Ours } else { Turn::Theirs });
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(piece) = frame.data_ref()
        {
            self.stream.of.handed.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty, Full, channel::Channel};

    use super::*;

    #[tokio::test]
    async fn it_is_known_who_has_to_go_on() {
        let activity = Arc::new(Activity::default());
        let seen = || {
            let Seen { asked, working, to_take, owes, .. } = activity.seen();
            (asked, working, to_take, owes)
        };
        let stream = activity.asks();
        assert_eq!(seen(), (1, 1, 0, false));
        let mut body = stream.answered(Full::new(Bytes::from_static(b"four")));
        assert_eq!(seen(), (1, 0, 1, false));
        assert!(body.frame().await.is_some());
        assert_eq!(seen(), (1, 0, 1, true));
        drop(body);
        activity.wrote(4);
        assert_eq!(seen(), (1, 0, 0, false));

        let (mut sender, channel) = Channel::<Bytes>::new(1);
        let mut body = activity.asks().answered(channel);
        assert!(futures_poll(&mut body).is_pending());
        assert_eq!(seen(), (2, 1, 0, false), "it waits for what is made here");
        sender.send_data(Bytes::from_static(b"x")).await.unwrap();
        assert!(futures_poll(&mut body).is_ready());
        assert_eq!(seen(), (2, 0, 1, true));
        drop(body);
        drop(activity.asks().answered(Empty::<Bytes>::new()));
        drop(activity.asks());
        assert_eq!(seen(), (4, 0, 0, true));
    }

    fn futures_poll<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Poll<()> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(body).poll_frame(&mut context).map(drop)
    }
}

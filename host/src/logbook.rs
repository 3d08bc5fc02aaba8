//! The last things logged, kept in memory so that they can be asked for and followed: by trace, by app, as they come.
//!
//! It is filled by a layer of `tracing`, so whatever is logged is in it too. An entry is about a guest or about the host;
//! which, the event's target says ([`Kind::target`]).

mod entry;
mod filter;
mod layer;
mod position;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use nearside_protocol::limits;
use tokio::sync::watch;
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

pub use entry::{Entry, Kind, Level, UnknownName};
pub use filter::Filter;
pub use position::{NotAPosition, Position};

/// The logbook of one process. Clones are the same book.
#[derive(Clone)]
pub struct Logbook {
    ring: Arc<Mutex<Ring>>,
    /// Tells this book from that of another process, or of an earlier start.
    id: u64,
    /// The newest entry's number. Followers end when the last clone is gone, and this with it.
    newest: Arc<watch::Sender<u64>>,
}

/// What is kept, oldest first, numbered without a gap.
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    next_seq: u64,
}

impl Default for Logbook {
    fn default() -> Logbook {
        Logbook::new()
    }
}

impl Logbook {
    pub fn new() -> Logbook {
        let ring = Ring { entries: VecDeque::new(), bytes: 0, next_seq: 1 };
        let mut id = [0; 8];
        getrandom::fill(&mut id).expect("BUG: an operating system without randomness cannot serve");
        Logbook {
            ring: Arc::new(Mutex::new(ring)),
            id: u64::from_le_bytes(id),
            newest: Arc::new(watch::Sender::new(0)),
        }
    }

    /// What writes into this book. It takes informative events and above, whatever other layers show.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        layer::new(self.clone())
    }

    /// All there is of one request or write, oldest first.
    pub fn of_trace(&self, trace: &str) -> Vec<Arc<Entry>> {
        let filter = Filter { trace: Some(trace.to_owned()), ..Filter::default() };
        self.recent(&filter, usize::MAX)
    }

    /// The newest entries that pass, at most so many, oldest first.
    pub fn recent(&self, filter: &Filter, most: usize) -> Vec<Arc<Entry>> {
        lock(&self.ring).recent(filter, most)
    }

    /// Everything from now on.
    pub fn follow(&self) -> Followed {
        let next_seq = lock(&self.ring).next_seq;
        self.follow_from(next_seq)
    }

    /// The recent entries, and everything after them: none comes twice and none is left out between.
    pub fn recent_and_follow(&self, filter: &Filter, most: usize) -> (Vec<Arc<Entry>>, Followed) {
        let (recent, next_seq) = {
            let ring = lock(&self.ring);
            (ring.recent(filter, most), ring.next_seq)
        };
        (recent, self.follow_from(next_seq))
    }

    /// Everything after a position in this book; what is not kept any more counts as lost. None if the position is in
    /// another book.
    pub fn follow_after(&self, position: Position) -> Option<Followed> {
        (position.book == self.id).then(|| self.follow_from(position.seq.saturating_add(1)))
    }

    fn follow_from(&self, next_seq: u64) -> Followed {
        Followed { ring: self.ring.clone(), book: self.id, newest: self.newest.subscribe(), next_seq }
    }

    fn write(&self, entry: Entry) {
        let seq = lock(&self.ring).push(entry);
        // Two writers may come here in the other order; the number only ever tells that there is more.
        self.newest.send_if_modified(|newest| {
            let newer = seq > *newest;
            *newest = seq.max(*newest);
            newer
        });
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().expect("BUG: nothing panics while holding the logbook")
}

impl Ring {
    fn push(&mut self, mut entry: Entry) -> u64 {
        let seq = self.next_seq;
        entry.seq = seq;
        self.next_seq += 1;
        self.bytes += entry.bytes();
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > limits::LOGBOOK_ENTRIES || self.bytes > limits::LOGBOOK_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
        seq
    }

    fn recent(&self, filter: &Filter, most: usize) -> Vec<Arc<Entry>> {
        let newest_first = self.entries.iter().rev();
        let mut recent: Vec<_> = newest_first.filter(|entry| filter.admits(entry)).take(most).cloned().collect();
        recent.reverse();
        recent
    }

    /// The entry of this number, or the first one kept after it.
    fn at(&self, seq: u64) -> Option<&Arc<Entry>> {
        let first = self.entries.front()?.seq;
        self.entries.get(seq.saturating_sub(first) as usize)
    }
}

/// Reads a logbook as it grows. It has no buffer of its own: what has left the book before it was read is lost.
pub struct Followed {
    ring: Arc<Mutex<Ring>>,
    book: u64,
    newest: watch::Receiver<u64>,
    next_seq: u64,
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Entry(Arc<Entry>),
    /// So many were written and dropped before this follower came to read them.
    Lost(u64),
    /// Nothing is written to this book any more.
    Ended,
}

impl Followed {
    /// The next entry; waits for one. May be given up and called again without losing any.
    pub async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.ready() {
                return next;
            }
            if self.newest.changed().await.is_err() {
                // The last writer may have written between the two.
                return self.ready().unwrap_or(Next::Ended);
            }
        }
    }

    /// Behind what has been read.
    pub fn position(&self) -> Position {
        Position { book: self.book, seq: self.next_seq - 1 }
    }

    /// The next entry, if it is there.
    pub fn ready(&mut self) -> Option<Next> {
        let entry = lock(&self.ring).at(self.next_seq)?.clone();
        if entry.seq > self.next_seq {
            let lost = entry.seq - self.next_seq;
            self.next_seq = entry.seq;
            return Some(Next::Lost(lost));
        }
        self.next_seq += 1;
        Some(Next::Entry(entry))
    }
}

#[cfg(test)]
mod tests;

//! When a guest must be done.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_protocol::limits;

use crate::guest::Ended;

/// When a guest must be done. A stream moves it on with each piece.
#[derive(Clone)]
pub(super) struct Deadline {
    allowed: Duration,
    pub(super) first: Instant,
    at: Arc<Mutex<Instant>>,
}

impl Deadline {
    pub(super) fn new(allowed: Duration) -> Deadline {
        let first = Instant::now() + allowed;
        Deadline { allowed, first, at: Arc::new(Mutex::new(first)) }
    }

    pub(super) fn move_on(&self) {
        *self.at() = Instant::now() + limits::STREAM_IDLE;
    }

    /// What it means that it has passed.
    pub(super) fn ended(&self) -> Ended {
        match *self.at() == self.first {
            true => Ended::Deadline(self.allowed.as_millis() as u64),
            false => Ended::StreamIdle(limits::STREAM_IDLE.as_millis() as u64),
        }
    }

    fn at(&self) -> MutexGuard<'_, Instant> {
        self.at.lock().expect("BUG: nothing panics while holding a time")
    }

    pub(super) async fn passed(&self) {
        loop {
            let at = *self.at();
            tokio::time::sleep_until(at.into()).await;
            if *self.at() <= Instant::now() {
                return;
            }
        }
    }
}

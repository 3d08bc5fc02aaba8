//! Arrivals that are due, between the pacer of a thread and its connections.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::Notify;

/// Holds at most the arrivals of one phase: those that came while every connection was busy wait here, and that wait
/// is part of their latency.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    due: RefCell<VecDeque<Instant>>,
    over: Cell<bool>,
    changed: Notify,
}

impl Arrivals {
    pub(super) fn push(&self, intended: Instant) {
        self.due.borrow_mut().push_back(intended);
        self.changed.notify_one();
    }

    /// No more will come.
    pub(super) fn end(&self) {
        self.over.set(true);
        self.changed.notify_waiters();
    }

    /// The intended time of the next arrival, as soon as it is due; none once all were taken.
    pub(super) async fn next(&self) -> Option<Instant> {
        loop {
            let next = self.due.borrow_mut().pop_front();
            if next.is_some() || self.over.get() {
                return next;
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    #[tokio::test]
    async fn every_arrival_is_taken_once_and_then_everyone_leaves() {
        let arrivals = Rc::new(Arrivals::default());
        let start = Instant::now();
        let taken = LocalSet::new();
        let takers = taken.run_until(async {
            let taker = |arrivals: Rc<Arrivals>| async move {
                let mut taken = Vec::new();
                while let Some(arrival) = arrivals.next().await {
                    taken.push(arrival);
                    tokio::task::yield_now().await;
                }
                taken
            };
            let takers: Vec<_> = (0..3).map(|_| spawn_local(taker(arrivals.clone()))).collect();
            for index in 0..20 {
                arrivals.push(start + Duration::from_millis(index));
                if index % 4 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            arrivals.end();
            let mut all = Vec::new();
            for taker in takers {
                all.extend(taker.await.unwrap());
            }
            all
        });
        let mut all = takers.await;
        all.sort_unstable();
        assert!(all.into_iter().eq((0..20).map(|index| start + Duration::from_millis(index))));
    }
}

//! How long what has come to the sockets waits before it is looked at.
//!
//! A page that is made on the thread that was asked for it keeps all that came meanwhile waiting in sockets, where no queue sees
//! them: nobody is refused, and who asks for a stored page waits with the others. With few connections that is a moment; with
//! hundreds it would be a second. So it is measured, as long as pages are made there, and where it is long they are made elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nearside_protocol::limits;

/// By the last measurement.
#[derive(Default)]
pub(crate) struct Lag {
    us: AtomicU64,
    is_being_measured: AtomicBool,
}

impl Lag {
    pub(crate) fn is_short(&self) -> bool {
        Duration::from_micros(self.us.load(Ordering::Relaxed)) < limits::SOCKETS_WAIT
    }

    /// Has it measured on this runtime, unless that is under way: by a task that comes after all that are ready now.
    pub(crate) fn measure(self: &Arc<Lag>) {
        if self.is_being_measured.swap(true, Ordering::Relaxed) {
            return;
        }
        let (lag, since) = (self.clone(), Instant::now());
        tokio::spawn(async move {
            // A task that is new may be the next; one that has given way is the last.
            tokio::task::yield_now().await;
            lag.us.store(since.elapsed().as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            lag.is_being_measured.store(false, Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn measured(lag: &Arc<Lag>) {
        lag.measure();
        while lag.is_being_measured.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn it_is_as_long_as_what_all_who_are_ready_take_together_and_short_again_after_them() {
        let lag = Arc::new(Lag::default());
        assert!(lag.is_short());
        for _ in 0..4 {
            tokio::spawn(async { std::thread::sleep(limits::SOCKETS_WAIT / 4) });
        }
        measured(&lag).await;
        assert!(!lag.is_short());
        // A machine that is busy with other things may keep it waiting once, and not for ever.
        let until = Instant::now() + Duration::from_secs(60);
        while !lag.is_short() && Instant::now() < until {
            measured(&lag).await;
        }
        assert!(lag.is_short());
    }

    #[tokio::test]
    async fn one_measurement_is_under_way_at_a_time() {
        let lag = Arc::new(Lag::default());
        (0..100).for_each(|_| lag.measure());
        assert_eq!(Arc::strong_count(&lag), 2);
        measured(&lag).await;
        assert_eq!(Arc::strong_count(&lag), 1);
    }
}

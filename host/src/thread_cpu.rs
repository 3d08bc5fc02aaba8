//! What a thread uses of a core: what it does itself, however often others have that core meanwhile.

use std::{
    thread::{self, ThreadId},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// A moment on one thread.
pub(crate) struct ThreadCpu {
    thread: ThreadId,
    at: Duration,
}

impl ThreadCpu {
    pub(crate) fn now() -> ThreadCpu {
        ThreadCpu { thread: thread::current().id(), at: used() }
    }

    /// Since then; nothing on any other thread.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        (thread::current().id() == self.thread).then(|| used().saturating_sub(self.at))
    }
}

fn used() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_a_thread_does_counts_and_no_wait_and_nothing_elsewhere() {
        let begun = ThreadCpu::now();
        thread::sleep(Duration::from_millis(200));
        assert!(begun.elapsed().unwrap() < Duration::from_millis(100));
        let since = Instant::now();
        while begun.elapsed().unwrap() < Duration::from_millis(20) {
            assert!(since.elapsed() < Duration::from_secs(60), "it works, and uses nothing");
        }
        assert!(thread::spawn(move || begun.elapsed()).join().unwrap().is_none());
    }
}

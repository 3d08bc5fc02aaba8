//! A moment's pause before a thread that has refused somebody looks at its sockets again.
//!
//! When more is asked for than can be made, each request would wake that thread up, for a refusal that takes less than waking up
//! and going to sleep do, and each time renders would find their caches full of other things. In a pause several come, and are
//! answered one after another. A stored page waits for that moment at most, and only where somebody was just refused.

use std::cell::Cell;

use nearside_protocol::limits;

thread_local! {
    /// Since this thread last slept, it has refused somebody.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// This thread refuses somebody.
pub(crate) fn refuses() {
    HAS_REFUSED.set(true);
}

/// For the runtime of a node's sockets, before one of its threads has nothing to do.
pub fn before_sleep() {
    if HAS_REFUSED.replace(false) {
        std::thread::sleep(limits::REFUSAL_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_thread_pauses_once_after_it_has_refused_and_no_other_does() {
        let sleeps = || {
            let began = Instant::now();
            before_sleep();
            began.elapsed() >= limits::REFUSAL_PAUSE
        };
        refuses();
        assert!(std::thread::spawn(|| !HAS_REFUSED.get()).join().unwrap());
        assert!(sleeps());
        assert!(!HAS_REFUSED.get());
    }
}

//! A clock that no wrong clock can hurry: it goes on only while its process works, from where it stood when that ended.
//!
//! What is promised to be kept for so many hours is counted by it. A machine's clock that jumps ahead, or was wrong at the
//! start, would end such promises early; this one can only end them late, by the time nobody worked.

use std::time::{Duration, Instant};

use nearside_protocol::unix_time;

#[derive(Clone, Copy, Debug)]
pub struct WorkingClock {
    worked_ms: u64,
    wall_ms: u64,
    since: Instant,
}

impl WorkingClock {
    /// Goes on from where it was noted last; the first time, from the time of day.
    pub fn start(noted_ms: Option<u64>) -> WorkingClock {
        let wall_ms = unix_time::now_ms();
        WorkingClock { worked_ms: noted_ms.unwrap_or(wall_ms), wall_ms, since: Instant::now() }
    }

    /// Milliseconds; to be noted now and then, durably.
    pub fn now_ms(&self) -> u64 {
        self.worked_ms + self.elapsed_ms()
    }

    /// The time of day as it was at the start, and what has gone by since: it does not jump either.
    pub fn day_ms(&self) -> u64 {
        self.wall_ms + self.elapsed_ms()
    }

    /// The moment so long ago.
    pub fn ago_ms(&self, time: Duration) -> u64 {
        self.now_ms().saturating_sub(time.as_millis() as u64)
    }

    /// Since the start.
    pub fn elapsed_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_where_it_was() {
        let first = WorkingClock::start(None);
        assert!(first.now_ms().abs_diff(unix_time::now_ms()) < 60_000);
        let later = WorkingClock::start(Some(1_000));
        assert!((1_000..61_000).contains(&later.now_ms()), "{later:?}");
        assert!(later.day_ms() > 1_000_000, "{later:?}");
        assert_eq!(later.ago_ms(Duration::from_secs(1_000)), 0);
    }
}

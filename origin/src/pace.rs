//! When work that was asked for is done: after a pause in the asking, but not later than a bound.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How long it must have been quiet.
    pub(crate) quiet: Duration,
    /// How long the first who asked waits at most.
    pub(crate) latest: Duration,
}

/// What has been asked for and not been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    first: Instant,
    last: Instant,
}

impl Pending {
    /// One more asked.
    pub(crate) fn asked(pending: Option<Pending>, now: Instant) -> Pending {
        Pending { first: pending.map_or(now, |pending| pending.first), last: now }
    }

    pub(crate) fn due(&self, pace: Pace) -> Instant {
        (self.last + pace.quiet).min(self.first + pace.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { quiet: Duration::from_millis(250), latest: Duration::from_millis(2_000) };

    /// When work is done that is asked for at these moments, in milliseconds.
    fn done_at(asked_ms: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let ms = |moment: Instant| moment.duration_since(start).as_millis() as u64;
        let mut pending: Option<Pending> = None;
        let mut done = Vec::new();
        for asked in asked_ms {
            if let Some(due) = pending.map(|pending| pending.due(PACE)).filter(|due| *due <= at(*asked)) {
                done.push(ms(due));
                pending = None;
            }
            pending = Some(Pending::asked(pending, at(*asked)));
        }
        done.extend(pending.map(|pending| ms(pending.due(PACE))));
        done
    }

    #[test]
    fn a_write_waits_for_company_but_not_for_ever() {
        assert_eq!(done_at(&[0]), [250]);
        assert_eq!(done_at(&[0, 100, 300]), [550]);
        assert_eq!(done_at(&[0, 250]), [250, 500], "asking at the very moment is the next round");
        let steady: Vec<u64> = (0..30).map(|n| n * 100).collect();
        assert_eq!(done_at(&steady), [2_000, 3_150]);
    }
}

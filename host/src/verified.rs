//! By how much a release may be behind: the time since the origin last vouched that it is the newest.
//!
//! An answer counts from the moment its question was sent, not from when it came: what it says may have changed while it was
//! on its way, or held back. So the bound is right whoever sits between, and grows while the origin is gone.

use std::time::{Duration, Instant};

use nearside_protocol::{release::ReleaseId, unix_time};

/// What the origin said of one app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verified {
    /// The newest release, by the last answer, and when that was asked for.
    named: Option<(ReleaseId, Instant)>,
    /// The release served here, and when the last answer that named it was asked for.
    current: Option<(ReleaseId, Instant)>,
}

impl Verified {
    /// The answer to a question sent at `asked_at` names this release.
    pub fn heard(&mut self, named: ReleaseId, served: Option<ReleaseId>, asked_at: Instant) {
        self.named = Some((named, asked_at));
        if served == Some(named) {
            self.current = self.named;
        }
    }

    pub fn switched(&mut self, to: ReleaseId) {
        // A release that no answer has named yet was pulled for one that was: what is known of the one before holds on.
        self.current = match self.named {
            Some((named, at)) if named == to => Some((named, at)),
            _ => self.current.map(|(_, at)| (to, at)),
        };
    }

    /// By how much the release that is served may be behind the newest there is. Before the origin was heard at all, a
    /// release is as old as its manifest: it was the newest when that was signed.
    pub fn behind_at_most(&self, created_at_ms: u64, now: Instant) -> Duration {
        match self.current {
            Some((_, asked_at)) => now.saturating_duration_since(asked_at),
            None => unix_time::now().saturating_sub(Duration::from_millis(created_at_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ReleaseId = ReleaseId { epoch: 1, seq: 1 };
    const TWO: ReleaseId = ReleaseId { epoch: 1, seq: 2 };

    #[test]
    fn it_counts_from_the_question_of_the_last_answer_that_named_what_is_served() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let behind = |verified: &Verified, now| verified.behind_at_most(0, at(now)).as_secs();
        let mut verified = Verified::default();

        verified.heard(ONE, Some(ONE), at(10));
        assert_eq!(behind(&verified, 12), 2);
        // A newer one is named: the one served may be behind since the last answer that named it.
        verified.heard(TWO, Some(ONE), at(20));
        assert_eq!(behind(&verified, 25), 15);
        verified.switched(TWO);
        assert_eq!(behind(&verified, 25), 5);
        // Nobody answers any more.
        assert_eq!(behind(&verified, 3_600), 3_580);
    }

    #[test]
    fn without_word_of_the_origin_it_is_the_age_of_the_manifest() {
        let now = unix_time::now_ms();
        let mut verified = Verified::default();
        let behind = verified.behind_at_most(now - 60_000, Instant::now());
        assert!((60..62).contains(&behind.as_secs()), "{behind:?}");
        // Naming another release does not vouch for this one.
        verified.heard(TWO, Some(ONE), Instant::now());
        assert!(verified.behind_at_most(now - 60_000, Instant::now()).as_secs() >= 60);
        // A clock that is wrong does not make it less than nothing.
        assert_eq!(Verified::default().behind_at_most(now + 60_000, Instant::now()).as_secs(), 0);
    }
}

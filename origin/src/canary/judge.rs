//! What to do about a canary, as a function of what was seen of it.
//!
//! The first of these that holds: refused at a node, errors, slow; then what it waits for; else it is good. What is wrong with it
//! is seen as early as it can be told from chance, and needs neither the time nor the number of requests that its promotion
//! takes.

use std::time::Duration;

use nearside_protocol::{
    canary::{Halted, Promoted, Rules, Served, Waits},
    limits,
};

/// All that is known of a canary.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) rules: Rules,
    /// Its nodes; of them those that are heard; and of those the ones that serve it.
    pub(crate) nodes: u64,
    pub(crate) heard: u64,
    pub(crate) serving: u64,
    /// Since all that are heard serve it.
    pub(crate) served_for: Duration,
    pub(crate) refused: Option<Refused>,
    pub(crate) canaries: Served,
    pub(crate) rest: Served,
}

/// A node that does not take it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) node: String,
    pub(crate) reason: String,
    pub(crate) words: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Wait(Waits),
    Promote(Promoted),
    Halt(Halted),
}

pub(crate) fn judge(seen: &Seen) -> Verdict {
    let Seen { rules, canaries, rest, .. } = seen;
    if let Some(Refused { node, reason, words }) = seen.refused.clone() {
        return Verdict::Halt(Halted::Refused { node, reason, words });
    }
    if let Some(halted) = errors(canaries, rest).or_else(|| slow(canaries, rest)) {
        return Verdict::Halt(halted);
    }
    if seen.heard == 0 {
        return Verdict::Wait(Waits::Silent);
    }
    if seen.serving < seen.heard {
        return Verdict::Wait(Waits::Arrival { have: seen.serving, of: seen.nodes });
    }
    let left = Duration::from_secs(rules.for_s).saturating_sub(seen.served_for);
    if !left.is_zero() {
        return Verdict::Wait(Waits::Time { left_s: left.as_millis().div_ceil(1_000) as u64 });
    }
    if canaries.requests < rules.requests {
        return Verdict::Wait(Waits::Requests { have: canaries.requests, of: rules.requests });
    }
    // Where hardly a page was made, there is hardly a visitor who could have waited for one.
    if is_measured(canaries) && !is_measured(rest) {
        return Verdict::Wait(Waits::Comparison { have: rest.made(), of: limits::CANARY_PAGES_LEAST });
    }
    Verdict::Promote(Promoted::Healthy)
}

/// More server errors than the rest has, by so much that it is not chance.
fn errors(canaries: &Served, rest: &Served) -> Option<Halted> {
    let enough =
        canaries.requests >= limits::CANARY_ANSWERS_LEAST && canaries.server_errors >= limits::CANARY_ERRORS_LEAST;
    let (share, usual) = (canaries.errors_share(), rest.errors_share());
    let is_more = share - usual >= limits::CANARY_ERRORS_MORE && share >= usual * limits::CANARY_ERRORS_TIMES;
    (enough && is_more).then_some(Halted::Errors { canaries: share, rest: usual, errors: canaries.server_errors })
}

/// Times of pages that were made, because a stored one takes a microsecond with any version.
fn slow(canaries: &Served, rest: &Served) -> Option<Halted> {
    const PART: f64 = 0.9;
    if !is_measured(canaries) || !is_measured(rest) {
        return None;
    }
    let (canaries_us, rest_us) = (canaries.time_us(PART)?, rest.time_us(PART)?);
    let is_slower = canaries_us as f64 >= rest_us as f64 * limits::CANARY_SLOW_TIMES
        && canaries_us - rest_us.min(canaries_us) >= limits::CANARY_SLOW_MORE.as_micros() as u64;
    is_slower.then_some(Halted::Slow { canaries_us, rest_us })
}

fn is_measured(served: &Served) -> bool {
    served.made() >= limits::CANARY_PAGES_LEAST
}

#[cfg(test)]
mod tests {
    use nearside_protocol::times;

    use super::*;

    /// So many requests, of them so many that took so long, and so many server errors.
    fn served(requests: u64, made: u64, took_ms: u64, server_errors: u64) -> Served {
        let at = times::bucket(took_ms * 1_000_000);
        let times = (0..=at).map(|bucket| if bucket == at { made } else { 0 }).collect();
        Served { requests, server_errors, times }
    }

    /// A canary that nothing is wrong with, and that has had its time.
    fn good() -> Seen {
        Seen {
            rules: Rules { requests: 200, for_s: 60 },
            nodes: 2,
            heard: 2,
            serving: 2,
            served_for: Duration::from_secs(60),
            refused: None,
            canaries: served(200, 100, 4, 0),
            rest: served(2_000, 400, 4, 0),
        }
    }

    #[test]
    fn a_good_one_is_promoted_when_it_has_had_its_time_and_its_requests() {
        assert_eq!(judge(&good()), Verdict::Promote(Promoted::Healthy));
        let young = Seen { served_for: Duration::from_millis(58_500), ..good() };
        assert_eq!(judge(&young), Verdict::Wait(Waits::Time { left_s: 2 }));
        let few = Seen { canaries: served(199, 100, 4, 0), ..good() };
        assert_eq!(judge(&few), Verdict::Wait(Waits::Requests { have: 199, of: 200 }));
        let at_once = Seen { rules: Rules { requests: 1, for_s: 0 }, served_for: Duration::ZERO, ..good() };
        assert_eq!(judge(&at_once), Verdict::Promote(Promoted::Healthy));
    }

    #[test]
    fn it_waits_for_its_nodes_and_for_somebody_to_compare_with() {
        let arriving = Seen { serving: 1, ..good() };
        assert_eq!(judge(&arriving), Verdict::Wait(Waits::Arrival { have: 1, of: 2 }));
        // One that is silent keeps nobody waiting, and all that are silent say nothing.
        assert_eq!(judge(&Seen { heard: 1, serving: 1, ..good() }), Verdict::Promote(Promoted::Healthy));
        assert_eq!(judge(&Seen { heard: 0, serving: 0, ..good() }), Verdict::Wait(Waits::Silent));
        let alone = Seen { rest: served(5_000, 19, 4, 0), ..good() };
        assert_eq!(judge(&alone), Verdict::Wait(Waits::Comparison { have: 19, of: 20 }));
        let stored = Seen { canaries: served(5_000, 19, 4, 0), ..alone };
        assert_eq!(judge(&stored), Verdict::Promote(Promoted::Healthy), "nearly all of it was stored");
    }

    #[test]
    fn a_refusal_halts_it_whatever_else_is_seen() {
        let refused = Refused { node: "a".into(), reason: "new_scan".into(), words: "it scans".into() };
        let verdict = judge(&Seen { refused: Some(refused), serving: 0, ..good() });
        let why = Halted::Refused { node: "a".into(), reason: "new_scan".into(), words: "it scans".into() };
        assert_eq!(verdict, Verdict::Halt(why));
    }

    #[test]
    fn errors_halt_it_at_once_and_chance_does_not() {
        let young = Seen { served_for: Duration::ZERO, ..good() };
        let verdict = |requests, errors| judge(&Seen { canaries: served(requests, 10, 4, errors), ..young.clone() });
        let is_halted = |requests, errors| matches!(verdict(requests, errors), Verdict::Halt(Halted::Errors { .. }));
        assert!(is_halted(20, 5) && is_halted(500, 5));
        assert!(!is_halted(19, 19), "too few answers");
        assert!(!is_halted(100, 4), "too few errors");
        assert!(!is_halted(501, 5), "less than one in a hundred");
        // The rest has as many: something else is wrong.
        let ill = |rest_errors| Seen {
            canaries: served(100, 10, 4, 10),
            rest: served(1_000, 10, 4, rest_errors),
            ..young.clone()
        };
        assert!(matches!(judge(&ill(50)), Verdict::Halt(Halted::Errors { errors: 10, .. })));
        assert!(matches!(judge(&ill(51)), Verdict::Wait(_)));
    }

    #[test]
    fn a_slow_one_is_halted_and_one_that_is_hardly_slower_is_not() {
        let verdict = |canaries_ms, rest_ms| {
            judge(&Seen { canaries: served(50, 50, canaries_ms, 0), rest: served(500, 50, rest_ms, 0), ..good() })
        };
        let is_halted = |canaries, rest| matches!(verdict(canaries, rest), Verdict::Halt(Halted::Slow { .. }));
        assert!(is_halted(200, 4) && is_halted(200, 60));
        assert!(!is_halted(8, 1), "nobody notices");
        assert!(!is_halted(200, 120), "as it may seem of what is hardly slower: times are counted in powers of two");
        assert!(!is_halted(4, 200), "quicker");
        let few = Seen { canaries: served(50, 19, 900, 0), ..good() };
        assert!(matches!(judge(&few), Verdict::Wait(_)));
        // Most of what it sends is stored: that hides nothing.
        let hits = Seen { canaries: served(100_000, 20, 900, 0), ..good() };
        assert!(matches!(judge(&hits), Verdict::Halt(Halted::Slow { .. })));
    }
}

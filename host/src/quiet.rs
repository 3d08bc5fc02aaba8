//! When a connection has been quiet for too long, told from what is seen of it now and then: a function of values.

use std::time::{Duration, Instant};

use nearside_protocol::limits;

use crate::activity::Seen;

/// How long a connection has been quiet, and what was seen when it last was not.
pub(crate) struct Quiet {
    since: Instant,
    asked: u64,
    written: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    GoesOn,
    /// Nobody asks for anything: it is told to end.
    Idle,
    /// There are answers, and nobody takes them: it is ended.
    Stalled,
}

impl Quiet {
    pub(crate) fn since(now: Instant) -> Quiet {
        Quiet { since: now, asked: 0, written: 0 }
    }

    pub(crate) fn look(&mut self, seen: Seen, now: Instant) -> Verdict {
        // Where there is nothing to take, what is written are pings and the like.
        let takes = (seen.to_take > 0 || seen.owes) && seen.written >= self.written + limits::TAKEN_LEAST_BYTES;
        if seen.working > 0 || seen.asked != self.asked || takes {
            *self = Quiet { since: now, asked: seen.asked, written: seen.written };
            return Verdict::GoesOn;
        }
        let quiet: Duration = now.duration_since(self.since);
        match seen.to_take {
            0 if quiet >= limits::CONNECTION_IDLE => Verdict::Idle,
            0 => Verdict::GoesOn,
            _ if quiet >= limits::STREAM_IDLE => Verdict::Stalled,
            _ => Verdict::GoesOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds it is not left alone any more, and what is said then.
    fn ends(mut at: impl FnMut(u64) -> Seen) -> Option<(u64, Verdict)> {
        let began = Instant::now();
        let mut quiet = Quiet::since(began);
        (1..600).find_map(|second| {
            let verdict = quiet.look(at(second), began + Duration::from_secs(second));
            (verdict != Verdict::GoesOn).then_some((second, verdict))
        })
    }

    #[test]
    fn who_asks_for_nothing_is_told_to_go() {
        let idle = limits::CONNECTION_IDLE.as_secs();
        assert_eq!(ends(|_| Seen::default()), Some((idle, Verdict::Idle)));
        // It answers pings all the while.
        assert_eq!(ends(|second| Seen { written: second * 2_000, ..Seen::default() }), Some((idle, Verdict::Idle)));
        assert_eq!(ends(|second| Seen { asked: second / 20, ..Seen::default() }), None);
    }

    #[test]
    fn who_takes_nothing_is_left() {
        let stalled = Some((limits::STREAM_IDLE.as_secs(), Verdict::Stalled));
        let taking = |bytes_per_s: u64| {
            ends(move |second| Seen { to_take: 1, written: second * bytes_per_s, owes: true, ..Seen::default() })
        };
        assert_eq!((taking(0), taking(10)), (stalled, stalled));
        assert_eq!(taking(limits::TAKEN_LEAST_BYTES), None);
        // All of it is the connection's already, which sends it as slowly as the client takes it.
        assert_eq!(ends(|second| Seen { written: second * 5_000, owes: true, ..Seen::default() }), None);
    }

    #[test]
    fn who_waits_for_this_node_is_not_quiet() {
        assert_eq!(ends(|_| Seen { working: 1, to_take: 3, ..Seen::default() }), None);
    }
}

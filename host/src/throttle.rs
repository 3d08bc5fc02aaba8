//! Not asking an origin that says it has too much to do, or says nothing: most of it would be asked in vain, and the asking
//! alone keeps it from getting through what it has.
//!
//! What was asked lately and what was taken are counted, as in "Handling Overload" of the book Site Reliability Engineering:
//! once more than twice as much is asked as taken, a share of it is not sent, so that what arrives stays within twice of what
//! is taken. What is not sent counts as asked. An origin that nobody listens for is another thing: it costs nothing to ask.
//!
//! A node asks once for each visitor and does not repeat it, so there is no budget for repeating. What waits in its outbox has
//! a pace of its own (`outbox/delivery.rs`).

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_protocol::limits;

#[derive(Default)]
pub(crate) struct Throttle(Mutex<Heard>);

/// This span of time and the one before.
#[derive(Default)]
struct Heard {
    since: Option<Instant>,
    now: Tally,
    before: Tally,
    draw: u64,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    asked: u64,
    taken: u64,
}

/// How a question went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Went {
    Taken,
    /// It had too much to do, or did not answer in time.
    Refused,
    /// It was not reached, which nobody had any work with.
    NotReached,
}

impl Throttle {
    /// Whether another question is to be sent; whoever sends it says how it went.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        let mut heard = self.heard();
        heard.turn(now);
        let refused_share = heard.refused_share();
        if refused_share == 0.0 || heard.draw() >= refused_share {
            return true;
        }
        heard.now.asked += 1;
        false
    }

    pub(crate) fn went(&self, went: Went, now: Instant) {
        let mut heard = self.heard();
        heard.turn(now);
        let (asked, taken) = match went {
            Went::Taken => (1, 1),
            Went::Refused => (1, 0),
            Went::NotReached => (0, 0),
        };
        heard.now.asked += asked;
        heard.now.taken += taken;
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().expect("BUG: nothing panics while holding a tally")
    }
}

impl Heard {
    fn turn(&mut self, now: Instant) {
        let passed = self.since.map_or(Duration::MAX, |since| now.saturating_duration_since(since));
        if passed >= limits::ORIGIN_HEARD {
            self.before = if passed < limits::ORIGIN_HEARD * 2 { self.now } else { Tally::default() };
            self.now = Tally::default();
            self.since = Some(now);
        }
    }

    fn refused_share(&self) -> f64 {
        let asked = (self.now.asked + self.before.asked) as f64;
        let taken = (self.now.taken + self.before.taken) as f64;
        if asked < limits::ORIGIN_ASKED_LEAST as f64 {
            return 0.0;
        }
        ((asked - limits::ORIGIN_ASKED_TIMES * taken) / (asked + 1.0))
            .clamp(0.0, 1.0 - limits::ORIGIN_ASKED_SHARE_LEAST)
    }

    /// Below one, evenly spread.
    fn draw(&mut self) -> f64 {
        self.draw = self.draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (self.draw >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many questions in one moment, of which the origin takes so many; how many were sent.
    fn asked(throttle: &Throttle, count: usize, takes: usize, now: Instant) -> usize {
        let mut sent = 0;
        for _ in 0..count {
            if throttle.may_ask(now) {
                sent += 1;
                throttle.went(if sent <= takes { Went::Taken } else { Went::Refused }, now);
            }
        }
        sent
    }

    #[test]
    fn an_origin_that_takes_all_is_asked_all() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(asked(&throttle, 10_000, 10_000, now), 10_000);
        // Half of it is still within what is asked of it.
        assert!(asked(&throttle, 10_000, 5_000, now) > 9_000);
    }

    #[test]
    fn one_that_takes_nothing_is_asked_little_until_it_takes_something() {
        let (throttle, mut now) = (Throttle::default(), Instant::now());
        let sent = asked(&throttle, 10_000, 0, now);
        assert!((limits::ORIGIN_ASKED_LEAST as usize..1_200).contains(&sent), "{sent}");
        // It is back. After a while everything is sent again.
        let sent: Vec<usize> = (0..6)
            .map(|_| {
                now += limits::ORIGIN_HEARD;
                asked(&throttle, 1_000, 1_000, now)
            })
            .collect();
        assert!(sent.is_sorted() && sent[0] < 200 && sent[5] == 1_000, "{sent:?}");
    }

    #[test]
    fn a_few_failures_and_an_origin_that_is_away_change_nothing() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(asked(&throttle, 60, 0, now), 60);
        let throttle = Throttle::default();
        for _ in 0..10_000 {
            assert!(throttle.may_ask(now));
            throttle.went(Went::NotReached, now);
        }
    }
}

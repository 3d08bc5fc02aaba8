//! What a node knows of a sibling from having asked it: whether it is left alone for now, what is out there, and how busy it
//! said it is.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_protocol::{heartbeat::Load, limits};

use crate::{
    origin_client::{ClientError, OriginClient},
    throttle::{Throttle, Went},
};

pub(super) struct Known {
    pub(super) client: OriginClient,
    throttle: Throttle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    out: usize,
    /// With its last answer.
    told: Option<(Instant, Load)>,
    rest: Rest,
}

/// How one that failed is left alone: longer each time, and with one question after that.
#[derive(Default)]
struct Rest {
    failures: u32,
    began: Option<Instant>,
    until: Option<Instant>,
}

/// How a question went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    Taken,
    /// It has enough to do: it is asked for less.
    Busy,
    /// It is not there, or has not what is asked for: it is left alone.
    InVain,
}

impl Known {
    pub(super) fn at(url: &str) -> Result<Known, ClientError> {
        let client = OriginClient::near(url)?;
        Ok(Known { client, throttle: Throttle::default(), state: Mutex::default() })
    }

    /// How busy it is by its last word: what it told the origin at `heard`, or told here since.
    pub(super) fn load(&self, by_origin: &Load, heard: Option<Instant>) -> Load {
        let told = self.state().told;
        told.filter(|(at, _)| heard.is_none_or(|heard| *at > heard)).map_or(*by_origin, |(_, load)| load)
    }

    pub(super) fn out(&self) -> usize {
        self.state().out
    }

    /// Whether one more may be sent there, as far as it goes by what is out and by rests.
    pub(super) fn has_room(&self, load: &Load, now: Instant) -> bool {
        let state = self.state();
        let cores = usize::try_from(load.cores).unwrap_or(usize::MAX).max(1);
        state.rest.permits(state.out, now) && state.out < cores.saturating_mul(limits::HANDED_OUT_AT_ONE_A_CORE)
    }

    /// Takes up room there; nothing where the last answers say that most would be asked in vain.
    pub(super) fn send(self: &Arc<Known>, now: Instant) -> Option<Out> {
        if !self.throttle.may_ask(now) {
            return None;
        }
        self.state().out += 1;
        Some(Out { known: self.clone(), since: now })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("BUG: nothing panics while holding what is known of a sibling")
    }
}

/// A render that is out there.
pub(super) struct Out {
    known: Arc<Known>,
    since: Instant,
}

impl Out {
    pub(super) fn answered(self, how: Answered, load: Option<Load>, now: Instant) {
        let went = match how {
            Answered::Taken => Went::Taken,
            Answered::Busy => Went::Refused,
            Answered::InVain => Went::NotReached,
        };
        self.known.throttle.went(went, now);
        let mut state = self.known.state();
        match how {
            Answered::Taken | Answered::Busy => state.rest = Rest::default(),
            Answered::InVain => state.rest.fail(self.since, now),
        }
        if let Some(load) = load {
            state.told = Some((now, load));
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.known.state().out -= 1;
    }
}

impl Rest {
    fn permits(&self, out: usize, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now && out == 0)
    }

    /// What was asked before the rest began is no news.
    fn fail(&mut self, asked: Instant, now: Instant) {
        if self.began.is_some_and(|began| asked <= began) {
            return;
        }
        let rest = limits::HANDED_REST_FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        (self.began, self.until) = (Some(now), Some(now + Duration::min(rest, limits::HANDED_REST_MOST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Arc<Known> {
        Arc::new(Known::at("http://127.0.0.1:1").unwrap())
    }

    fn ask(known: &Arc<Known>, how: Answered, now: Instant) {
        known.send(now).unwrap().answered(how, None, now);
    }

    #[test]
    fn one_that_fails_is_left_alone_longer_each_time_and_then_asked_once() {
        let (known, load, mut now) = (known(), Load { cores: 1, ..Load::default() }, Instant::now());
        let mut rest = limits::HANDED_REST_FIRST;
        for _ in 0..8 {
            // Two are out when it fails; the second one is no news.
            let (first, second) = (known.send(now).unwrap(), known.send(now).unwrap());
            first.answered(Answered::InVain, None, now);
            second.answered(Answered::InVain, None, now);
            assert!(!known.has_room(&load, now + rest - Duration::from_millis(1)), "{rest:?}");
            now += rest;
            assert!(known.has_room(&load, now));
            let out = known.send(now).unwrap();
            assert!(!known.has_room(&load, now), "one question at first");
            drop(out);
            now += Duration::from_millis(1);
            rest = (rest * 2).min(limits::HANDED_REST_MOST);
        }
        ask(&known, Answered::Taken, now);
        let _out: Vec<_> = (0..limits::HANDED_OUT_AT_ONE_A_CORE).map(|_| known.send(now).unwrap()).collect();
        assert!(!known.has_room(&load, now), "so many at once");
        assert!(known.has_room(&Load { cores: 2, ..load }, now));
    }

    #[test]
    fn one_that_is_busy_is_asked_for_less_and_not_left_alone() {
        let (known, load, now) = (known(), Load { cores: 1, ..Load::default() }, Instant::now());
        let mut sent = 0;
        for _ in 0..1_000 {
            assert!(known.has_room(&load, now));
            if let Some(out) = known.send(now) {
                out.answered(Answered::Busy, None, now);
                sent += 1;
            }
        }
        assert!((64..250).contains(&sent), "{sent}");
    }

    #[test]
    fn the_last_word_counts() {
        let (known, now) = (known(), Instant::now());
        let (idle, hot) = (Load::default(), Load { is_hot: true, ..Load::default() });
        known.send(now).unwrap().answered(Answered::Busy, Some(hot), now);
        assert!(known.load(&idle, Some(now - Duration::from_secs(1))).is_hot && known.load(&idle, None).is_hot);
        assert!(!known.load(&idle, Some(now + Duration::from_secs(1))).is_hot);
    }
}

//! Answers by how they came about, what they say, and how long their first byte took. A hit pays one addition to numbers that
//! are its thread's own: to look at the clock twice would make it a tenth dearer, and tell what is known.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use http::StatusCode;
use nearside_protocol::{
    heartbeat::{Answers, Way},
    limits::QUERY_TIME_BUCKETS,
    times,
};

use super::sharded::Sharded;

const CLIENT_ERRORS: usize = 0;
const SERVER_ERRORS: usize = 1;
const TIMES: usize = 2;

const AT_ONCE: Duration = Duration::from_micros(1);

type Numbers = Sharded<{ TIMES + QUERY_TIME_BUCKETS }>;

#[derive(Default)]
pub struct Answered {
    at_once: Numbers,
    longer: Numbers,
}

impl Answered {
    /// A stored answer, sent where its request was read: that takes a microsecond or two.
    pub fn count_at_once(&self, status: StatusCode) {
        self.count_as(Way::AtOnce, status, AT_ONCE);
    }

    /// An answer whose head is about to be sent; `began` is when its request's head had been read.
    pub fn count_longer(&self, status: StatusCode, began: Instant) {
        self.count_as(Way::Longer, status, began.elapsed());
    }

    fn count_as(&self, way: Way, status: StatusCode, took: Duration) {
        let numbers = self.of(way).mine();
        numbers[TIMES + times::bucket(took.as_nanos() as u64)].fetch_add(1, Ordering::Relaxed);
        if status.is_client_error() {
            numbers[CLIENT_ERRORS].fetch_add(1, Ordering::Relaxed);
        } else if status.is_server_error() {
            numbers[SERVER_ERRORS].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn totals(&self) -> BTreeMap<Way, Answers> {
        Way::ALL.into_iter().map(|way| (way, totals(self.of(way)))).collect()
    }

    fn of(&self, way: Way) -> &Numbers {
        match way {
            Way::AtOnce => &self.at_once,
            Way::Longer => &self.longer,
        }
    }
}

fn totals(numbers: &Numbers) -> Answers {
    let sums = numbers.sums();
    let last = sums.iter().rposition(|sum| *sum > 0).map_or(TIMES, |last| (last + 1).max(TIMES));
    let times = sums[TIMES..last].to_vec();
    Answers { count: times.iter().sum(), client_errors: sums[CLIENT_ERRORS], server_errors: sums[SERVER_ERRORS], times }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_add_up_apart_by_how_they_came_about() {
        let answered = Answered::default();
        let us = Duration::from_micros;
        answered.count_as(Way::AtOnce, StatusCode::OK, us(3));
        answered.count_as(Way::AtOnce, StatusCode::NOT_MODIFIED, us(3));
        answered.count_as(Way::Longer, StatusCode::NOT_FOUND, us(100));
        answered.count_as(Way::Longer, StatusCode::BAD_GATEWAY, us(u64::MAX / 2_000));
        let totals = answered.totals();
        assert_eq!(totals[&Way::AtOnce], Answers { count: 2, times: vec![0, 0, 2], ..Answers::default() });
        let longer = &totals[&Way::Longer];
        assert_eq!((longer.count, longer.client_errors, longer.server_errors), (2, 1, 1));
        assert_eq!((longer.times[7], longer.times[QUERY_TIME_BUCKETS - 1]), (1, 1));
    }
}

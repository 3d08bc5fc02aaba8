//! When each request of an open loop is meant to be sent.

use std::time::Duration;

/// Evenly spaced arrivals, all decided before the first is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    per_second: f64,
    pub arrivals: u64,
}

impl Schedule {
    /// At least one arrival, so that a very slow contender still has a latency.
    pub fn new(per_second: f64, lasts: Duration) -> Self {
        let arrivals = (per_second * lasts.as_secs_f64()).floor().max(1.0) as u64;
        Self { per_second, arrivals }
    }

    /// The intended send time of arrival `index`, from the start; none past the last. Computed from the index each
    /// time, so that no error adds up.
    pub fn at(self, index: u64) -> Option<Duration> {
        (index < self.arrivals).then(|| Duration::from_secs_f64(index as f64 / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_evenly_spaced_and_end_with_the_phase() {
        let schedule = Schedule::new(4.0, Duration::from_secs(2));
        let times: Vec<u128> = (0..).map_while(|index| schedule.at(index)).map(|at| at.as_millis()).collect();
        assert_eq!(times, [0, 250, 500, 750, 1000, 1250, 1500, 1750]);
    }

    #[test]
    fn a_rate_that_divides_nothing_does_not_drift() {
        let schedule = Schedule::new(30_000.0, Duration::from_secs(100));
        assert_eq!(schedule.arrivals, 3_000_000);
        assert_eq!(schedule.at(2_999_970).unwrap().as_millis(), 99_999);
    }

    #[test]
    fn at_least_one() {
        let schedule = Schedule::new(0.1, Duration::from_secs(1));
        assert_eq!(schedule.arrivals, 1);
        assert_eq!(schedule.at(0), Some(Duration::ZERO));
        assert_eq!(schedule.at(1), None);
    }
}

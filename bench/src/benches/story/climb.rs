//! Rising load: which rates are tried, and when a contender has had enough.

use std::collections::BTreeMap;
use std::fmt;

use crate::limits::{
    STORY_FAILED_SHARE, STORY_FIRST_RPS, STORY_GENERATOR_PERCENT, STORY_P99_MS, STORY_STEP, STORY_STEPS_MOST,
    STORY_WORK_LEFT_S,
};
use crate::value::Metric;

/// Why a contender does not bear a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bend {
    Slow,
    Failing,
    /// What it put off is not done soon after: at this rate it would pile up.
    WorkLeft,
    /// Nobody knows: the generator has no time left.
    Generator,
}

impl fmt::Display for Bend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Bend::Slow => "p99 is too long",
            Bend::Failing => "too many requests fail",
            Bend::WorkLeft => "what was put off piles up",
            Bend::Generator => "the generator can do no more",
        })
    }
}

/// What a turn says of its rate; none if it was borne.
pub(super) fn bend(values: &BTreeMap<Metric, f64>) -> Option<Bend> {
    let value = |metric| values.get(&metric).copied().unwrap_or(0.0);
    if value(Metric::GeneratorCpu) > STORY_GENERATOR_PERCENT {
        return Some(Bend::Generator);
    }
    if value(Metric::Failed) > STORY_FAILED_SHARE * value(Metric::Requests) {
        return Some(Bend::Failing);
    }
    if value(Metric::FirstByteP99) > STORY_P99_MS {
        return Some(Bend::Slow);
    }
    (value(Metric::WorkLeft) > STORY_WORK_LEFT_S).then_some(Bend::WorkLeft)
}

/// All rates there are, in requests a second, each a step above the one before and of two digits.
pub(super) fn rates() -> Vec<f64> {
    (0..STORY_STEPS_MOST).map(|step| two_digits(STORY_FIRST_RPS * STORY_STEP.powi(step))).collect()
}

fn two_digits(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 1.0);
    (rate / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_evenly() {
        let rates = rates();
        assert_eq!(rates[0], STORY_FIRST_RPS);
        for pair in rates.windows(2) {
            assert!((pair[1] / pair[0] / STORY_STEP - 1.0).abs() < 0.06, "{pair:?}");
        }
        assert_eq!(two_digits(1_139.0), 1_100.0);
    }

    #[test]
    fn what_is_too_much() {
        let values = |failed, p99, left, generator| {
            BTreeMap::from([
                (Metric::Requests, 10_000.0),
                (Metric::Failed, failed),
                (Metric::FirstByteP99, p99),
                (Metric::WorkLeft, left),
                (Metric::GeneratorCpu, generator),
            ])
        };
        assert_eq!(bend(&values(10.0, 500.0, 0.5, 50.0)), None);
        assert_eq!(bend(&values(11.0, 900.0, 0.5, 50.0)), Some(Bend::Failing));
        assert_eq!(bend(&values(0.0, 501.0, 99.0, 50.0)), Some(Bend::Slow));
        assert_eq!(bend(&values(0.0, 5.0, 99.0, 50.0)), Some(Bend::WorkLeft));
        assert_eq!(bend(&values(99.0, 900.0, 0.0, 99.0)), Some(Bend::Generator));
    }
}

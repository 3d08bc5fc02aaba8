//! What nodes counted in a while, added up.

use std::collections::BTreeMap;

use nearside_protocol::{
    fleet::{Point, Window},
    heartbeat::{Answers, Totals, Way},
    limits, times,
};

/// The names of results, each once for all nodes and hours.
#[derive(Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// A name's place; none for what is too much, which is not counted apart.
    pub(super) fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(at) = self.0.iter().position(|known| known == name) {
            return Some(at);
        }
        if self.0.len() >= limits::FLEET_RESULTS || name.len() > limits::NODE_NAME_BYTES {
            return None;
        }
        self.0.push(name.to_owned());
        Some(self.0.len() - 1)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    at_once: Answers,
    longer: Answers,
    /// By the places of their names.
    results: Vec<u64>,
    renders: u64,
    query_runs: u64,
    query_rows: u64,
}

impl Sums {
    pub(super) fn of(totals: &Totals, names: &mut Names) -> Sums {
        let mut results = Vec::new();
        for (name, count) in &totals.results {
            let Some(place) = names.place(name) else { continue };
            results.resize(results.len().max(place + 1), 0);
            results[place] = *count;
        }
        let answers = |way| totals.answers.get(&way).cloned().unwrap_or_default();
        Sums {
            at_once: answers(Way::AtOnce),
            longer: answers(Way::Longer),
            results,
            renders: totals.renders,
            query_runs: totals.query_runs,
            query_rows: totals.query_rows,
        }
    }

    fn both(&self, other: &Sums, with: impl Fn(u64, u64) -> u64 + Copy) -> Sums {
        let at = |results: &[u64], place: usize| results.get(place).copied().unwrap_or(0);
        let length = self.results.len().max(other.results.len());
        Sums {
            at_once: self.at_once.both(&other.at_once, with),
            longer: self.longer.both(&other.longer, with),
            results: (0..length).map(|place| with(at(&self.results, place), at(&other.results, place))).collect(),
            renders: with(self.renders, other.renders),
            query_runs: with(self.query_runs, other.query_runs),
            query_rows: with(self.query_rows, other.query_rows),
        }
    }

    pub(super) fn add(&mut self, other: &Sums) {
        *self = self.both(other, u64::saturating_add);
    }

    /// What came since these totals of the same process.
    pub(super) fn since(&self, before: &Sums) -> Sums {
        self.both(before, u64::saturating_sub)
    }

    /// One of so many equal parts, without the remainder.
    pub(super) fn part(&self, parts: u64) -> Sums {
        self.both(&Sums::default(), |count, _| count / parts.max(1))
    }

    pub(super) fn window(&self, seconds: u64, names: &Names) -> Window {
        let mut all = self.at_once.clone();
        all = all.both(&self.longer, u64::saturating_add);
        let us = |times: &[u64], part| times::time_ns_of(times, part).map(|ns| ns.div_ceil(1_000));
        let named = names.0.iter().zip(&self.results).filter(|(_, count)| **count > 0);
        let results: BTreeMap<String, u64> = named.map(|(name, count)| (name.clone(), *count)).collect();
        Window {
            seconds,
            answers: all.count,
            client_errors: all.client_errors,
            server_errors: all.server_errors,
            ttfb_p50_us: us(&all.times, 0.5),
            ttfb_p99_us: us(&all.times, 0.99),
            longer: self.longer.count,
            longer_p50_us: us(&self.longer.times, 0.5),
            longer_p99_us: us(&self.longer.times, 0.99),
            results,
            renders: self.renders,
            query_runs: self.query_runs,
            query_rows: self.query_rows,
        }
    }

    pub(super) fn point(&self, names: &Names) -> Point {
        let window = self.window(0, names);
        Point {
            answers: window.answers,
            server_errors: window.server_errors,
            ttfb_p50_us: window.ttfb_p50_us,
            ttfb_p99_us: window.ttfb_p99_us,
            hit_ratio: window.hits().ratio(),
        }
    }
}

//! Parameters of the runs that read most, so that an index can be tried with what visitors ask for.
//!
//! They may be somebody's words, so they are few, in memory only, and never of a route that sees who asks.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use nearside_protocol::{
    limits::{QUERY_SAMPLE_BYTES, QUERY_SAMPLED_FIRST, QUERY_SAMPLES},
    query_report::{Parameter, Sample},
};

use super::run::Run;
use crate::bindings::edge::types::Value;

#[derive(Default)]
pub(super) struct Samples {
    /// What a run must have fetched more than, after the first ones, to be looked at.
    least: AtomicU64,
    looked_at: AtomicU32,
    kept: Mutex<Vec<Sample>>,
}

impl Samples {
    /// Mostly two loads: a run that reads as much as others do is not worth a lock.
    pub(super) fn consider(&self, parameters: &[Value], run: &Run) {
        if self.looked_at.load(Ordering::Relaxed) < QUERY_SAMPLED_FIRST {
            self.looked_at.fetch_add(1, Ordering::Relaxed);
        } else if run.fetches <= self.least.load(Ordering::Relaxed) {
            return;
        }
        let bytes: usize = parameters.iter().map(bytes_of).sum();
        if run.rows.is_none() || bytes > QUERY_SAMPLE_BYTES {
            return;
        }
        // Whoever would have to wait does without.
        let Ok(mut kept) = self.kept.try_lock() else { return };
        let parameters: Vec<Parameter> = parameters.iter().map(told).collect();
        let sample = Sample { parameters, time_ns: run.time.as_nanos() as u64, fetches: run.fetches };
        match kept.iter_mut().find(|known| known.parameters == sample.parameters) {
            Some(known) if known.fetches >= sample.fetches => return,
            Some(known) => *known = sample,
            None => kept.push(sample),
        }
        kept.sort_by_key(|sample| std::cmp::Reverse(sample.fetches));
        kept.truncate(QUERY_SAMPLES);
        self.least.store(kept.last().map_or(0, |sample| sample.fetches), Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Vec<Sample> {
        self.kept.lock().expect("BUG: nothing panics while holding samples").clone()
    }
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len() * 2,
        _ => size_of::<u64>(),
    }
}

fn told(value: &Value) -> Parameter {
    match value {
        Value::Null => Parameter::Null,
        Value::Integer(integer) => Parameter::Integer(*integer),
        Value::Real(real) => Parameter::Real(*real),
        Value::Text(text) => Parameter::Text(text.clone()),
        Value::Blob(blob) => Parameter::Blob(blob.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(fetches: u64) -> Run {
        Run { rows: Some(1), fetches, ..Run::default() }
    }

    #[test]
    fn the_runs_that_read_most_are_kept_and_each_once() {
        let samples = Samples::default();
        for n in 0..1_000 {
            samples.consider(&[Value::Integer(n % 100)], &run((n % 100) as u64));
        }
        // The first of them were all looked at, and later ones that read more.
        let kept: Vec<u64> = samples.all().iter().map(|sample| sample.fetches).collect();
        assert_eq!(kept, [99, 98, 97, 96]);
        samples.consider(&[Value::Integer(97)], &run(500));
        samples.consider(&[Value::Text("x".repeat(QUERY_SAMPLE_BYTES + 1))], &run(900));
        samples.consider(&[Value::Integer(1)], &Run { rows: None, ..run(900) });
        let kept = samples.all();
        assert_eq!((kept.len(), kept[0].fetches, &kept[0].parameters), (4, 500, &vec![Parameter::Integer(97)]));
    }
}

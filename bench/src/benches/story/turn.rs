//! One turn of one contender at one rate: the load, what its visitors noticed, and what it cost until all of it was done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::contenders::Contender;
use super::fresh::{self, Seen};
use super::traffic::Traffic;
use crate::cpu;
use crate::limits::STORY_SETTLE;
use crate::load::{Asked, Judging, Note, Plan, visited};
use crate::percentile::{percentile, spread};
use crate::report::Settings;
use crate::request::Requests;
use crate::run::Used;
use crate::value::Metric;

pub(super) struct Turn<'a> {
    pub(super) traffic: &'a Traffic,
    pub(super) settings: &'a Settings,
    /// Which visitors come: the same for turns that are compared.
    pub(super) number: u64,
    /// Another for each turn: what is written is never what somebody wrote before.
    pub(super) repeat: u64,
    pub(super) rate_rps: f64,
}

/// What was counted before and after.
struct Counted {
    queries: Option<u64>,
    told: u64,
    used: Used,
    cpu_us: u64,
}

/// What the visitors of all places noticed.
struct Visits {
    notes: Vec<Note>,
    send_late_p99_us: f64,
    /// What the generator took of its core, while it sent.
    generator_percent: f64,
}

impl Turn<'_> {
    pub(super) async fn of(&self, contender: &Contender) -> Result<BTreeMap<Metric, f64>> {
        let lasts = Duration::from_secs_f64(self.settings.seconds);
        let arrivals = (self.rate_rps * self.settings.seconds) as usize;
        let places = contender.addresses.len();
        let dealt = self.traffic.turn(self.number, self.repeat, arrivals.max(places), places)?;
        let before = Counted::now(contender).await?;
        let looking = fresh::look(contender, self.traffic, self.repeat, Instant::now() + lasts);
        let (visits, seen) = tokio::try_join!(self.visits(contender, dealt, lasts), looking)?;
        let left = contender.done().await?;
        // What was put off may end with a release, which nodes have yet to take.
        tokio::time::sleep(STORY_SETTLE).await;
        let after = Counted::now(contender).await?;
        let mut values = self.noticed(&visits, &seen)?;
        let requests = (visits.notes.len() as u64 + seen.requests) as f64;
        values.insert(Metric::Requests, requests);
        values.insert(Metric::CpuOpen, (after.cpu_us - before.cpu_us) as f64 / requests);
        values.insert(Metric::OthersCpu, after.used.others_share_since(&before.used));
        values.insert(Metric::GeneratorCpu, visits.generator_percent);
        values.insert(Metric::WorkLeft, left.as_secs_f64());
        if let (Some(before), Some(after)) = (before.queries, after.queries) {
            values.insert(Metric::QueriesRequest, (after - before) as f64 / requests);
        }
        let taken = taken(&visits.notes) + seen.posted;
        values.insert(Metric::NotTold, taken as f64 - (after.told - before.told) as f64);
        Ok(values)
    }

    async fn visits(&self, contender: &Contender, dealt: Vec<Requests>, lasts: Duration) -> Result<Visits> {
        let places = contender.addresses.len();
        let (began, before_us) = (Instant::now(), cpu::own_microseconds()?);
        let mut loads = JoinSet::new();
        for (address, requests) in contender.addresses.iter().zip(dealt) {
            let plan = Plan {
                address: *address,
                requests: Arc::new(requests),
                connections: (self.settings.connections / places).max(1),
                threads: self.settings.load_threads,
                judging: Judging::Visiting,
            };
            let rate_rps = self.rate_rps / places as f64;
            loads.spawn(async move { visited(&plan, rate_rps, lasts).await });
        }
        let mut visits = Visits { notes: Vec::new(), send_late_p99_us: 0.0, generator_percent: 0.0 };
        while let Some(load) = loads.join_next().await {
            let (open, notes) = load.context("a load panicked")??;
            visits.notes.extend(notes);
            visits.send_late_p99_us = visits.send_late_p99_us.max(open.send_late_p99_us);
        }
        let took_us = began.elapsed().as_micros() as f64;
        visits.generator_percent = 100.0 * (cpu::own_microseconds()? - before_us) as f64 / took_us;
        Ok(visits)
    }

    fn noticed(&self, visits: &Visits, seen: &Seen) -> Result<BTreeMap<Metric, f64>> {
        let notes = &visits.notes;
        let is = |asked: fn(Asked) -> bool| notes.iter().filter(move |note| asked(note.asked));
        let own = is(|asked| matches!(asked, Asked::Own { .. })).count();
        let shown = is(|asked| matches!(asked, Asked::Own { shown: true })).count();
        let hits = notes.iter().filter(|note| note.how.is_hit() && !note.failed).count();
        let mut values = BTreeMap::from([
            (Metric::Rate, self.rate_rps),
            (Metric::Failed, notes.iter().filter(|note| note.failed).count() as f64),
            (Metric::Hits, 100.0 * hits as f64 / notes.len().max(1) as f64),
            (Metric::SendLateP99, visits.send_late_p99_us),
            (Metric::Deferred, notes.iter().filter(|note| note.status == 202).count() as f64),
        ]);
        let of = [
            (Metric::FirstByteP50, Metric::FirstByteP99, sorted_ns(notes.iter())),
            (Metric::PagesP50, Metric::PagesP99, sorted_ns(is(|asked| asked == Asked::Page))),
            (Metric::FormsP50, Metric::FormsP99, sorted_ns(is(|asked| asked == Asked::Form))),
            (Metric::OwnP50, Metric::OwnP99, sorted_ns(is(|asked| matches!(asked, Asked::Own { .. })))),
        ];
        for (p50, p99, sorted) in of {
            let ms = |share| percentile(&sorted, share).map(|ns| ns as f64 / 1e6);
            values.extend(ms(0.50).map(|ms| (p50, ms)));
            values.extend(ms(0.99).map(|ms| (p99, ms)));
        }
        if own > 0 {
            values.insert(Metric::OwnShown, 100.0 * shown as f64 / own as f64);
        }
        if let Some(spread) = spread(&seen.after_ms) {
            values.insert(Metric::SeenP50, spread.median);
            values.insert(Metric::SeenMax, spread.max);
        }
        Ok(values)
    }
}

impl Counted {
    async fn now(contender: &Contender) -> Result<Self> {
        let cpu_us = contender.processes.iter().map(|process| cpu::microseconds(*process)).sum::<Result<u64>>()?;
        let (queries, told) = (contender.queries().await?, contender.receiver.told());
        Ok(Self { queries, told, used: Used::now(&contender.processes)?, cpu_us })
    }
}

/// Reviews that were acknowledged.
fn taken(notes: &[Note]) -> u64 {
    notes.iter().filter(|note| note.asked == Asked::Form && !note.failed).count() as u64
}

/// Until the first byte.
fn sorted_ns<'n>(notes: impl Iterator<Item = &'n Note>) -> Vec<u64> {
    let mut sorted: Vec<u64> = notes.map(|note| (note.first_byte_us * 1e3) as u64).collect();
    sorted.sort_unstable();
    sorted
}

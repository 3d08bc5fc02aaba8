//! One node: what it said last, and what it counted in the last hour.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use nearside_protocol::{
    fleet::Told,
    heartbeat::{Declared, Heartbeat, Sibling},
    limits,
    unix_time::now_ms,
};

use super::{Span, noted::Noted, sums::Sums};

#[derive(Default)]
pub(super) struct Node {
    pub(super) declared: Declared,
    /// By both clocks; the first of them only since this origin started.
    pub(super) heard: Option<Instant>,
    pub(super) heard_at_ms: Option<u64>,
    first_heard: Option<Instant>,
    pub(super) beat: Option<Heartbeat>,
    /// The totals it told last.
    totals: Sums,
    cpu_share: Option<f64>,
    /// What came in each part of the last hour, by the part's number.
    pub(super) slots: VecDeque<(u64, Sums)>,
    /// The process before this one, and when two of them were seen to take turns.
    before: Option<String>,
    twins: Option<Instant>,
}

/// When something is heard.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) slot: u64,
    /// Since the origin's start.
    pub(super) listened: Duration,
}

impl Node {
    pub(super) fn remembered(noted: Noted) -> Node {
        Node { declared: noted.declared, heard_at_ms: noted.heard_at_ms, ..Node::default() }
    }

    pub(super) fn noted(&self, name: &str) -> Noted {
        Noted { node: name.to_owned(), declared: self.declared.clone(), heard_at_ms: self.heard_at_ms }
    }

    pub(super) fn hear(&mut self, beat: Heartbeat, totals: Sums, at: Moment) {
        let Moment { now, slot, listened } = at;
        let before = self.beat.take();
        let is_same = before.as_ref().is_some_and(|before| before.process == beat.process);
        if let Some(before) = before.as_ref().filter(|_| !is_same) {
            self.turn(before, &beat, now);
        }
        let news = match is_same {
            true => totals.since(&self.totals),
            false if beat.uptime_ms <= listened.min(limits::FLEET_SLOT).as_millis() as u64 => totals.clone(),
            // It has counted for longer than this origin has listened, or for long: when what happened cannot be told.
            false => Sums::default(),
        };
        self.cpu_share = before.filter(|_| is_same).and_then(|before| share(&before, &beat)).or(self.cpu_share);
        self.count(news, slot);
        self.totals = totals;
        self.declared = beat.declared.clone();
        self.first_heard.get_or_insert(now);
        (self.heard, self.heard_at_ms) = (Some(now), Some(now_ms()));
        self.beat = Some(beat);
    }

    /// Another process than the one before. Two that take turns are twins: a node that is started anew does not come back.
    fn turn(&mut self, before: &Heartbeat, beat: &Heartbeat, now: Instant) {
        if self.before.as_deref() == Some(&beat.process) {
            self.twins = Some(now);
        }
        self.before = Some(before.process.clone());
        self.cpu_share = None;
    }

    /// What came after a silence is spread over it.
    fn count(&mut self, news: Sums, slot: u64) {
        let since = self.slots.back().map_or(slot, |(last, _)| *last);
        let gap = slot.saturating_sub(since).min(limits::FLEET_SLOTS as u64 - 1);
        let part = news.part(gap + 1);
        let mut rest = news;
        for missed in slot - gap..slot {
            rest = rest.since(&part);
            self.add(missed, part.clone());
        }
        self.add(slot, rest);
    }

    fn add(&mut self, slot: u64, sums: Sums) {
        match self.slots.back_mut() {
            Some((number, there)) if *number == slot => there.add(&sums),
            _ => self.slots.push_back((slot, sums)),
        }
        while self.slots.len() > limits::FLEET_SLOTS {
            self.slots.pop_front();
        }
    }

    pub(super) fn sum(&self, span: Span) -> Sums {
        let mut sum = Sums::default();
        let within = self.slots.iter().filter(|(slot, _)| (span.first..=span.last).contains(slot));
        within.for_each(|(_, sums)| sum.add(sums));
        sum
    }

    /// How long this origin has listened to it.
    pub(super) fn listened(&self, now: Instant) -> Duration {
        self.first_heard.map_or(Duration::ZERO, |first| now.saturating_duration_since(first))
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.heard.is_none_or(|heard| now.saturating_duration_since(heard) > limits::SILENT_AFTER)
    }

    pub(super) fn told(&self, now: Instant) -> Option<Told> {
        const TWINS_TOLD: Duration = Duration::from_secs(60);
        let beat = self.beat.as_ref()?;
        Some(Told {
            version: beat.version.clone(),
            uptime_s: beat.uptime_ms / 1_000,
            apps: beat.apps.clone(),
            load: beat.load,
            cpu_share: self.cpu_share,
            outbox: beat.outbox.clone(),
            refusals: beat.totals.refusals,
            is_twin: self.twins.is_some_and(|seen| now.saturating_duration_since(seen) < TWINS_TOLD),
        })
    }

    pub(super) fn sibling(&self, name: &str, now: Instant) -> Option<Sibling> {
        let beat = self.beat.as_ref()?;
        Some(Sibling {
            node: name.to_owned(),
            declared: self.declared.clone(),
            is_serving: beat.unready.is_none(),
            heard_ms_ago: self.heard.map_or(0, |heard| now.saturating_duration_since(heard).as_millis() as u64),
            load: beat.load,
            cpu_share: self.cpu_share,
            releases: beat.apps.iter().map(|(app, beat)| (app.clone(), beat.release)).collect(),
        })
    }
}

/// CPU time a second and core between two heartbeats of one process.
fn share(before: &Heartbeat, beat: &Heartbeat) -> Option<f64> {
    let ms = beat.uptime_ms.checked_sub(before.uptime_ms).filter(|ms| *ms > 0)?;
    let cpu_ms = beat.load.cpu_ms.saturating_sub(before.load.cpu_ms);
    Some((cpu_ms as f64 / ms as f64 / beat.load.cores.max(1) as f64).clamp(0.0, 1.0))
}

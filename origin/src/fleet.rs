//! The nodes, as their heartbeats tell: how each is, and windows of what they counted. In memory, because they tell it again;
//! only who they are is written down, so that one that died while the origin was away is missed.
//!
//! | module | what it holds |
//! |---|---|
//! | `node` | one node: what it said last, and its last hour |
//! | `sums` | what was counted in a while |
//! | `health` | how a node is, as a function of values |
//! | `noted` | who there is, on disk |

mod health;
mod node;
mod noted;
mod sums;

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_host::disk::Disk;
use nearside_protocol::{
    canary::Candidacy,
    fleet,
    heartbeat::{AppBeat, BadHeartbeat, Heartbeat, Sibling, Siblings},
    limits,
    unix_time::now_ms,
};

pub(crate) use health::Head;
use node::{Moment, Node};
use noted::Noted;
use sums::{Names, Sums};

/// What a node told last of one app.
#[derive(Clone, Debug)]
pub(crate) struct HeardOf {
    pub(crate) node: String,
    pub(crate) process: String,
    pub(crate) is_silent: bool,
    pub(crate) app: Option<AppBeat>,
}

impl HeardOf {
    /// Whether it serves a candidate of this canary.
    pub(crate) fn tries(&self, canary: &Candidacy) -> bool {
        let served = self.app.as_ref().and_then(|app| app.served.as_ref());
        served.is_some_and(|served| served.canary_ms == Some(canary.since_ms))
    }
}

pub(crate) struct Nodes {
    began: Instant,
    known: Mutex<Known>,
}

struct Known {
    nodes: BTreeMap<String, Node>,
    names: Names,
    /// Who there is has changed since it was written down; when that was.
    is_news: bool,
    noted: Instant,
}

/// A span of the last hour, by the numbers of its parts.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
}

impl Nodes {
    /// With those that were known before.
    pub(crate) fn open(folder: &Path) -> io::Result<Nodes> {
        let nodes =
            noted::load(folder)?.into_iter().map(|noted| (noted.node.clone(), Node::remembered(noted))).collect();
        let began = Instant::now();
        let known = Known { nodes, names: Names::default(), is_news: false, noted: began };
        Ok(Nodes { began, known: Mutex::new(known) })
    }

    /// A node tells how it is, and is told of the others.
    pub(crate) fn take(&self, beat: Heartbeat, now: Instant) -> Result<Siblings, BadHeartbeat> {
        beat.check()?;
        let at = Moment { now, slot: self.slot(now), listened: self.since(now) };
        let mut known = self.known();
        let Known { nodes, names, is_news, .. } = &mut *known;
        let sums = Sums::of(&beat.totals, names);
        let (name, place) = (beat.node.clone(), beat.declared.place.clone());
        let node = nodes.entry(name.clone()).or_insert_with(|| {
            *is_news = true;
            Node::default()
        });
        *is_news |= node.declared != beat.declared;
        node.hear(beat, sums, at);
        known.keep_bounds();
        Ok(known.siblings_of(&name, place.as_deref(), now))
    }

    /// All of it; `heads` are the newest releases.
    pub(crate) fn view(&self, heads: &BTreeMap<String, Head>, now: Instant) -> fleet::Fleet {
        let current = self.slot(now);
        let into_slot = self.since(now).as_secs() - current * limits::FLEET_SLOT.as_secs();
        let span = |slots: u64| Span { first: current.saturating_sub(slots), last: current };
        let seconds = |span: Span| (span.last - span.first) * limits::FLEET_SLOT.as_secs() + into_slot;
        let (minute, hour) = (span(6), span(limits::FLEET_SLOTS as u64 - 1));
        let (step, steps) = self.steps(current);
        let now_ms = now_ms();
        let known = self.known();
        let started = self.since(now);

        let mut all = (Sums::default(), Sums::default());
        let mut all_steps = vec![Sums::default(); steps.len()];
        let mut nodes = Vec::new();
        for (name, node) in &known.nodes {
            let (of_minute, of_hour) = (node.sum(minute), node.sum(hour));
            let of_steps: Vec<Sums> = steps.iter().map(|step| node.sum(*step)).collect();
            all.0.add(&of_minute);
            all.1.add(&of_hour);
            all_steps.iter_mut().zip(&of_steps).for_each(|(all, of)| all.add(of));
            let listened = |span: Span| seconds(span).min(node.listened(now).as_secs());
            nodes.push(fleet::Node {
                node: name.clone(),
                declared: node.declared.clone(),
                health: health::of(name, node, heads, now, now_ms, started),
                heard_at_ms: node.heard_at_ms,
                told: node.told(now),
                minute: of_minute.window(listened(minute), &known.names),
                hour: of_hour.window(listened(hour), &known.names),
                trend: of_steps.iter().map(|sums| sums.point(&known.names)).collect(),
            });
        }
        fleet::Fleet {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: started.as_secs(),
            now_ms,
            heads: heads.iter().map(|(app, head)| (app.clone(), head.release)).collect(),
            candidates: heads.iter().filter_map(|(app, head)| Some((app.clone(), head.candidate.clone()?.0))).collect(),
            nodes,
            minute: all.0.window(seconds(minute), &known.names),
            hour: all.1.window(seconds(hour), &known.names),
            trend: all_steps.iter().map(|sums| sums.point(&known.names)).collect(),
            trend_step_s: step * limits::FLEET_SLOT.as_secs(),
        }
    }

    /// The nodes that are heard.
    pub(crate) fn heard(&self, now: Instant) -> Vec<String> {
        let known = self.known();
        known.nodes.iter().filter(|(_, node)| !node.is_silent(now)).map(|(name, _)| name.clone()).collect()
    }

    /// What every node that was heard since the origin's start told last of one app.
    pub(crate) fn heard_of(&self, app: &str, now: Instant) -> Vec<HeardOf> {
        let known = self.known();
        let told = known.nodes.iter().filter_map(|(name, node)| Some((name, node, node.beat.as_ref()?)));
        let heard = told.map(|(name, node, beat)| HeardOf {
            node: name.clone(),
            process: beat.process.clone(),
            is_silent: node.is_silent(now),
            app: beat.apps.get(app).cloned(),
        });
        heard.collect()
    }

    /// Forgets a node that is no more; false when there is none of that name, or it is heard.
    pub(crate) fn forget(&self, name: &str, now: Instant) -> bool {
        let mut known = self.known();
        let is_gone = known.nodes.get(name).is_some_and(|node| node.is_silent(now));
        if is_gone {
            known.nodes.remove(name);
            known.is_news = true;
        }
        is_gone
    }

    /// Writes down who there is, when that has changed or was long ago. Blocks.
    pub(crate) fn note(&self, folder: &Path, disk: &Disk, now: Instant) -> io::Result<()> {
        let noted: Vec<Noted> = {
            let mut known = self.known();
            let is_old = now.saturating_duration_since(known.noted) >= limits::FLEET_NOTED_EVERY;
            let is_due = known.is_news || is_old && known.nodes.values().any(|node| node.heard.is_some());
            if !is_due {
                return Ok(());
            }
            (known.is_news, known.noted) = (false, now);
            known.nodes.iter().map(|(name, node)| node.noted(name)).collect()
        };
        let stored = noted::store(&noted, folder, disk);
        self.known().is_news |= stored.is_err();
        stored
    }

    /// The whole steps of the trend, old to new, and how many parts each has: fine ones while there are few.
    fn steps(&self, current: u64) -> (u64, Vec<Span>) {
        const STEPS: u64 = 60;
        let step = if current <= STEPS { 1 } else { limits::FLEET_SLOTS as u64 / STEPS };
        let steps = (current / step).min(STEPS);
        let nth = |n: u64| Span { first: current - n * step, last: current - (n - 1) * step - 1 };
        (step, (1..=steps).rev().map(nth).collect())
    }

    fn slot(&self, now: Instant) -> u64 {
        self.since(now).as_secs() / limits::FLEET_SLOT.as_secs()
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("BUG: nothing panics while holding the nodes")
    }
}

impl Known {
    /// The longest silent goes when there are too many, and whoever is silent for too long.
    fn keep_bounds(&mut self) {
        let before = self.nodes.len();
        let oldest_ms = now_ms().saturating_sub(limits::SILENT_FORGOTTEN.as_millis() as u64);
        self.nodes.retain(|_, node| node.heard_at_ms.is_some_and(|heard_at_ms| heard_at_ms >= oldest_ms));
        while self.nodes.len() > limits::FLEET_NODES {
            let longest = self.nodes.iter().min_by_key(|(_, node)| (node.heard, node.heard_at_ms));
            let Some(name) = longest.map(|(name, _)| name.clone()) else { break };
            self.nodes.remove(&name);
        }
        self.is_news |= self.nodes.len() != before;
    }

    /// Those that are heard, of the same place first, and of them the ones with most to spare.
    fn siblings_of(&self, name: &str, place: Option<&str>, now: Instant) -> Siblings {
        let others = self.nodes.iter().filter(|(other, node)| *other != name && !node.is_silent(now));
        let mut siblings: Vec<(bool, Sibling)> = others
            .filter_map(|(other, node)| {
                let is_near = place.is_some() && node.declared.place.as_deref() == place;
                Some((is_near, node.sibling(other, now)?))
            })
            .collect();
        let busy = |sibling: &Sibling| sibling.load.renders_running.saturating_add(sibling.load.renders_waiting);
        siblings.sort_by(|(near, one), (other_near, other)| {
            other_near.cmp(near).then(busy(one).cmp(&busy(other))).then_with(|| one.node.cmp(&other.node))
        });
        let siblings = siblings.into_iter().take(limits::SIBLINGS_TOLD).map(|(_, sibling)| sibling).collect();
        Siblings { siblings, secret: None }
    }
}

#[cfg(test)]
mod tests;

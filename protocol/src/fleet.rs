//! The fleet as the origin sees it, made of heartbeats.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/fleet` | [`Fleet`] |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    heartbeat::{AppBeat, Declared, Load, OutboxBeat},
    release::ReleaseId,
    words::lasting,
};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fleet {
    /// The origin's.
    pub version: String,
    pub uptime_s: u64,
    /// Unix time, milliseconds.
    pub now_ms: u64,
    pub heads: BTreeMap<String, ReleaseId>,
    /// Of apps that a canary runs of.
    #[serde(default)]
    pub candidates: BTreeMap<String, Candidate>,
    /// By name.
    pub nodes: Vec<Node>,
    /// All nodes together.
    pub minute: Window,
    pub hour: Window,
    /// The time since the origin started, or the last hour of it, old to new, in steps of so many seconds.
    pub trend: Vec<Point>,
    pub trend_step_s: u64,
}

/// A release that some nodes try out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    pub release: ReleaseId,
    pub nodes: Vec<String>,
}

impl Fleet {
    /// What a node is to serve of an app by now.
    pub fn wanted(&self, app: &str, node: &str) -> Option<ReleaseId> {
        let candidate = self.candidates.get(app).filter(|candidate| candidate.nodes.iter().any(|it| it == node));
        candidate.map(|candidate| candidate.release).or_else(|| self.heads.get(app).copied())
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Node {
    pub node: String,
    #[serde(flatten)]
    pub declared: Declared,
    pub health: Health,
    /// Unix time, milliseconds; as the origin's clock has it.
    pub heard_at_ms: Option<u64>,
    /// What it said last; absent while it has said nothing since the origin started.
    pub told: Option<Told>,
    pub minute: Window,
    pub hour: Window,
    pub trend: Vec<Point>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Told {
    pub version: String,
    pub uptime_s: u64,
    pub apps: BTreeMap<String, AppBeat>,
    pub load: Load,
    /// CPU time a second and core, over its last heartbeats.
    pub cpu_share: Option<f64>,
    pub outbox: Option<OutboxBeat>,
    pub refusals: u64,
    /// Two processes call themselves so: what is counted of them is mixed up.
    pub is_twin: bool,
}

/// How a node is, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// It answers visitors, with what is newest.
    Serving,
    /// It answers, with something older than it should have by now.
    Behind { app: String, serves: Option<ReleaseId>, newest: ReleaseId, why: Lag },
    /// It says of itself that no visitors should be sent there.
    Unready { why: String },
    /// Nothing was heard of it since then: Unix time, milliseconds.
    Silent { since_ms: u64 },
    /// The origin has just started, and knows of it from before.
    Unknown,
}

/// Why a node is behind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lag {
    /// It is being pulled, and so far has come: thousandths.
    Pulling(u16),
    /// It was refused, in the node's words.
    Refused(String),
    /// It has been out for so long.
    NotTaken { out_ms: u64 },
    /// It was released again at a number above, when the origin's own disk was older.
    Ahead,
}

impl Health {
    /// As programs call it.
    pub fn name(&self) -> &'static str {
        match self {
            Health::Serving => "serving",
            Health::Behind { .. } => "behind",
            Health::Unready { .. } => "unready",
            Health::Silent { .. } => "silent",
            Health::Unknown => "unknown",
        }
    }

    /// Why it is not simply serving, for a person; nothing where the name says it all.
    pub fn reason(&self, now_ms: u64) -> Option<String> {
        match self {
            Health::Serving => None,
            Health::Unknown => Some("not heard yet since the origin started".into()),
            Health::Unready { why } => Some(why.clone()),
            Health::Silent { since_ms } => Some(format!("for {}", lasting(now_ms.saturating_sub(*since_ms)))),
            Health::Behind { app, serves, newest, why } => {
                let what = match serves {
                    Some(serves) => format!("{app} {serves} instead of {newest}"),
                    None => format!("nothing of {app}, whose newest is {newest}"),
                };
                Some(match why {
                    Lag::Pulling(permille) => format!("{what}: {} % pulled", permille / 10),
                    Lag::Refused(why) => format!("{what}: {why}"),
                    Lag::NotTaken { out_ms } => format!("{what}, out for {}", lasting(*out_ms)),
                    Lag::Ahead => format!("{what}: it has a newer one than the origin"),
                })
            }
        }
    }
}

/// What was counted in a span of time.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Window {
    /// How long was listened, of the span: what rates are made with.
    pub seconds: u64,
    pub answers: u64,
    pub client_errors: u64,
    pub server_errors: u64,
    pub ttfb_p50_us: Option<u64>,
    pub ttfb_p99_us: Option<u64>,
    /// The same of what was not sent at once.
    pub longer: u64,
    pub longer_p50_us: Option<u64>,
    pub longer_p99_us: Option<u64>,
    /// Requests by what became of them, by the names `/metrics` has.
    pub results: BTreeMap<String, u64>,
    pub renders: u64,
    pub query_runs: u64,
    pub query_rows: u64,
}

impl Window {
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(1) as f64
    }

    /// Requests for pages that were answered out of the cache, among those that might have been.
    pub fn hits(&self) -> Hits {
        let mut hits = Hits::default();
        for (name, count) in &self.results {
            let part = match Kind::of(name) {
                Kind::Hit => &mut hits.hits,
                Kind::Rendered => &mut hits.rendered,
                Kind::NotStored => &mut hits.not_stored,
                Kind::Beside => continue,
            };
            *part = part.saturating_add(*count);
        }
        hits
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Hits {
    pub hits: u64,
    /// Rendered and kept.
    pub rendered: u64,
    /// Rendered, and may not be kept.
    pub not_stored: u64,
}

impl Hits {
    pub fn all(&self) -> u64 {
        self.hits.saturating_add(self.rendered).saturating_add(self.not_stored)
    }

    pub fn ratio(&self) -> Option<f64> {
        (self.all() > 0).then(|| self.hits as f64 / self.all() as f64)
    }
}

/// What a result's name means for the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Hit,
    Rendered,
    NotStored,
    /// No page: a write, a file, a redirect, a refusal.
    Beside,
}

impl Kind {
    /// Of a name out of `/metrics`. Whoever waited for another's render was spared one.
    pub fn of(name: &str) -> Kind {
        match name {
            "stale" | "collapsed" => Kind::Hit,
            "by_sibling" => Kind::Rendered,
            "from_origin" | "by_sibling_not_stored" => Kind::NotStored,
            _ if name.starts_with("hit") => Kind::Hit,
            _ if name.starts_with("rendered_") => Kind::Rendered,
            _ if name.starts_with("not_stored_") => Kind::NotStored,
            _ => Kind::Beside,
        }
    }
}

/// A step of a trend.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Point {
    pub answers: u64,
    pub server_errors: u64,
    pub ttfb_p50_us: Option<u64>,
    pub ttfb_p99_us: Option<u64>,
    pub hit_ratio: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_told_from_what_might_have_been() {
        let results = [("hit", 6), ("hit_same_rows", 2), ("collapsed", 1), ("rendered_first", 2), ("static_file", 9)];
        let results = results.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let mut window = Window { results, ..Window::default() };
        window.results.insert("not_stored_reads_clock".into(), 1);
        assert_eq!(window.hits(), Hits { hits: 9, rendered: 2, not_stored: 1 });
        assert_eq!(window.hits().ratio(), Some(0.75));
        assert_eq!(Window::default().hits().ratio(), None);
    }

    #[test]
    fn health_says_why() {
        let release = |seq| ReleaseId { epoch: 1, seq };
        let behind = |why| Health::Behind { app: "a".into(), serves: Some(release(1)), newest: release(2), why };
        assert_eq!(Health::Serving.reason(0), None);
        assert_eq!(Health::Silent { since_ms: 1_000 }.reason(301_000).unwrap(), "for 5 min");
        assert_eq!(behind(Lag::Pulling(421)).reason(0).unwrap(), "a 1.1 instead of 1.2: 42 % pulled");
        assert_eq!(behind(Lag::NotTaken { out_ms: 20_000 }).reason(0).unwrap(), "a 1.1 instead of 1.2, out for 20 s");
        let json = serde_json::to_value(behind(Lag::Refused("no key".into()))).unwrap();
        assert_eq!((json["state"].as_str(), json["why"]["refused"].as_str()), (Some("behind"), Some("no key")));
    }
}

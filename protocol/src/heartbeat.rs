//! What a node tells the origin of itself every [`crate::limits::HEARTBEAT_EVERY`], and what it is told of its siblings.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/heartbeat` | [`Heartbeat`] | [`Siblings`] |
//!
//! Counts are totals since the process started, never differences: what does not arrive is in the next one. The origin
//! makes windows of them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{canary::Served, digest::Digest, limits, release::ReleaseId, times};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    pub node: String,
    /// Unlike that of any other process: totals of the same one only grow.
    pub process: String,
    #[serde(flatten)]
    pub declared: Declared,
    pub version: String,
    pub uptime_ms: u64,
    /// Why no visitors should be sent there.
    pub unready: Option<String>,
    pub apps: BTreeMap<String, AppBeat>,
    pub load: Load,
    pub totals: Totals,
    pub outbox: Option<OutboxBeat>,
}

/// What the operator says of a node, which it cannot know by itself.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Declared {
    /// Where it is, in the operator's words: `fra`, say. Nodes of one place are near each other.
    #[serde(default)]
    pub place: Option<String>,
    /// Where visitors reach it, and where operators and siblings do.
    #[serde(default)]
    pub public: Option<String>,
    #[serde(default)]
    pub admin: Option<String>,
}

/// One app at a node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AppBeat {
    pub release: ReleaseId,
    pub behind_at_most_ms: Option<u64>,
    /// Why a newer release is not served.
    pub refused: Option<String>,
    /// How far a pull has come, in thousandths.
    #[serde(default)]
    pub pulled_permille: Option<u16>,
    /// What requests for pages came to, on this version of the app; counts go on over data releases. Not told by nodes of an
    /// earlier version.
    #[serde(default)]
    pub served: Option<ServedBeat>,
    /// What is not served, and why, by the refusal's name; only what is refused for good.
    #[serde(default)]
    pub refusal: Option<RefusalBeat>,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct ServedBeat {
    /// The canary that it is a candidate of: [`crate::canary::Candidacy::since_ms`].
    #[serde(default)]
    pub canary_ms: Option<u64>,
    #[serde(flatten)]
    pub served: Served,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusalBeat {
    pub release: ReleaseId,
    pub reason: String,
}

/// How busy it is at this moment.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Load {
    pub renders_running: u64,
    pub renders_waiting: u64,
    /// How many may run at once.
    pub render_places: u64,
    /// How long the last render waited for its place, where that is measured.
    #[serde(default)]
    pub queue_delay_us: Option<u64>,
    /// It refuses visitors of its own, or has just done so.
    #[serde(default)]
    pub is_hot: bool,
    pub cores: u64,
    /// CPU time the process has taken since it started.
    pub cpu_ms: u64,
}

/// What has been counted since the process started.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Totals {
    /// Requests by what became of them, by the names `/metrics` has: hits and renders with their reasons.
    pub results: BTreeMap<String, u64>,
    /// Answers by how they came about.
    pub answers: BTreeMap<Way, Answers>,
    pub renders: u64,
    pub query_runs: u64,
    pub query_rows: u64,
    /// Releases, heads and objects that were refused.
    pub refusals: u64,
}

/// How an answer came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It was stored and right: sent where the request was read.
    AtOnce,
    /// It took longer: a render, a write, a file, a refusal.
    Longer,
}

impl Way {
    pub const ALL: [Way; 2] = [Way::AtOnce, Way::Longer];
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answers {
    pub count: u64,
    /// Of them, those that say that the client is wrong (4xx), and that the site is (5xx).
    pub client_errors: u64,
    pub server_errors: u64,
    /// From the request's head to the answer's, as [`times`] counts.
    pub times: Vec<u64>,
}

impl Answers {
    pub fn both(&self, other: &Answers, with: impl Fn(u64, u64) -> u64) -> Answers {
        Answers {
            count: with(self.count, other.count),
            client_errors: with(self.client_errors, other.client_errors),
            server_errors: with(self.server_errors, other.server_errors),
            times: times::both(&self.times, &other.times, with),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutboxBeat {
    pub waiting_writes: u64,
    pub unsure_writes: u64,
    pub oldest_at_ms: Option<u64>,
    /// Why nothing is taken any more.
    pub closed: Option<String>,
}

/// What the origin knows of the other nodes, the nearest first; at most [`limits::SIBLINGS_TOLD`]. A node keeps it as the last
/// word while the origin is away.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Siblings {
    pub siblings: Vec<Sibling>,
    /// By what these nodes know each other.
    #[serde(default)]
    pub secret: Option<SiblingSecret>,
}

/// Told by the origin to whoever shows a node's token, and another one every so often, and when a token is removed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiblingSecret(pub String);

impl SiblingSecret {
    /// What a node shows to another one to be given objects of releases: the secret itself does not travel there.
    pub fn pass(&self) -> String {
        Digest::from_bytes(blake3::derive_key("nearside 1 objects between nodes", self.0.as_bytes())).to_string()
    }
}

impl fmt::Debug for SiblingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiblingSecret")
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sibling {
    pub node: String,
    #[serde(flatten)]
    pub declared: Declared,
    /// Whether visitors can be sent there, by what was last heard of it.
    pub is_serving: bool,
    pub heard_ms_ago: u64,
    pub load: Load,
    /// CPU time a second and core, over its last heartbeats.
    pub cpu_share: Option<f64>,
    pub releases: BTreeMap<String, ReleaseId>,
}

/// Why a heartbeat is not taken.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BadHeartbeat {
    #[error("names of nodes and processes have 1 to {most} bytes, without control characters", most = limits::NODE_NAME_BYTES)]
    Name,
    #[error("{0} has more than {most} bytes", most = limits::NODE_WORDS_BYTES)]
    Words(&'static str),
    #[error("{0} apps; at most {most} are served", most = limits::APPS)]
    Apps(usize),
    #[error("{0} results; at most {most} are counted apart", most = limits::FLEET_RESULTS)]
    Results(usize),
}

impl Heartbeat {
    /// Whether it keeps the bounds.
    pub fn check(&self) -> Result<(), BadHeartbeat> {
        let is_name =
            |name: &str| (1..=limits::NODE_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
        if !is_name(&self.node) || !is_name(&self.process) {
            return Err(BadHeartbeat::Name);
        }
        let Declared { place, public, admin } = &self.declared;
        let refused = self.apps.values().filter_map(|app| app.refused.as_deref()).max_by_key(|why| why.len());
        let reasons = self.apps.values().filter_map(|app| app.refusal.as_ref()).map(|refusal| refusal.reason.as_str());
        let reason = reasons.max_by_key(|reason| reason.len());
        let closed = self.outbox.as_ref().and_then(|outbox| outbox.closed.as_deref());
        let words = [
            ("place", place.as_deref()),
            ("public", public.as_deref()),
            ("admin", admin.as_deref()),
            ("version", Some(self.version.as_str())),
            ("unready", self.unready.as_deref()),
            ("refused", refused),
            ("reason", reason),
            ("closed", closed),
        ];
        if let Some((what, _)) =
            words.iter().find(|(_, words)| words.is_some_and(|it| it.len() > limits::NODE_WORDS_BYTES))
        {
            return Err(BadHeartbeat::Words(what));
        }
        if self.apps.len() > limits::APPS {
            return Err(BadHeartbeat::Apps(self.apps.len()));
        }
        if self.totals.results.len() > limits::FLEET_RESULTS {
            return Err(BadHeartbeat::Results(self.totals.results.len()));
        }
        Ok(())
    }
}

/// Words cut to what a heartbeat may carry.
pub fn fitting(words: String) -> String {
    shortened(words, limits::NODE_WORDS_BYTES)
}

/// Cut between characters, and marked.
pub fn shortened(mut words: String, most_bytes: usize) -> String {
    const CUT: &str = "…";
    if words.len() > most_bytes {
        let end = (0..=most_bytes.saturating_sub(CUT.len())).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        words.truncate(end);
        words.push_str(CUT);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat() -> Heartbeat {
        Heartbeat {
            node: "a".into(),
            process: "1".into(),
            declared: Declared { place: Some("fra".into()), ..Declared::default() },
            version: "1".into(),
            uptime_ms: 1,
            unready: None,
            apps: BTreeMap::new(),
            load: Load::default(),
            totals: Totals { answers: [(Way::AtOnce, Answers::default())].into(), ..Totals::default() },
            outbox: None,
        }
    }

    #[test]
    fn it_travels_as_json_and_a_newer_nodes_fields_are_passed_over() {
        let mut json = serde_json::to_value(beat()).unwrap();
        json["mood"] = "good".into();
        assert_eq!(serde_json::from_value::<Heartbeat>(json).unwrap(), beat());
    }

    #[test]
    fn what_keeps_no_bounds_is_named() {
        assert_eq!(beat().check(), Ok(()));
        assert_eq!(Heartbeat { node: "a\n".into(), ..beat() }.check(), Err(BadHeartbeat::Name));
        let long = "x".repeat(limits::NODE_WORDS_BYTES + 1);
        assert_eq!(Heartbeat { unready: Some(long.clone()), ..beat() }.check(), Err(BadHeartbeat::Words("unready")));
        assert_eq!(Heartbeat { unready: Some(fitting(long)), ..beat() }.check(), Ok(()));
        let mut many = beat();
        many.totals.results = (0..200).map(|n| (n.to_string(), n)).collect();
        assert_eq!(many.check(), Err(BadHeartbeat::Results(200)));
    }

    #[test]
    fn words_are_cut_between_characters() {
        assert_eq!(shortened("häuser".into(), 5), "h…");
        assert_eq!(shortened("häuser".into(), 7), "häuser");
        assert_eq!(shortened("häuser".into(), 0), "…");
    }
}

//! What nodes and the origin say of themselves, for `nearside status` and for programs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{canary::Canary, digest::Digest, heartbeat::Sibling, release::ReleaseId, watermark::BackedUp};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub node: String,
    pub version: String,
    pub uptime_s: u64,
    pub origin: Option<OriginLink>,
    pub apps: BTreeMap<String, NodeApp>,
    pub requests: BTreeMap<String, u64>,
    /// Connections closed because their clients had as many as one may have.
    #[serde(default)]
    pub connections_refused: u64,
    pub cache_bytes: u64,
    pub cache_entries: u64,
    /// Encoded forms of stored responses, by what became of them.
    #[serde(default)]
    pub forms: BTreeMap<String, u64>,
    /// Stored responses by what became of them at switches.
    #[serde(default)]
    pub carried: BTreeMap<String, u64>,
    /// What was refused since the node started, by the reason's name.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    #[serde(default)]
    pub last_refusal: Option<Refused>,
    /// Pulls under way, by app.
    #[serde(default)]
    pub pulls: BTreeMap<String, Pulling>,
    /// Bytes that came from the origin and siblings since the node started, and bytes of pages written.
    #[serde(default)]
    pub pulled_bytes: u64,
    #[serde(default)]
    pub pages_written_bytes: u64,
    #[serde(default)]
    pub scrub: Scrub,
    #[serde(default)]
    pub outbox: Option<OutboxStatus>,
    /// The origin's last word on other nodes.
    #[serde(default)]
    pub siblings: Vec<Sibling>,
    /// What is shown to visitors, where that is TLS; the soonest to end first.
    #[serde(default)]
    pub certificates: Vec<CertificateEnds>,
    #[serde(default)]
    pub queue: QueueStatus,
    /// Renders that were not made because more was asked for than can be, by class and reason.
    #[serde(default)]
    pub shed: BTreeMap<String, BTreeMap<String, u64>>,
    /// Renders that siblings were to make, and those that they asked for here, by what became of them.
    #[serde(default)]
    pub handed: BTreeMap<String, u64>,
    #[serde(default)]
    pub taken: BTreeMap<String, u64>,
    /// Spans by what became of them; nothing where none are kept.
    #[serde(default)]
    pub spans: BTreeMap<String, u64>,
    /// Calls to its admin address refused for their token since the start, by [`crate::token::Refused`].
    #[serde(default)]
    pub refused_calls: BTreeMap<String, u64>,
}

/// When a certificate ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CertificateEnds {
    /// The first name it is for.
    pub name: String,
    /// Seconds since 1970.
    pub at_s: u64,
}

/// Renders under way and waiting; what is by class has the classes' names.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Those that may use a core before others wait.
    pub cores_most: u64,
    /// Those that use one now.
    pub running: u64,
    /// Those that have a place, whatever they wait for.
    pub under_way: u64,
    pub waiting: BTreeMap<String, u64>,
    pub admitted: BTreeMap<String, u64>,
    /// How long all those who were admitted had waited.
    pub waited_ms: BTreeMap<String, u64>,
}

/// A node's outbox.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OutboxStatus {
    pub id: String,
    pub waiting_writes: u64,
    pub waiting_bytes: u64,
    /// When the oldest that waits was taken: Unix time, milliseconds.
    pub oldest_at_ms: Option<u64>,
    /// Sent and not answered: it is being found out what became of them.
    #[serde(default)]
    pub unsure_writes: u64,
    /// Why nothing is taken any more, until the node is started again.
    pub closed: Option<String>,
}

/// One thing that was refused.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Refused {
    pub app: Option<String>,
    pub reason: String,
    pub message: String,
    /// Unix time, milliseconds.
    pub at_ms: u64,
}

/// How far a pull has come.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pulling {
    pub release: ReleaseId,
    pub bytes: u64,
    pub of_bytes: u64,
    pub bytes_per_s: u64,
    pub seconds_left: Option<u64>,
}

/// What hashing the kept pages again has found since the node started.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scrub {
    pub checked_pages: u64,
    /// Rounds over everything that is kept.
    pub rounds: u64,
    /// Found by it, or by a query.
    pub damaged_pages: u64,
    pub repaired_pages: u64,
    /// Waiting for somebody who has them.
    pub waiting_pages: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OriginLink {
    pub url: String,
    /// How long ago the origin last answered; absent when it never has since the node started.
    pub heard_ms_ago: Option<u64>,
    pub last_error: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeApp {
    pub release: ReleaseId,
    pub app_digest: Digest,
    pub applied_commit: u64,
    pub created_at_ms: u64,
    pub page_count: u64,
    pub hosts: Vec<String>,
    /// Why a newer release is not served, when one was refused.
    pub refused: Option<String>,
    /// By how much this release may be behind the newest: the time since the origin last vouched that it is the newest.
    #[serde(default)]
    pub behind_at_most_ms: Option<u64>,
    #[serde(default)]
    pub cache: AppCache,
    /// What this release's search indexes have in memory, once for all connections. What it has from the release before
    /// it counts here too.
    #[serde(default)]
    pub search_memory_bytes: u64,
}

/// What an app has of a node's cache.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct AppCache {
    pub bytes: u64,
    pub entries: u64,
    /// Entries that gave way to others since the node started.
    pub evictions: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OriginStatus {
    pub version: String,
    pub uptime_s: u64,
    pub key: String,
    pub apps: BTreeMap<String, OriginApp>,
    /// Spans by what became of them; nothing where none are kept.
    #[serde(default)]
    pub spans: BTreeMap<String, u64>,
    /// Calls refused for their token since the start, by [`crate::token::Refused`].
    #[serde(default)]
    pub refused_calls: BTreeMap<String, u64>,
}

/// Since when, and which release's content is served meanwhile.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Held {
    pub rolled_back_to: ReleaseId,
    /// Unix time, milliseconds.
    pub since_ms: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OriginApp {
    pub release: Option<ReleaseId>,
    pub app_digest: Option<Digest>,
    pub commit: u64,
    pub applied_commit: u64,
    pub page_count: u64,
    /// Tasks by state: due, running, done, dead.
    pub tasks: BTreeMap<String, u64>,
    /// How often the writer has waited for the disk since the origin started.
    #[serde(default)]
    pub transactions: u64,
    /// Nothing is published by itself since a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The canary that runs, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What the last audit found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audited>,
    /// The newest commit in a verified backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backed_up: Option<BackedUp>,
    pub last_error: Option<String>,
}

/// Whether the read database was what it would be if it were made anew.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Audited {
    /// When it ended: Unix time, milliseconds.
    pub at_ms: u64,
    pub took_ms: u64,
    /// Which commit both were at.
    pub commit: u64,
    /// What was held against each other, when all of it was the same.
    pub tables: u64,
    pub rows: u64,
    /// The first thing that differs.
    pub difference: Option<String>,
    /// Why it could not be done.
    pub failure: Option<String>,
}

impl Audited {
    pub fn is_same(&self) -> bool {
        self.difference.is_none() && self.failure.is_none()
    }
}

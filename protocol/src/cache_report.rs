//! What a node tells of its stored responses, for `nearside cache` and for programs.

use serde::{Deserialize, Serialize};

use crate::release::ReleaseId;

/// Some of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stored {
    pub responses: Vec<StoredResponse>,
    /// How many there are.
    pub of: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredResponse {
    pub app: String,
    /// Path and query, as the handler sees them.
    pub target: String,
    /// Headers the handler sees.
    pub headers: Vec<(String, String)>,
    pub status: u16,
    /// Which release it was rendered on.
    pub release: String,
    pub age_ms: u64,
    /// The switches of its app, counted from the node's start, from and to which it is known to be right.
    pub made_in: u64,
    pub right_until: u64,
    /// How often it has answered lately; each push halves what was.
    pub hits: u32,
    pub bytes: u64,
    pub took_us: u64,
    pub expires_in_ms: Option<u64>,
    /// Pages of the database it was computed from; none when they are too many to tell apart.
    pub pages: Option<usize>,
    /// What it asked; none when that was too much to ask again.
    pub questions: Option<usize>,
    /// How it came to be: `rendered`, `rendered-ahead` or `same-rows`.
    pub by: String,
    /// Why it was rendered, and the query whose answer had changed, if it was one.
    pub because: String,
    pub changed_query: Option<String>,
}

/// What a node has for one address, and what it would do with it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Explained {
    pub app: String,
    pub release: ReleaseId,
    /// The pattern of the route that answers there.
    pub route: String,
    pub target: String,
    /// One for each combination of the headers that the route declares.
    pub responses: Vec<ExplainedResponse>,
    /// Why the last one rendered could not be kept.
    pub not_stored: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExplainedResponse {
    pub response: StoredResponse,
    /// The first pages it was computed from.
    pub pages: Vec<u32>,
    pub questions: Vec<Asked>,
    /// What would become of it if it were asked for now: `pages-untouched`, `same-rows`, or why it would be rendered.
    pub verdict: String,
    pub is_kept: bool,
    /// The first of its pages that have changed since it was last known to be right.
    pub changed_pages: Vec<u32>,
    /// The query whose answer is another one now.
    pub changed_query: Option<String>,
}

/// A query and its parameters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub query: String,
    pub parameters: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Purged {
    pub purged: u64,
}

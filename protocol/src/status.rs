//! What nodes and the origin say of themselves, for `nearside status` and for programs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{digest::Digest, release::ReleaseId};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub node: String,
    pub version: String,
    pub uptime_s: u64,
    pub origin: Option<OriginLink>,
    pub apps: BTreeMap<String, NodeApp>,
    pub requests: BTreeMap<String, u64>,
    pub cache_bytes: u64,
    pub cache_entries: u64,
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
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OriginStatus {
    pub version: String,
    pub uptime_s: u64,
    pub key: String,
    pub apps: BTreeMap<String, OriginApp>,
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
    pub last_error: Option<String>,
}

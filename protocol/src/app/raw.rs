//! `nearside.toml` as TOML gives it: shapes without meaning.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::task::{RawCron, RawTask};
use crate::{cors::RawCors, redirect::RawRedirect};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: Spanned<String>,
    pub(super) hosts: Spanned<Vec<String>>,
    pub(super) build: Option<RawBuild>,
    #[serde(default)]
    pub(super) components: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<RawRoute>>,
    #[serde(default)]
    pub(super) redirects: Vec<Spanned<RawRedirect>>,
    #[serde(default)]
    pub(super) errors: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) commands: BTreeMap<String, Spanned<RawCommand>>,
    #[serde(default)]
    pub(super) tasks: BTreeMap<String, Spanned<RawTask>>,
    #[serde(default)]
    pub(super) crons: Vec<Spanned<RawCron>>,
    #[serde(default)]
    pub(super) variables: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) secrets: Vec<Spanned<String>>,
    pub(super) database: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) mirror: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) data: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(rename = "static")]
    pub(super) static_folder: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBuild {
    pub(super) command: String,
    #[serde(default)]
    pub(super) watch: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub(super) path: String,
    pub(super) component: String,
    pub(super) methods: Option<Vec<String>>,
    pub(super) inputs: Option<String>,
    pub(super) query: Option<Vec<String>>,
    pub(super) headers: Option<Vec<String>>,
    pub(super) cookies: Option<Vec<String>>,
    pub(super) client_ip: Option<bool>,
    pub(super) accept: Option<Vec<String>>,
    pub(super) languages: Option<Vec<String>>,
    pub(super) deadline_ms: Option<u64>,
    pub(super) memory_mib: Option<u64>,
    pub(super) body_kib: Option<u64>,
    pub(super) stale_ms: Option<u64>,
    pub(super) reuse: Option<bool>,
    pub(super) class: Option<String>,
    pub(super) cors: Option<RawCors>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    pub(super) component: String,
    pub(super) schema: String,
    #[serde(default)]
    pub(super) deferrable: bool,
}

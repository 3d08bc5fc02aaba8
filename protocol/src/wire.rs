//! The origin's HTTP interface, as nodes and the command line speak it.
//!
//! Every path needs `Authorization: Bearer <token>` of a role that may ask for it ([`crate::token`]): 401 without a token that is
//! known, 403 with one of another role. Only `GET /livez`, which says that the origin answers, needs none. Errors are `application/problem+json`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/key` | | the public key that signs releases, 64 hex digits |
//! | `POST /v1/heads` | [`crate::heads::HeadsAsked`] | [`crate::heads::SignedHeads`], as soon as they are others than those asked with, or after [`crate::limits::LONG_POLL`] |
//! | `GET /v1/apps/{app}/releases` | | [`Releases`] that are kept |
//! | `GET /v1/apps/{app}/releases/{release}` | | [`crate::release::SignedManifest`] |
//! | `GET /v1/apps/{app}/deltas/{from}.{to}` | | a page object from one root to another, made if need be; by range |
//! | `GET /v1/apps/{app}/bases/{root}` | | a page object that makes a root out of nothing, made if need be; by range |
//! | `GET /v1/apps/{app}/pages/{root}?numbers=3,17` | | these pages, counted from 0, in this order; at most [`crate::limits::REPAIR_PAGES`] |
//! | `GET /v1/apps/{app}/snapshots/{root}` | | the SQLite file itself |
//! | `GET /v1/apps/{app}/diff/{release}/{release}` | | [`Difference`] |
//! | `POST /v1/apps/{app}/rollback` | [`Rollback`] | [`Pushed`]; nothing is published by itself from then on |
//! | `POST /v1/apps/{app}/resume` | | [`Pushed`]; ends that |
//! | `GET /v1/apps/{app}/canary` | | [`crate::canary::Canary`]: the one that runs, or the last one |
//! | `POST /v1/apps/{app}/promote` | | [`Pushed`]; the canary's content for everyone |
//! | `POST /v1/apps/{app}/halt` | | [`Pushed`]; everyone's content for the canary's nodes |
//! | `GET /v1/apps/{app}/archives/{digest}` | | the app's archive |
//! | `GET /v1/apps/{app}/secrets/{digest}` | | [`crate::secrets::Secrets`] |
//! | `GET /v1/apps/{app}/blobs/{hash}` | | a blob, which whoever asks verifies |
//! | `PUT /v1/apps/{app}/blobs/{hash}` | a blob of that hash, of at most [`crate::limits::BLOB_BYTES`] | nothing, once it is durable |
//! | `PUT /v1/apps/{app}/archive` | an app's archive; [`VOUCHER_HEADER`] if it is not the origin that vouches for it | [`Pushed`]; with `?resume` it ends a hold, with `?replace` a canary; with `?canary=10%25&requests=200&for_s=300` it begins one, `canary=a,b` at these nodes |
//! | `PUT /v1/apps/{app}/data` | a SQLite file | [`Pushed`]; the same |
//! | `POST /v1/apps/{app}/commands/{command}` | JSON payload, `Idempotency-Key` | [`crate::write::Outcome`] |
//! | `POST /v1/apps/{app}/deferred` | [`crate::write::Delivery`] | [`crate::write::Delivered`] |
//! | `POST /v1/apps/{app}/unsure` | [`crate::write::Unsure`] | [`crate::write::Taken`] |
//! | `POST /v1/apps/{app}/tasks/{task}` | JSON payload, `Idempotency-Key` | [`crate::write::Enqueued`] |
//! | `/v1/apps/{app}/tasks…` | | what [`crate::task_report`] has |
//! | `/v1/apps/{app}/queries…` | | what [`crate::query_report`] has |
//! | `GET /v1/apps/{app}/render?target=…` | `Nearside-Receipt`, [`APP_DIGEST_HEADER`] | the page itself, from the newest read database |
//! | `POST /v1/apps/{app}/audit` | | [`crate::status::Audited`], once it is done |
//! | `GET /v1/apps/{app}/watermark` | | [`crate::watermark::Watermark`] |
//! | `POST /v1/heartbeat` | [`crate::heartbeat::Heartbeat`] | [`crate::heartbeat::Siblings`] |
//! | `GET /v1/fleet` | | [`crate::fleet::Fleet`] |
//! | `GET /v1/actions?limit=…` | | [`crate::action::Actions`], new to old |
//! | `/v1/tokens…` | | what [`crate::token`] has |
//! | `GET /v1/status` | | [`crate::status::OriginStatus`] |
//! | `GET /v1/metrics` | | the same in numbers, as Prometheus reads them |
//! | `GET /v1/logs?app=…` | | the origin's logbook, a JSON object a line; nodes have the same at `/logs` of their admin address |

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{
    canary::{Canary, Candidacy},
    digest::Digest,
    key::KeyId,
    release::{BaseOffer, ReleaseId},
    status::Held,
};

pub const RELEASE_HEADER: &str = "nearside-release";
pub const RECEIPT_HEADER: &str = "nearside-receipt";
pub const RECEIPT_COOKIE: &str = "nearside-receipt";
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";
/// A node that has the origin render a page sends the visitor's headers along under this prefix, and the address.
pub const VISITOR_PREFIX: &str = "nearside-visitor-";
/// The version of the app that this node serves: where a canary runs, there are two.
pub const APP_DIGEST_HEADER: &str = "nearside-app-digest";
pub const VISITOR_ADDRESS_HEADER: &str = "nearside-visitor-address";
/// On a page that does not contain the visitor's own last write, because neither this node nor the origin could.
pub const BEHIND_HEADER: &str = "nearside-behind";
/// On a page that may be behind the origin by more than usual: whole seconds, at most.
pub const BEHIND_AT_MOST_HEADER: &str = "nearside-behind-at-most";

/// On a push of an app: a public key and its signature over the app, as [`crate::voucher::AppVoucher::to_header`] has them.
pub const VOUCHER_HEADER: &str = "nearside-app-voucher";

/// On a manifest's answer: the trace of a write that the release carries, as [`crate::trace_context`] writes it. Whoever pulls
/// the release goes on with it. Nothing rests on it, so it is not signed.
pub const RELEASE_TRACE_HEADER: &str = "nearside-release-trace";

/// On a logbook's answer: up to where it has been read, for `since=`.
pub const LOGBOOK_HEADER: &str = "nearside-logbook";

/// The newest release of each app.
pub type Heads = BTreeMap<String, ReleaseId>;

/// The answer to a push.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// The release that will hold it; absent while an app has nothing to serve yet.
    pub release: Option<ReleaseId>,
    /// What was done, in words for the operator, a line each.
    pub report: Vec<String>,
    /// How the release travels and what it costs; nothing when there was nothing new to release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// Which release's content to publish again; the one before the current content when none is named.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    pub release: Option<ReleaseId>,
    /// Halts a canary that runs first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
}

/// The releases an origin keeps of an app.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Releases {
    pub held: Option<Held>,
    /// The canary that runs, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// New to old.
    pub releases: Vec<ReleaseInfo>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReleaseInfo {
    pub release: ReleaseId,
    pub parent: Option<ReleaseId>,
    /// Unix time, milliseconds.
    pub created_at_ms: u64,
    pub applied_commit: u64,
    pub root: Digest,
    pub page_count: u64,
    pub database_bytes: u64,
    pub app_digest: Digest,
    pub rolled_back_to: Option<ReleaseId>,
    /// For whom it is, when it was not for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidacy>,
    /// The oldest kept release with these very pages and this app.
    pub same_as: Option<ReleaseId>,
    /// Of the delta from the release before.
    pub delta_pages: Option<u32>,
    pub delta_bytes: Option<u64>,
    pub base: Option<BaseOffer>,
    /// Who signed it.
    pub key: KeyId,
}

/// What it takes to get from one release's pages to another's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Difference {
    pub from: ReleaseId,
    pub to: ReleaseId,
    pub from_root: Digest,
    pub to_root: Digest,
    pub from_pages: u64,
    pub to_pages: u64,
    /// Pages that are new or different.
    pub changed_pages: u64,
    /// Of the delta that makes one out of the other.
    pub delta_bytes: u64,
    pub same_app: bool,
}

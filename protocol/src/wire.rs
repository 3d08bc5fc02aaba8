//! The origin's HTTP interface, as nodes and the command line speak it.
//!
//! Every path needs `Authorization: Bearer <token>`; errors are `application/problem+json`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/key` | | the public key that signs releases, 64 hex digits |
//! | `POST /v1/heads` | [`crate::heads::HeadsAsked`] | [`crate::heads::SignedHeads`], as soon as they are others than those asked with, or after [`crate::limits::LONG_POLL`] |
//! | `GET /v1/apps/{app}/releases/{release}` | | [`crate::release::SignedManifest`] |
//! | `GET /v1/apps/{app}/snapshots/{root}` | | the snapshot, a SQLite file |
//! | `GET /v1/apps/{app}/archives/{digest}` | | the app's archive |
//! | `GET /v1/apps/{app}/secrets/{digest}` | | [`crate::secrets::Secrets`] |
//! | `GET /v1/apps/{app}/blobs/{hash}` | | a blob, which whoever asks verifies |
//! | `PUT /v1/apps/{app}/blobs/{hash}` | a blob of that hash, of at most [`crate::limits::BLOB_BYTES`] | nothing, once it is durable |
//! | `PUT /v1/apps/{app}/archive` | an app's archive | [`Pushed`] |
//! | `PUT /v1/apps/{app}/data` | a SQLite file | [`Pushed`] |
//! | `POST /v1/apps/{app}/commands/{command}` | JSON payload, `Idempotency-Key` | [`crate::write::Outcome`] |
//! | `POST /v1/apps/{app}/tasks/{task}` | JSON payload, `Idempotency-Key` | [`crate::write::Enqueued`] |
//! | `GET /v1/apps/{app}/render?target=…` | `Nearside-Receipt` | the page itself, from the newest read database |
//! | `GET /v1/status` | | [`crate::status::OriginStatus`] |
//! | `GET /v1/logs?app=…` | | the origin's logbook, a JSON object a line; nodes have the same at `/logs` of their admin address |

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::release::ReleaseId;

pub const RELEASE_HEADER: &str = "nearside-release";
pub const RECEIPT_HEADER: &str = "nearside-receipt";
pub const RECEIPT_COOKIE: &str = "nearside-receipt";
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";
/// A node that has the origin render a page sends the visitor's headers along under this prefix, and the address.
pub const VISITOR_PREFIX: &str = "nearside-visitor-";
pub const VISITOR_ADDRESS_HEADER: &str = "nearside-visitor-address";
/// On a page that does not contain the visitor's own last write, because neither this node nor the origin could.
pub const BEHIND_HEADER: &str = "nearside-behind";
/// On a page that may be behind the origin by more than usual: whole seconds, at most.
pub const BEHIND_AT_MOST_HEADER: &str = "nearside-behind-at-most";

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
}

//! The origin, as handlers reach it: over HTTP from a node, directly inside the origin's own process.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Response};
use nearside_protocol::{
    digest::Digest,
    write::{Delivered, Delivery, IdempotencyKey, Outcome, Receipt, Taken, Unsure},
};

use crate::spans::Traced;

/// The origin did not answer, or not in time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the origin does not answer: {why}")]
pub struct Unreachable {
    pub why: String,
    /// It may have been heard all the same, and done.
    pub may_have_arrived: bool,
}

impl Unreachable {
    /// It was not sent.
    pub fn unsent(why: impl Into<String>) -> Unreachable {
        Unreachable { why: why.into(), may_have_arrived: false }
    }

    /// It was sent, or part of it.
    pub fn unanswered(why: impl Into<String>) -> Unreachable {
        Unreachable { why: why.into(), may_have_arrived: true }
    }
}

/// Why a blob is not known to be stored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotPut {
    #[error("the origin refuses: {0}")]
    Refused(String),
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

#[async_trait::async_trait]
pub trait Upstream: Send + Sync {
    async fn submit(&self, command: Sending<'_>) -> Result<Outcome, Unreachable>;

    async fn enqueue(&self, task: Sending<'_>) -> Result<u64, Unreachable>;

    /// Commands out of this node's outbox, in their order.
    async fn deliver(&self, app: &str, delivery: Delivery) -> Result<Delivered, Unreachable>;

    /// What became of a command that was sent and not answered: applied then, or now, or never.
    async fn find_out(&self, app: &str, unsure: Unsure) -> Result<Taken, Unreachable>;

    /// The page at `target` as this visitor sees it, from the newest read database, which contains `receipt`'s commit; by this
    /// code, if the origin has it as well.
    async fn render(
        &self,
        app: &str,
        code: &Digest,
        target: &str,
        visitor: &Visitor,
        receipt: &Receipt,
    ) -> Result<Response<Bytes>, Unreachable>;

    /// Stores a blob durably and gives its hash.
    async fn put_blob(&self, app: &str, content: Bytes) -> Result<Digest, NotPut>;

    /// The blob of this hash, which whoever asks verifies; None when the app has no such blob.
    async fn blob(&self, app: &str, digest: &Digest) -> Result<Option<Bytes>, Unreachable>;
}

/// What a visitor's request says besides its target.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub headers: HeaderMap,
    pub client: IpAddr,
    /// Where the spans of it go, if it is sampled.
    pub traced: Option<Traced>,
}

/// A command or a task on its way.
pub struct Sending<'a> {
    pub app: &'a str,
    pub name: &'a str,
    pub payload: String,
    pub key: IdempotencyKey,
    /// Where the spans of it go, if it is sampled.
    pub traced: Option<&'a Traced>,
}

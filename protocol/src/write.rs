//! Writes: what a node sends to the origin and what it answers.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{
    limits,
    release::{DatabaseId, Manifest},
    trace_context::TraceContext,
};

/// Where a write stands in one database's history. A release satisfies it when it contains that commit.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Receipt {
    pub database: DatabaseId,
    pub epoch: u64,
    pub commit: u64,
}

/// How a release stands to a visitor's receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The release contains the write.
    Contains,
    /// The write is newer than the release.
    Behind,
    /// The receipt speaks of another database or of an epoch that is not this one's: it cannot be compared.
    Lost,
}

impl Receipt {
    pub fn standing(&self, manifest: &Manifest) -> Standing {
        if self.database != manifest.database || self.epoch != manifest.release.epoch {
            Standing::Lost
        } else if manifest.applied_commit >= self.commit {
            Standing::Contains
        } else {
            Standing::Behind
        }
    }
}

/// `database.epoch.commit`, as it stands in the `Nearside-Receipt` header and cookie.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.database, self.epoch, self.commit)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a receipt: `database.epoch.commit` expected")]
pub struct NotAReceipt(String);

impl FromStr for Receipt {
    type Err = NotAReceipt;

    fn from_str(text: &str) -> Result<Receipt, NotAReceipt> {
        let receipt = || {
            let mut parts = text.split('.');
            let database = parts.next().filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))?;
            let epoch = parts.next()?.parse().ok()?;
            let commit = parts.next()?.parse().ok()?;
            parts.next().is_none().then(|| Receipt { database: DatabaseId(database.to_owned()), epoch, commit })
        };
        receipt().ok_or_else(|| NotAReceipt(text.to_owned()))
    }
}

/// Tells one write from another, whoever sends it and however often. RFC-draft `Idempotency-Key`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

#[derive(Debug, thiserror::Error)]
#[error("an idempotency key is 1 to {} visible ASCII characters", limits::IDEMPOTENCY_KEY_BYTES)]
pub struct BadKey;

impl TryFrom<String> for IdempotencyKey {
    type Error = BadKey;

    fn try_from(text: String) -> Result<IdempotencyKey, BadKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&text.len());
        if visible && fits { Ok(IdempotencyKey(text)) } else { Err(BadKey) }
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> String {
        key.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `POST /v1/apps/{app}/commands/{command}` carries the payload as its body and the key as a header; this is the answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// In the store, durable. `reply` is the command's own answer, JSON text.
    Applied { receipt: Receipt, reply: String },
    /// The app said no. Recorded: the same key gets the same answer.
    Rejected { message: String },
    /// The key was used with another command or payload.
    KeyConflict,
    /// Something passing: nothing was kept, the same key may be sent again.
    Retry { message: String },
    /// The command trapped or ran into a limit; nothing of it was kept. Recorded.
    Failed { message: String },
    /// The payload does not fit the command's JSON Schema, or there is no such command.
    Invalid { message: String },
    /// It had not arrived when its node gave it up: it was not applied, and under this key never will be. Recorded.
    Closed,
}

impl Outcome {
    /// As it is named on its way.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Applied { .. } => "applied",
            Outcome::Rejected { .. } => "rejected",
            Outcome::KeyConflict => "key-conflict",
            Outcome::Retry { .. } => "retry",
            Outcome::Failed { .. } => "failed",
            Outcome::Invalid { .. } => "invalid",
            Outcome::Closed => "closed",
        }
    }
}

/// A node's outbox, named once and for all when it was made.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutboxId(String);

#[derive(Debug, thiserror::Error)]
#[error("an outbox is named by 32 hexadecimal digits")]
pub struct BadOutboxId;

impl TryFrom<String> for OutboxId {
    type Error = BadOutboxId;

    fn try_from(text: String) -> Result<OutboxId, BadOutboxId> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && text.len() == 32 { Ok(OutboxId(text)) } else { Err(BadOutboxId) }
    }
}

impl From<OutboxId> for String {
    fn from(id: OutboxId) -> String {
        id.0
    }
}

impl fmt::Display for OutboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command that a node has taken while its origin was away.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Deferred {
    /// Its number among those of its app and outbox: 1, 2, 3, without gaps.
    pub n: u64,
    pub command: String,
    /// JSON text.
    pub payload: String,
    pub key: IdempotencyKey,
    /// Unix time, milliseconds, by the node's clock.
    pub accepted_at_ms: u64,
    /// It was sent before it was deferred, and may have been applied then: after this commit, the last its node knew of.
    pub sent_after: Option<u64>,
    /// Whose trace it goes on with, if that is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<TraceContext>,
}

/// `POST /v1/apps/{app}/deferred` carries some, by their numbers; the answer is [`Delivered`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub outbox: OutboxId,
    /// The oldest the node still has: the origin, restored from an old copy, cannot have those before.
    pub oldest: u64,
    pub writes: Vec<Deferred>,
}

/// What became of them, in order. After the first that is not settled none was tried.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Delivered {
    pub taken: Vec<Taken>,
}

/// `POST /v1/apps/{app}/unsure` carries one that was sent and not answered; the answer is [`Taken`]. The origin says what
/// became of it under its key; if it never came, it is applied now, or, after [`limits::UNSURE_APPLIED`], closed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Unsure {
    pub command: String,
    /// JSON text.
    pub payload: String,
    pub key: IdempotencyKey,
    /// Unix time, milliseconds, by the node's clock.
    pub sent_at_ms: u64,
    /// The last commit its node knew of then.
    pub sent_after: u64,
    /// Whose trace it goes on with, if that is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<TraceContext>,
}

/// What became of one deferred command.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "taken", rename_all = "kebab-case")]
pub enum Taken {
    Settled {
        outcome: Outcome,
    },
    /// It was settled before, so long ago that how is forgotten.
    Forgotten,
    /// Nothing was kept: the same may be sent again.
    Retry {
        message: String,
    },
    /// The origin lacks some before it: this is the one it waits for.
    Gap {
        next: u64,
    },
}

/// The answer to an enqueued task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Enqueued {
    pub task: u64,
    /// Its kind is `unique`, and this one, which is like it, waits or runs already.
    #[serde(default)]
    pub existing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_survive_their_text_and_nonsense_is_refused() {
        let receipt = Receipt { database: DatabaseId("ab12".into()), epoch: 3, commit: 99 };
        assert_eq!(receipt.to_string().parse::<Receipt>().unwrap(), receipt);
        for nonsense in ["", "a.b.c", "a.1", "a.1.2.3", ".1.2", "a b.1.2", "a.-1.2"] {
            assert!(nonsense.parse::<Receipt>().is_err(), "{nonsense}");
        }
    }

    #[test]
    fn keys_are_short_and_visible() {
        let key = |text: &str| IdempotencyKey::try_from(text.to_owned());
        assert!(key("a-1").is_ok());
        assert!(key("").is_err() && key("a b").is_err() && key("é").is_err());
        assert!(key(&"k".repeat(limits::IDEMPOTENCY_KEY_BYTES + 1)).is_err());
    }
}

//! What each idempotency key was answered, kept in the same commit as what it did.

use nearside_host::working_clock::WorkingClock;
use nearside_protocol::{digest::Digest, limits, write::IdempotencyKey};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

/// What is known of a key.
pub(crate) enum Known<T> {
    Nothing,
    /// The same was asked before, and this was the answer.
    Answered(T),
    /// Something else was asked under it.
    Conflict,
}

pub(crate) fn look_up<T: DeserializeOwned>(
    connection: &Connection,
    key: &IdempotencyKey,
    fingerprint: &Digest,
) -> rusqlite::Result<Known<T>> {
    let sql = "SELECT fingerprint, outcome FROM _nearside_dedupe WHERE key = ?1";
    let found: Option<([u8; 32], String)> =
        connection.query_row(sql, [key.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => Ok(Known::Nothing),
        Some((known, _)) if known != *fingerprint.as_bytes() => Ok(Known::Conflict),
        Some((_, outcome)) => {
            let unreadable =
                |error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error));
            serde_json::from_str(&outcome).map(Known::Answered).map_err(unreadable)
        }
    }
}

/// Inside a write transaction: from now on the key is answered this. `worked_ms` is of the store's [`WorkingClock`].
pub(crate) fn record(
    connection: &Connection,
    key: &IdempotencyKey,
    fingerprint: &Digest,
    outcome: &impl Serialize,
    commit: u64,
    worked_ms: u64,
) -> rusqlite::Result<()> {
    let outcome = serde_json::to_string(outcome).expect("BUG: outcomes are plain data");
    let sql = "INSERT INTO _nearside_dedupe (key, fingerprint, outcome, commit_no, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(sql, params![key.to_string(), fingerprint.as_bytes(), outcome, commit, worked_ms])?;
    Ok(())
}

/// Whether a key that a node used at this time of day may have been forgotten; an hour for clocks that differ.
pub(crate) fn may_be_forgotten(at_ms: u64, clock: &WorkingClock) -> bool {
    const SLACK_MS: u64 = 3_600_000;
    clock.day_ms().saturating_sub(at_ms) + SLACK_MS > limits::DEDUPE_KEPT.as_millis() as u64
}

/// Forgets keys older than they are promised to be kept, some at a time: those of before this hour of work.
pub(crate) fn purge(connection: &Connection, before: u64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM _nearside_dedupe WHERE key IN (SELECT key FROM _nearside_dedupe WHERE at_ms < ?1 LIMIT ?2)";
    connection.execute(sql, params![before, limits::PURGE_ROWS])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    #[test]
    fn keys_are_remembered_as_long_as_promised() {
        let connection = Connection::open_in_memory().unwrap();
        store::prepare(&connection).unwrap();
        let key = IdempotencyKey::try_from("k".to_owned()).unwrap();
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let look = |fingerprint| look_up::<u64>(&connection, &key, fingerprint).unwrap();
        assert!(matches!(look(&one), Known::Nothing));
        record(&connection, &key, &one, &7_u64, 1, 1_000).unwrap();
        assert!(matches!(look(&one), Known::Answered(7)) && matches!(look(&other), Known::Conflict));
        purge(&connection, 1_000).unwrap();
        assert!(matches!(look(&one), Known::Answered(7)));
        purge(&connection, 1_001).unwrap();
        assert!(matches!(look(&one), Known::Nothing));
    }
}

//! What each idempotency key was answered, kept in the same commit as what it did.

use nearside_protocol::{digest::Digest, limits, write::IdempotencyKey};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::kept::Kept;

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
        connection.kept(sql)?.query_row([key.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
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

/// Inside a write transaction: from now on the key is answered this. `worked_ms` is of the store's
/// [`nearside_host::working_clock`].
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
    let values = params![key.to_string(), fingerprint.as_bytes(), outcome, commit, worked_ms];
    connection.kept(sql)?.execute(values).map(drop)
}

/// The last commit of which a key was forgotten; those of later ones are all there. By it a node's copy is told from a new
/// command, and not by anybody's clock.
pub(crate) fn forgotten(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT value FROM _nearside_meta WHERE key = 'forgotten'";
    Ok(connection.kept(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Forgets keys older than they are promised to be kept, some at a time: `before` is of the
/// working clock, too.
pub(crate) fn purge(connection: &Connection, before: u64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM _nearside_dedupe WHERE key IN (SELECT key FROM _nearside_dedupe WHERE at_ms < ?1 LIMIT ?2)
        RETURNING commit_no";
    let mut statement = connection.prepare(sql)?;
    let gone = statement.query_map(params![before, limits::PURGE_ROWS], |row| row.get(0))?;
    let gone: Vec<u64> = gone.collect::<Result<_, _>>()?;
    let Some(last) = gone.iter().max() else { return Ok(0) };
    let note = "INSERT INTO _nearside_meta (key, value) VALUES ('forgotten', ?1)
        ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)";
    connection.execute(note, [last]).map(|_| gone.len())
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
        assert_eq!(forgotten(&connection).unwrap(), 0);
        purge(&connection, 1_001).unwrap();
        assert_eq!(forgotten(&connection).unwrap(), 1);
        assert!(matches!(look(&one), Known::Nothing));
    }
}

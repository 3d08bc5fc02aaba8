//! Statements of the origin's own that stay prepared: preparing one takes longer than running it.
//!
//! They share the connection's cache with those of guests, and whoever asks it for a text is given what was prepared under the
//! rights of who asked first. So each of ours names something reserved, and a guest's text that does has no place there
//! (`nearside_host::sql`).

use nearside_protocol::app::RESERVED_PREFIX;
use rusqlite::{CachedStatement, Connection};

pub(crate) trait Kept {
    /// Prepares a statement that names one of the reserved tables, or finds it prepared.
    fn kept(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>>;
}

impl Kept for Connection {
    fn kept(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        assert!(sql.contains(RESERVED_PREFIX), "BUG: a guest may send this text, too: {sql}");
        self.prepare_cached(sql)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nearside_host::sql::{Grant, Guarded};

    use super::*;

    #[test]
    fn a_guest_is_not_given_what_was_prepared_for_the_origin() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE _nearside_meta (key, value); CREATE TABLE t (n)").unwrap();
        let mut guarded = Guarded::new(connection, Grant::Write).unwrap();
        let add = "INSERT INTO _nearside_meta VALUES ('ours', 1)";
        let look = "SELECT value FROM _nearside_meta";
        guarded.trusted(|connection| {
            assert_eq!(connection.kept(add).unwrap().execute([]).unwrap(), 1);
            assert_eq!(connection.kept(look).unwrap().query_row([], |row| row.get::<_, i64>(0)).unwrap(), 1);
        });
        let second = Duration::from_secs(1);
        assert!(guarded.execute(add, &[], second).is_err());
        assert!(guarded.query(look, &[], second).is_err());
        // Nor the other way about: what failed for the guest stands prepared for nobody.
        let count = |connection: &mut Connection| connection.kept(look).unwrap().query_row([], |row| row.get(0));
        assert_eq!(guarded.trusted(count), Ok(1_i64));
    }

    #[test]
    #[should_panic(expected = "a guest may send this text")]
    fn only_what_no_guest_may_say_is_kept() {
        let connection = Connection::open_in_memory().unwrap();
        let _ = connection.kept("SELECT 1");
    }
}

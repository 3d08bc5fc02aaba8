//! A savepoint of the index's own, beneath a statement that is not known to change anything.

use rusqlite::Connection;

use crate::fault::Result;

/// Takes back what was done since it was opened, unless it is kept.
pub struct Savepoint<'c>(Option<&'c Connection>);

impl<'c> Savepoint<'c> {
    /// None beneath a statement that writes, where SQLite allows none; and none where it would be a transaction.
    pub fn open(connection: &'c Connection) -> Savepoint<'c> {
        let opens = !connection.is_autocommit() && connection.execute_batch("SAVEPOINT nearside_search").is_ok();
        Savepoint(opens.then_some(connection))
    }

    pub fn keep(mut self) -> Result<()> {
        let kept = self.0.take().map(|connection| connection.execute_batch("RELEASE nearside_search"));
        Ok(kept.transpose().map(drop)?)
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        // Where even this fails, what was noted of half a change stays.
        let taken =
            self.0.map(|connection| connection.execute_batch("ROLLBACK TO nearside_search; RELEASE nearside_search"));
        drop(taken);
    }
}

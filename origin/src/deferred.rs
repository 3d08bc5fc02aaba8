//! How far each outbox's commands have come: the number of the last one that was settled, kept in the same commit as what
//! it did. Numbers have no gaps, so one number says it all, for ever.

use nearside_protocol::write::OutboxId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::kept::Kept;

/// How a command stands to what its outbox has delivered before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing {
    Next,
    /// It was settled before.
    Before,
    /// This one must come first.
    Gap {
        next: u64,
    },
}

/// `oldest` is the oldest the outbox still has: those before it will never come, from a store restored from an old copy.
pub(crate) fn standing(connection: &Connection, outbox: &OutboxId, n: u64, oldest: u64) -> rusqlite::Result<Standing> {
    let sql = "SELECT n FROM _nearside_outbox WHERE outbox = ?1";
    let last: Option<u64> = connection.kept(sql)?.query_row([outbox.to_string()], |row| row.get(0)).optional()?;
    let next = last.unwrap_or(0) + 1;
    Ok(match n {
        _ if n < next => Standing::Before,
        _ if n == next => Standing::Next,
        _ if n == oldest => {
            tracing::error!(%outbox, lost_from = next, lost_to = n - 1, "deferred commands are lost: their node has let go of them");
            Standing::Next
        }
        _ => Standing::Gap { next: next.max(oldest.min(n)) },
    })
}

/// Inside a write transaction: this one is settled.
pub(crate) fn settle(connection: &Connection, outbox: &OutboxId, n: u64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO _nearside_outbox (outbox, n) VALUES (?1, ?2) ON CONFLICT (outbox) DO UPDATE SET n = excluded.n";
    connection.kept(sql)?.execute(params![outbox.to_string(), n]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    #[test]
    fn numbers_come_in_order_and_once() {
        let connection = Connection::open_in_memory().unwrap();
        store::prepare(&connection).unwrap();
        let outbox = OutboxId::try_from("0".repeat(32)).unwrap();
        let stands = |n, oldest| standing(&connection, &outbox, n, oldest).unwrap();
        assert_eq!((stands(1, 1), stands(2, 1)), (Standing::Next, Standing::Gap { next: 1 }));
        settle(&connection, &outbox, 1).unwrap();
        settle(&connection, &outbox, 2).unwrap();
        assert_eq!(
            (stands(2, 1), stands(3, 1), stands(9, 1)),
            (Standing::Before, Standing::Next, Standing::Gap { next: 3 })
        );
        // What the node no longer has is not waited for.
        assert_eq!((stands(9, 7), stands(7, 7)), (Standing::Gap { next: 7 }, Standing::Next));
        let other = OutboxId::try_from("1".repeat(32)).unwrap();
        assert_eq!(standing(&connection, &other, 1, 1).unwrap(), Standing::Next);
    }
}

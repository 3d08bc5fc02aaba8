//! Writes that were sent to the origin and not answered: whether they were applied is found out under their own key.
//!
//! They stand apart from what waits to be delivered: no order holds among them, none holds up another, and no number of the
//! outbox is spent on them. The origin alone decides (`origin/src/entry.rs`): it tells what it knows of the key, applies what
//! it never got, and after a while closes the key instead, so that a late copy of the first request changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use nearside_protocol::{
    limits,
    write::{Taken, Unsure},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::task::JoinSet;

use super::{
    Outbox, Settled, Ticket, ToTake, Waiting, Written,
    delivery::{tell, wait},
    store::{Known, fingerprinted, trace_of, written},
    thread::Job,
    unguessable,
};
use crate::{
    spans::{Kind, Traced, within},
    upstream::Upstream,
};

/// `n` is the order in which they are listed and asked for, and nothing else.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS unsure (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,
  name TEXT NOT NULL,
  payload TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  ticket TEXT NOT NULL UNIQUE,
  accepted_at_ms INTEGER NOT NULL,
  sent_after INTEGER NOT NULL,
  settled TEXT,
  settled_at_ms INTEGER,
  traced TEXT,
  UNIQUE (app, key)
);
CREATE INDEX IF NOT EXISTS unsure_waiting ON unsure (n) WHERE settled IS NULL;
CREATE INDEX IF NOT EXISTS unsure_settled ON unsure (settled_at_ms) WHERE settled IS NOT NULL;
";

const COLUMNS: &str = "app, n, name, payload, key, ticket, accepted_at_ms, sent_after, settled, traced";

pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Waiting>> {
    let sql =
        "SELECT app, count(*), sum(octet_length(payload) + octet_length(name) + octet_length(key)), min(accepted_at_ms)
               FROM unsure WHERE settled IS NULL GROUP BY app";
    let of = |row: &Row<'_>| {
        Ok((row.get(0)?, Waiting { writes: row.get(1)?, bytes: row.get(2)?, oldest_at_ms: row.get(3)? }))
    };
    connection.prepare(sql)?.query_map([], of)?.collect()
}

pub(super) fn by_ticket(connection: &Connection, app: &str, ticket: &Ticket) -> rusqlite::Result<Option<Written>> {
    let sql = format!("SELECT {COLUMNS} FROM unsure WHERE ticket = ?1 AND app = ?2");
    connection.query_row(&sql, [&ticket.0, app], unsure).optional()
}

/// Those after this one, old to new.
pub(super) fn list(connection: &Connection, after: u64, most: usize) -> rusqlite::Result<Vec<Written>> {
    let sql = format!("SELECT {COLUMNS} FROM unsure WHERE n > ?1 ORDER BY n LIMIT ?2");
    connection.prepare(&sql)?.query_map(params![after, most], unsure)?.collect()
}

fn open(connection: &Connection, after: u64, most: usize) -> rusqlite::Result<Vec<Written>> {
    let sql = format!("SELECT {COLUMNS} FROM unsure WHERE settled IS NULL AND n > ?1 ORDER BY n LIMIT ?2");
    connection.prepare(&sql)?.query_map(params![after, most], unsure)?.collect()
}

fn unsure(row: &Row<'_>) -> rusqlite::Result<Written> {
    Ok(Written { is_unsure: true, ..written(row)? })
}

pub(super) fn look_up(connection: &Connection, take: &ToTake) -> rusqlite::Result<Known> {
    let sql = "SELECT fingerprint, ticket FROM unsure WHERE app = ?1 AND key = ?2";
    fingerprinted(connection, sql, take)
}

/// Inside a transaction.
pub(super) fn insert(connection: &Connection, take: &ToTake, now_ms: u64) -> rusqlite::Result<Ticket> {
    let ticket = unguessable();
    let sql = "INSERT INTO unsure (app, name, payload, key, fingerprint, ticket, accepted_at_ms, sent_after, traced)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let ToTake { app, command, payload, .. } = take;
    let (key, fingerprint, traced) = (take.key.to_string(), super::fingerprint(take), trace_of(take));
    let (sent_after, print) = (take.sent_after.unwrap_or(0), fingerprint.as_bytes());
    connection.execute(sql, params![app, command, payload, key, print, ticket, now_ms, sent_after, traced])?;
    Ok(Ticket(ticket))
}

/// Inside a transaction: it is known what became of it.
pub(super) fn settle(connection: &Connection, n: u64, settled: &Settled, worked_ms: u64) -> rusqlite::Result<()> {
    let text = serde_json::to_string(settled).expect("BUG: outcomes are plain data");
    let sql = "UPDATE unsure SET settled = ?2, settled_at_ms = ?3 WHERE n = ?1 AND settled IS NULL";
    connection.execute(sql, params![n, text, worked_ms]).map(drop)
}

/// Inside a transaction: lets go of what was settled long ago.
pub(super) fn purge(connection: &Connection, before: u64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM unsure WHERE settled IS NOT NULL AND settled_at_ms < ?1", [before]).map(drop)
}

/// What one round of questions came to.
enum Went {
    /// Something was settled; there may be more.
    On,
    Nothing,
    Later,
}

/// Asks what became of them, until nothing is unsure; and again when something is.
pub(super) async fn find_out(outbox: &Arc<Outbox>, upstream: &Arc<dyn Upstream>) {
    let asked = &outbox.shared.asked;
    let (mut after, mut again) = (0, limits::DELIVERY_AGAIN_FIRST);
    loop {
        again = match round(outbox, upstream, &mut after).await {
            Went::On => limits::DELIVERY_AGAIN_FIRST,
            Went::Nothing => {
                asked.notified().await;
                limits::DELIVERY_AGAIN_FIRST
            }
            Went::Later => {
                // Somebody looks: sooner, and yet not as often as they look.
                let looked = async {
                    asked.notified().await;
                    tokio::time::sleep(limits::DELIVERY_AGAIN_FIRST).await;
                };
                tokio::select! {
                    () = wait(again) => {}
                    () = looked => {}
                }
                (again * 2).min(limits::DELIVERY_AGAIN_MOST)
            }
        };
    }
}

/// The next few, side by side: each round goes on where the last one ended, so that none keeps the others from their turn.
async fn round(outbox: &Arc<Outbox>, upstream: &Arc<dyn Upstream>, after: &mut u64) -> Went {
    let (reader, from) = (outbox.clone(), *after);
    let next = tokio::task::spawn_blocking(move || {
        let reads = reader.reads();
        let next = open(&reads.connection, from, limits::UNSURE_AT_ONCE)?;
        match next.is_empty() {
            true => open(&reads.connection, 0, limits::UNSURE_AT_ONCE),
            false => Ok(next),
        }
    });
    let next = match next.await {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => {
            tracing::error!(cause = %error, "writes of unknown fate cannot be read");
            return Went::Later;
        }
        Err(_) => return Went::Later,
    };
    let Some(last) = next.last() else { return Went::Nothing };
    *after = last.n;
    let mut questions = JoinSet::new();
    for written in next {
        let upstream = upstream.clone();
        let traced = outbox.traced(written.traced);
        questions.spawn(async move { (written.n, ask(&*upstream, written, traced).await) });
    }
    let mut settled = Vec::new();
    while let Some(answer) = questions.join_next().await {
        if let Ok((n, Some(this))) = answer {
            settled.push((n, this));
        }
    }
    if settled.is_empty() {
        return Went::Later;
    }
    match tell(outbox, |answer| Job::SettleUnsure { settled, answer }).await {
        true => Went::On,
        false => Went::Later,
    }
}

async fn ask(upstream: &dyn Upstream, written: Written, traced: Option<Traced>) -> Option<Settled> {
    let Written { app, n, command, payload, key, accepted_at_ms, sent_after, .. } = written;
    let span = traced.map(|traced| traced.span(Kind::Client, format!("find out {command}")));
    let (sent_at_ms, sent_after) = (accepted_at_ms, sent_after.unwrap_or(0));
    let traced = within(&span).map(|traced| traced.context());
    let settled = match upstream.find_out(&app, Unsure { command, payload, key, sent_at_ms, sent_after, traced }).await
    {
        Ok(Taken::Settled { outcome }) => Some(Settled::As(outcome)),
        Ok(Taken::Forgotten) => Some(Settled::Forgotten),
        Ok(Taken::Retry { message }) => {
            tracing::info!(%app, n, %message, "a write of unknown fate stays so");
            None
        }
        Ok(Taken::Gap { .. }) => None,
        Err(unreachable) => {
            tracing::debug!(%app, n, cause = %unreachable, "a write of unknown fate stays so");
            None
        }
    };
    // Of many questions the one that was answered is told.
    if let (Some(span), None) = (span, &settled) {
        span.discard();
    }
    settled
}

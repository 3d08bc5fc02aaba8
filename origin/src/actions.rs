//! What operators did, in `actions.db` of the origin's folder: who, when, what, and what came of it. Durable before the operator
//! is answered; the oldest go.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use nearside_protocol::{
    action::{Action, By, Deed},
    heartbeat::shortened,
    limits,
    unix_time::now_ms,
};
use rusqlite::{Connection, params};

use crate::tokens::Holder;

const FILE: &str = "actions.db";

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS action (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, came_from TEXT, by_page INTEGER NOT NULL,
    deed TEXT NOT NULL, app TEXT, what TEXT, went_well INTEGER NOT NULL, outcome TEXT NOT NULL, token TEXT
) STRICT";
/// A log from before tokens had names.
const HAS_TOKEN: &str = "SELECT count(*) FROM pragma_table_info('action') WHERE name = 'token'";
const ADD_TOKEN: &str = "ALTER TABLE action ADD COLUMN token TEXT";

/// Whoever asks for something, as far as that is known: what they say of themselves, where they come from, and by which token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operator {
    pub(crate) who: String,
    pub(crate) from: Option<String>,
    pub(crate) by: By,
    /// The name of the token they showed.
    pub(crate) token: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) deed: Deed,
    pub(crate) app: Option<String>,
    pub(crate) what: Option<String>,
}

/// All of it, new to old, is read and written by one connection at a time.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Connection>>);

impl Log {
    pub(crate) fn open(folder: &Path) -> rusqlite::Result<Log> {
        let connection = Connection::open(folder.join(FILE))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute(SCHEMA, [])?;
        if !connection.query_row(HAS_TOKEN, [], |row| row.get::<_, bool>(0))? {
            connection.execute(ADD_TOKEN, [])?;
        }
        Ok(Log(Arc::new(Mutex::new(connection))))
    }

    /// Keeps it. That it cannot be kept does not undo what was done: it is told in the origin's log.
    pub(crate) async fn keep(&self, operator: &Operator, asked: Asked, went_well: bool, outcome: String) {
        let (log, operator) = (self.clone(), operator.clone());
        let words = |words: String| shortened(plain(&words), limits::ACTION_WORDS_BYTES);
        let kept = tokio::task::spawn_blocking(move || {
            let outcome = words(outcome);
            let Asked { deed, app, what } = asked;
            let what = what.map(words);
            let app_name = app.as_deref();
            tracing::info!(who = %operator.who, from = operator.from, token = operator.token, app = app_name, what, deed = deed.name(), went_well, outcome, "an operator acted");
            log.insert(&operator, deed, app, what, went_well, outcome)
        });
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(cause = %error, "what an operator did cannot be written down"),
            Err(_) => tracing::error!("what an operator did was not written down: the origin is stopping"),
        }
    }

    fn insert(
        &self,
        operator: &Operator,
        deed: Deed,
        app: Option<String>,
        what: Option<String>,
        went_well: bool,
        outcome: String,
    ) -> rusqlite::Result<()> {
        let mut connection = self.0.lock().expect("BUG: nothing panics while holding the log");
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT INTO action (at_ms, who, came_from, by_page, deed, app, what, went_well, outcome, token)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                now_ms(),
                operator.who,
                operator.from,
                by_number(operator.by),
                deed.name(),
                app,
                what,
                went_well,
                outcome,
                operator.token
            ],
        )?;
        let newest = transaction.last_insert_rowid();
        transaction.execute("DELETE FROM action WHERE id <= ?1", [newest - limits::ACTIONS_KEPT as i64])?;
        transaction.commit()
    }

    /// So many, new to old. Blocks.
    pub(crate) fn newest(&self, limit: usize) -> rusqlite::Result<Vec<Action>> {
        let connection = self.0.lock().expect("BUG: nothing panics while holding the log");
        let mut statement = connection.prepare_cached(
            "SELECT id, at_ms, who, came_from, by_page, deed, app, what, went_well, outcome, token
             FROM action ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit.min(limits::ACTIONS_SHOWN)], |row| {
            let deed: String = row.get(5)?;
            let Some(deed) = Deed::named(&deed) else { return Ok(None) };
            Ok(Some(Action {
                id: row.get(0)?,
                at_ms: row.get(1)?,
                who: row.get(2)?,
                from: row.get(3)?,
                by: by_of(row.get(4)?),
                deed,
                app: row.get(6)?,
                what: row.get(7)?,
                went_well: row.get(8)?,
                outcome: row.get(9)?,
                token: row.get(10)?,
            }))
        })?;
        // What a later version wrote is nothing this one knows.
        rows.filter_map(Result::transpose).collect()
    }
}

impl Operator {
    /// Nobody: the origin decides, as it was told to.
    pub(crate) fn origin() -> Operator {
        Operator { who: "the origin".to_owned(), from: None, by: By::Origin, token: None }
    }

    /// By what they say of themselves, which is cut to size and to one line.
    pub(crate) fn named(said: Option<&str>, from: Option<String>, by: By) -> Operator {
        let who = plain(said.unwrap_or_default());
        let who = shortened(who.trim().to_owned(), limits::ACTION_WHO_BYTES);
        Operator { who: if who.is_empty() { "an operator".to_owned() } else { who }, from, by, token: None }
    }

    /// By the token they showed, too.
    pub(crate) fn holding(self, holder: &Holder) -> Operator {
        Operator { token: Some(holder.name.clone()), ..self }
    }
}

/// As the log has it, whose column once told pages from programs only.
fn by_number(by: By) -> i64 {
    match by {
        By::Program => 0,
        By::Page => 1,
        By::Origin => 2,
    }
}

fn by_of(number: i64) -> By {
    match number {
        1 => By::Page,
        2 => By::Origin,
        _ => By::Program,
    }
}

/// On one line, and without what moves a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use nearside_protocol::token::Role;

    use super::*;

    fn asked(what: &str) -> Asked {
        Asked { deed: Deed::Rollback, app: Some("shop".into()), what: Some(what.into()) }
    }

    #[tokio::test]
    async fn what_was_done_is_kept_over_a_start_new_to_old() {
        let folder = tempfile::tempdir().unwrap();
        let holder = Holder { name: "ada".into(), role: Role::Operator, id: None };
        let ada = Operator::named(Some("Ada\u{1b}[2J "), Some("10.0.0.1".into()), By::Page).holding(&holder);
        let log = Log::open(folder.path()).unwrap();
        // As an earlier version left it.
        log.0.lock().unwrap().execute("ALTER TABLE action DROP COLUMN token", []).unwrap();
        let log = Log::open(folder.path()).unwrap();
        log.keep(&ada, asked("1.3"), true, "release 1.5".into()).await;
        log.keep(&Operator::named(None, None, By::Program), asked("1.2"), false, "x".repeat(5_000)).await;
        drop(log);
        let kept = Log::open(folder.path()).unwrap().newest(10).unwrap();
        assert_eq!((kept.len(), kept[0].went_well, kept[0].who.as_str()), (2, false, "an operator"));
        assert_eq!(kept[0].outcome.len(), limits::ACTION_WORDS_BYTES);
        assert_eq!((kept[1].who.as_str(), kept[1].what.as_deref(), kept[1].by), ("Ada [2J", Some("1.3"), By::Page));
        assert_eq!((kept[0].token.as_deref(), kept[1].token.as_deref()), (None, Some("ada")));
        assert_eq!((kept[1].deed, kept[1].from.as_deref()), (Deed::Rollback, Some("10.0.0.1")));
    }

    #[test]
    fn the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path()).unwrap();
        let who = Operator::named(None, None, By::Program);
        let keep = |n: usize| log.insert(&who, Deed::Resume, None, Some(n.to_string()), true, String::new()).unwrap();
        (0..20).for_each(keep);
        log.0.lock().unwrap().execute("UPDATE action SET id = ?1 WHERE id = 20", [limits::ACTIONS_KEPT + 9]).unwrap();
        keep(20);
        let count: usize =
            log.0.lock().unwrap().query_row("SELECT count(*) FROM action", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 11);
        assert_eq!(
            log.newest(3).unwrap().iter().filter_map(|action| action.what.as_deref()).collect::<Vec<_>>(),
            ["20", "19", "18"]
        );
    }
}

//! SQL under limits: what a statement may touch, how long it may run, how much it may give.
//!
//! Neither the guest's epochs nor its deadline stop SQLite while it works, so every statement of a guest runs behind
//! this guard, at nodes and in commands alike.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nearside_protocol::{app::RESERVED_PREFIX, limits};
use rusqlite::{
    Connection, Statement, StatementStatus,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    bindings::edge::types::{FlatRows, SqlError, Value},
    budget::Budget,
    counts::run::Steps,
};

/// What the statements of a guest may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Reading, of nothing but what is in the pages.
    Read,
    /// Reading and changing rows of the app's own tables; no schema changes.
    Write,
}

/// A connection whose statements are bounded.
pub struct Guarded {
    connection: Connection,
    shared: Arc<Shared>,
}

/// What the hooks inside SQLite and the guard around it both see.
#[derive(Default)]
struct Shared {
    /// Microseconds of [`START`]; a statement running past it is interrupted.
    deadline_us: AtomicU64,
    /// The host's own statements are not judged.
    trusted: AtomicBool,
    /// A statement being prepared uses a function that can read the clock.
    uses_clock: AtomicBool,
    hidden_clock: AtomicBool,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Steps of SQLite's machine between two looks at the clock: some 20 microseconds' worth.
const STEPS_BETWEEN_LOOKS: i32 = 2_000;

/// Their value is not in the pages: it depends on the moment, the connection, or chance.
const FUNCTIONS_OUTSIDE_THE_PAGES: &[&str] = &[
    "random",
    "randomblob",
    "changes",
    "total_changes",
    "last_insert_rowid",
    "sqlite_offset",
    "current_time",
    "current_date",
    "current_timestamp",
    "load_extension",
    "fts3_tokenizer",
];

const FUNCTIONS_OF_TIME: &[&str] = &["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

/// The triggers that note changed rows in the write store, by the start of their names, and the tables they work on.
const LOG_TRIGGERS: &str = "_nearside_log_";
const LOG_TABLES: &[&str] = &["_nearside_change", "_nearside_meta"];

/// Tables that show the file or the connection rather than rows.
const TABLES_OUTSIDE_THE_ROWS: &[&str] = &["dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"];

impl Guarded {
    pub fn new(mut connection: Connection, grant: Grant) -> rusqlite::Result<Guarded> {
        let shared = Arc::new(Shared::default());
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_LENGTH, limits::SQL_VALUE_BYTES),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SQL_TEXT_BYTES),
            (Limit::SQLITE_LIMIT_COLUMN, 256),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
            (Limit::SQLITE_LIMIT_FUNCTION_ARG, 64),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, limits::SQL_PARAMETERS as i32),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 32),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, most)?;
        }
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, true)?;
        // Plans do not depend on parameters: what was looked at when the app was checked is what runs, and a statement
        // is not planned anew each time it is bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // A misspelt "name" in double quotes is an error, not a text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_prepared_statement_cache_capacity(256);

        let seen = shared.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if seen.trusted.load(Ordering::Relaxed) {
                return Authorization::Allow;
            }
            let verdict = judge(grant, &context);
            if verdict == Verdict::AllowedTime {
                seen.uses_clock.store(true, Ordering::Relaxed);
                // Inside a view or trigger its arguments are not in the statement's own text.
                seen.hidden_clock.fetch_or(context.accessor.is_some(), Ordering::Relaxed);
            }
            if verdict == Verdict::Denied { Authorization::Deny } else { Authorization::Allow }
        }))?;
        let seen = shared.clone();
        connection
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || now_us() > seen.deadline_us.load(Ordering::Relaxed)))?;
        shared.deadline_us.store(u64::MAX, Ordering::Relaxed);
        Ok(Guarded { connection, shared })
    }

    /// The bare connection, for statements of the host's own.
    pub fn trusted<T>(&mut self, work: impl FnOnce(&mut Connection) -> T) -> T {
        self.shared.trusted.store(true, Ordering::Relaxed);
        self.shared.deadline_us.store(u64::MAX, Ordering::Relaxed);
        let result = work(&mut self.connection);
        self.shared.trusted.store(false, Ordering::Relaxed);
        result
    }

    /// Prepares a guest's statement without running it: is it allowed, and what is it like?
    pub fn examine(&mut self, sql: &str) -> Result<Examined, SqlError> {
        self.shared.uses_clock.store(false, Ordering::Relaxed);
        self.shared.hidden_clock.store(false, Ordering::Relaxed);
        // Not from the statement cache: what is there is not judged again.
        let statement = self.connection.prepare(sql).map_err(told)?;
        refuse_odd(sql, &statement)?;
        Ok(Examined {
            parameters: statement.parameter_count(),
            read_only: statement.readonly(),
            reads_clock: self.shared.hidden_clock.load(Ordering::Relaxed)
                || (self.shared.uses_clock.load(Ordering::Relaxed) && asks_clock(sql)),
        })
    }

    /// Runs a statement to its end and gives all its rows.
    pub fn query(&mut self, sql: &str, parameters: &[Value], budget: Duration) -> Result<FlatRows, SqlError> {
        self.counted(sql, parameters, budget).0
    }

    /// The same, and what SQLite did for it.
    pub fn counted(
        &mut self,
        sql: &str,
        parameters: &[Value],
        budget: Duration,
    ) -> (Result<FlatRows, SqlError>, Steps) {
        self.start(budget);
        let done = self.prepared(sql, |statement| {
            let rows = all_rows(sql, statement, parameters);
            // Read and put back to nothing: the statement is kept for the next run.
            let of = |status| u64::try_from(statement.reset_status(status)).unwrap_or(0);
            let steps = Steps {
                scanned_rows: of(StatementStatus::FullscanStep),
                sorts: of(StatementStatus::Sort),
                indexed_rows: of(StatementStatus::AutoIndex),
                steps: of(StatementStatus::VmStep),
            };
            (rows, steps)
        });
        done.unwrap_or_else(|error| (Err(error), Steps::default()))
    }

    /// Runs a statement that changes rows; gives how many, and the last rowid.
    pub fn execute(&mut self, sql: &str, parameters: &[Value], budget: Duration) -> Result<(u64, i64), SqlError> {
        self.start(budget);
        let changed = self.prepared(sql, |statement| {
            refuse_odd(sql, statement)?;
            bind(statement, parameters)?;
            statement.raw_execute().map_err(told)
        })??;
        Ok((changed as u64, self.connection.last_insert_rowid()))
    }

    /// Prepares a guest's statement, or finds it prepared. One that names what is reserved is neither kept nor found: the
    /// host's own statements, which do, stay prepared under the host's own rights.
    fn prepared<T>(&self, sql: &str, work: impl FnOnce(&mut Statement<'_>) -> T) -> Result<T, SqlError> {
        if sql.contains(RESERVED_PREFIX) {
            return Ok(work(&mut self.connection.prepare(sql).map_err(told)?));
        }
        Ok(work(&mut *self.connection.prepare_cached(sql).map_err(told)?))
    }

    fn start(&self, budget: Duration) {
        self.shared.deadline_us.store(now_us() + budget.as_micros() as u64, Ordering::Relaxed);
    }
}

/// What preparing a statement tells about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    pub parameters: usize,
    pub read_only: bool,
    /// By its text, it asks for the current time. What a run really asks for is heard of by the page store's VFS.
    pub reads_clock: bool,
}

#[derive(PartialEq)]
enum Verdict {
    Allowed,
    AllowedTime,
    Denied,
}

fn judge(grant: Grant, context: &AuthContext<'_>) -> Verdict {
    let own_trigger = context.accessor.is_some_and(|name| name.starts_with(LOG_TRIGGERS));
    let writes = |table: &str| match grant {
        Grant::Write if !is_reserved(table) || (own_trigger && LOG_TABLES.contains(&table)) => Verdict::Allowed,
        _ => Verdict::Denied,
    };
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Verdict::Allowed,
        AuthAction::Read { table_name, .. } => {
            // SQLite names a table that it makes of a PRAGMA as the statement spells it.
            let name = table_name.to_ascii_lowercase();
            let outside = TABLES_OUTSIDE_THE_ROWS.contains(&name.as_str()) || name.starts_with("pragma_");
            // A guest can give a common table expression a trigger's name, so reading is allowed only of what tells nothing.
            let hidden = is_reserved(table_name) && !(own_trigger && LOG_TABLES.contains(&table_name));
            if outside || hidden { Verdict::Denied } else { Verdict::Allowed }
        }
        AuthAction::Function { function_name } => {
            let name = function_name.to_ascii_lowercase();
            if FUNCTIONS_OF_TIME.contains(&name.as_str()) {
                Verdict::AllowedTime
            } else if grant == Grant::Read && FUNCTIONS_OUTSIDE_THE_PAGES.contains(&name.as_str())
                || matches!(name.as_str(), "load_extension" | "fts3_tokenizer")
            {
                Verdict::Denied
            } else {
                Verdict::Allowed
            }
        }
        // FTS5 asks for it whenever it reads; a guest's own PRAGMA does not get past `refuse_odd`.
        AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => Verdict::Allowed,
        AuthAction::Insert { table_name } | AuthAction::Delete { table_name } => writes(table_name),
        AuthAction::Update { table_name, .. } => writes(table_name),
        _ => Verdict::Denied,
    }
}

fn is_reserved(name: &str) -> bool {
    let head = name.as_bytes().get(..RESERVED_PREFIX.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes()))
}

/// A PRAGMA or EXPLAIN gives rows too, of a kind that is not in the pages.
fn refuse_odd(sql: &str, statement: &Statement<'_>) -> Result<(), SqlError> {
    let first = without_comments(sql).get(..6).unwrap_or_default();
    if first.eq_ignore_ascii_case("pragma") || statement.is_explain() != 0 {
        return Err(SqlError::Failed("PRAGMA and EXPLAIN are not for handlers".into()));
    }
    Ok(())
}

/// A statement from its first word on.
fn without_comments(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        // SQLite passes over empty statements, too, and over a mark of byte order.
        rest = rest.trim_start_matches([' ', '\t', '\n', '\x0c', '\r', ';', '\u{feff}']);
        let comment = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(line), _) => line.split_once('\n'),
            (_, Some(block)) => block.split_once("*/"),
            _ => return rest,
        };
        rest = comment.map_or("", |(_, after)| after);
    }
}

/// A function of time reads the clock when it is given `now`, `subsec` alone, or nothing at all. Text in which that cannot
/// be told, because comments stand in it, counts as asking.
fn asks_clock(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let asks = |word: &str| text.contains(word);
    asks("now") || asks("subsec") || asks("/*") || text.split_whitespace().collect::<String>().contains("()")
}

fn now_us() -> u64 {
    START.elapsed().as_micros() as u64
}

fn bind(statement: &mut Statement<'_>, parameters: &[Value]) -> Result<(), SqlError> {
    let expected = statement.parameter_count();
    if parameters.len() != expected {
        return Err(SqlError::WrongParameters(format!("{expected} parameters expected, {} given", parameters.len())));
    }
    for (index, value) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Bound(value)).map_err(told)?;
    }
    Ok(())
}

fn all_rows(sql: &str, statement: &mut Statement<'_>, parameters: &[Value]) -> Result<FlatRows, SqlError> {
    refuse_odd(sql, statement)?;
    bind(statement, parameters)?;
    let mut flat = FlatRows::of(statement.column_names());
    let width = statement.column_count();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(told)? {
        for column in 0..width {
            flat.push(row.get_ref(column).map_err(told)?);
            if let Some(budget) = flat.over() {
                return Err(over(budget));
            }
        }
    }
    Ok(flat)
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Real(real) => ValueRef::Real(*real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// SQLite's errors in the guest's words.
fn told(error: rusqlite::Error) -> SqlError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => over(Budget::QueryTime),
        Some(ErrorCode::TooBig) => over(Budget::ValueBytes),
        Some(ErrorCode::OutOfMemory) => over(Budget::SqliteMemory),
        Some(ErrorCode::ConstraintViolation) => SqlError::Constraint(error.to_string()),
        _ => SqlError::Failed(error.to_string()),
    }
}

const BUDGETS: [Budget; 5] =
    [Budget::QueryTime, Budget::QueryRows, Budget::QueryBytes, Budget::ValueBytes, Budget::SqliteMemory];

/// A bound was reached, in the guest's words.
fn over(budget: Budget) -> SqlError {
    SqlError::OverLimit(match budget {
        Budget::QueryRows => format!("the result is over {} rows", limits::SQL_ROWS),
        Budget::QueryBytes => format!("the result is over {} bytes", limits::SQL_RESULT_BYTES),
        Budget::ValueBytes => format!("a value is over {} bytes", limits::SQL_VALUE_BYTES),
        Budget::SqliteMemory => "SQLite is out of memory".into(),
        _ => "the statement ran longer than it may".into(),
    })
}

/// Which bound an error is of. The guest's own type carries nothing but the text.
pub(crate) fn overrun(error: &SqlError) -> Option<Budget> {
    let SqlError::OverLimit(text) = error else { return None };
    BUDGETS.into_iter().find(|budget| matches!(over(*budget), SqlError::OverLimit(one) if one == *text))
}

/// How an error of SQL reads in a log.
pub fn describe(error: &SqlError) -> &str {
    match error {
        SqlError::UnknownQuery(text)
        | SqlError::WrongParameters(text)
        | SqlError::OverLimit(text)
        | SqlError::Constraint(text)
        | SqlError::Failed(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn guarded(grant: Grant) -> Guarded {
        let connection = Connection::open_in_memory().unwrap();
        nearside_search::register(&connection).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t (n) VALUES (1), (2);
                 CREATE TABLE _nearside_task (id INTEGER PRIMARY KEY);
                 CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('hello edge');
                 CREATE TABLE page (id INTEGER PRIMARY KEY, text, tag); INSERT INTO page VALUES (7, 'hello edge', 'x');
                 CREATE VIRTUAL TABLE s USING nearside_search(text, tag, content = 'page', content_rowid = 'id', tags = 'tag');
                 INSERT INTO s (s) VALUES ('rebuild');",
            )
            .unwrap();
        Guarded::new(connection, grant).unwrap()
    }

    #[test]
    fn rows_come_back_typed() {
        let flat = guarded(Grant::Read).query("SELECT n, 'x', NULL FROM t WHERE n > ?", &[Value::Integer(1)], SECOND);
        let rows = flat.unwrap().rows();
        assert_eq!(rows.columns, ["n", "'x'", "NULL"]);
        assert!(matches!(&rows.cells[..], [Value::Integer(2), Value::Text(x), Value::Null] if x == "x"));
        let flat = guarded(Grant::Read).query("SELECT x FROM f WHERE f MATCH 'edge'", &[], SECOND).unwrap();
        assert_eq!(flat.count(), 1);
    }

    #[test]
    fn a_search_index_is_read_and_not_changed() {
        let mut guarded = guarded(Grant::Read);
        for sql in [
            "SELECT rowid FROM s WHERE s MATCH 'edge' ORDER BY rank LIMIT 1",
            "SELECT search_highlight(text, 'edge', '<', '>') FROM s WHERE s MATCH 'tag:x'",
            "SELECT documents FROM search_facets('s', 'edge', 'tag', 5) LIMIT 1",
            "SELECT text FROM search_spelled('s', 'hallo')",
        ] {
            assert_eq!(guarded.query(sql, &[], SECOND).unwrap().count(), 1, "{sql}");
        }
        for sql in [
            "INSERT INTO s (s) VALUES ('rebuild')",
            "INSERT INTO s (s) VALUES ('integrity-check')",
            "INSERT INTO s (rowid, text) VALUES (1, 'x')",
            "DELETE FROM s",
            "DELETE FROM s_meta",
            "DROP TABLE s",
        ] {
            assert!(guarded.query(sql, &[], SECOND).is_err(), "{sql} was run");
        }
        let damage = "UPDATE s_log SET data = x'03'";
        guarded.trusted(|connection| connection.execute(damage, [])).unwrap();
        let error = guarded.query("SELECT rowid FROM s WHERE s MATCH 'edge'", &[], SECOND).unwrap_err();
        assert!(describe(&error).contains("the search index is damaged"), "{error:?}");
    }

    /// What an index does is not all SQLite's own steps; it ends all the same.
    #[test]
    fn a_long_search_ends_at_its_budget() {
        let mut guarded = guarded(Grant::Read);
        guarded
            .trusted(|connection| {
                connection.execute_batch(
                    "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
                     INSERT INTO page SELECT i, 'common w' || (i % 50) || ' x' || i, 'y' FROM n; INSERT INTO s (s) VALUES ('rebuild')",
                )
            })
            .unwrap();
        let started = Instant::now();
        let sql =
            "SELECT sum(length(a.text)) FROM s AS a JOIN s AS b WHERE a.s MATCH 'common' AND b.s MATCH 'common OR w*'";
        let error = guarded.query(sql, &[], Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, SqlError::OverLimit(_)), "{error:?}");
        assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
    }

    #[test]
    fn what_sqlite_did_is_of_this_run_alone() {
        let mut guarded = guarded(Grant::Read);
        let mut steps = |sql: &str, parameters: &[Value]| guarded.counted(sql, parameters, SECOND).1;
        let scan = "SELECT n FROM t WHERE n = ?1 ORDER BY n + 1";
        let first = steps(scan, &[Value::Integer(1)]);
        // The step from the last row counts, the one to the first does not.
        assert_eq!((first.scanned_rows, first.sorts), (1, 1), "{first:?}");
        assert_eq!(steps(scan, &[Value::Integer(1)]), first);
        assert!(steps(scan, &[]).steps == 0 && steps(scan, &[Value::Integer(1)]) == first);
        let search = steps("SELECT n FROM t WHERE id = 1", &[]);
        assert!(search.scanned_rows == 0 && search.sorts == 0 && search.steps > 0, "{search:?}");
    }

    #[test]
    fn what_is_not_in_the_pages_cannot_be_asked() {
        let mut guarded = guarded(Grant::Read);
        for sql in [
            "SELECT random()",
            "SELECT randomblob(1000000000)",
            "SELECT current_timestamp",
            "SELECT last_insert_rowid()",
            "SELECT load_extension('x')",
            "PRAGMA data_version",
            "-- hidden\nPRAGMA page_count",
            "/* hidden */ /**/ -- too\n;; PRAGMA data_version",
            "\u{feff}PRAGMA data_version",
            "SELECT * FROM pragma_page_count",
            "SELECT * FROM PRAGMA_page_count",
            "SELECT * FROM Pragma_Table_Info('t')",
            "EXPLAIN SELECT 1",
            "ATTACH 'x' AS y",
            "INSERT INTO t (n) VALUES (3)",
            "DELETE FROM t",
            "BEGIN",
            "CREATE TABLE u (x)",
            "SELECT * FROM _nearside_task",
            "WITH _nearside_log_x AS (SELECT * FROM _nearside_task) SELECT * FROM _nearside_log_x",
            "SELECT * FROM 日本語テーブル",
        ] {
            assert!(guarded.query(sql, &[], SECOND).is_err(), "{sql} was run");
        }
    }

    #[test]
    fn commands_change_rows_and_nothing_else() {
        let mut guarded = guarded(Grant::Write);
        assert_eq!(guarded.execute("INSERT INTO t (n) VALUES (3)", &[], SECOND).unwrap(), (1, 3));
        for sql in [
            "DROP TABLE t",
            "COMMIT",
            "SAVEPOINT s",
            "ATTACH 'x' AS y",
            "DELETE FROM _nearside_task",
            "PRAGMA user_version = 1",
            "ALTER TABLE t RENAME TO u",
        ] {
            assert!(guarded.execute(sql, &[], SECOND).is_err(), "{sql} was run");
        }
    }

    #[test]
    fn runaways_end_at_their_budget_and_the_next_statement_runs() {
        let mut guarded = guarded(Grant::Read);
        let started = Instant::now();
        for sql in [
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000) SELECT count(*) FROM n a, n b, n c",
        ] {
            let error = guarded.query(sql, &[], Duration::from_millis(50)).unwrap_err();
            assert!(matches!(error, SqlError::OverLimit(_)), "{error:?}");
        }
        assert!(matches!(guarded.query("SELECT zeroblob(1000000000)", &[], SECOND), Err(SqlError::OverLimit(_))));
        let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) SELECT x FROM n";
        assert!(matches!(guarded.query(many, &[], SECOND), Err(SqlError::OverLimit(_))));
        assert!(started.elapsed() < SECOND);
        assert!(guarded.query("SELECT count(*) FROM t", &[], SECOND).is_ok());
    }

    #[test]
    fn asking_for_the_time_is_noticed() {
        let mut guarded = guarded(Grant::Read);
        let mut reads_clock = |sql: &str| guarded.examine(sql).unwrap().reads_clock;
        assert!(reads_clock("SELECT date('now')") && reads_clock("SELECT datetime( )"));
        assert!(!reads_clock("SELECT date(n, 'unixepoch') FROM t") && !reads_clock("SELECT 'now'"));
        assert!(guarded.examine("SELECT unixepoch('subsec')").unwrap().reads_clock);
        assert!(guarded.examine("SELECT date(/**/)").unwrap().reads_clock);
        guarded.trusted(|connection| connection.execute_batch("CREATE VIEW v AS SELECT datetime('now') AS t")).unwrap();
        assert!(guarded.examine("SELECT t FROM v").unwrap().reads_clock);
    }

    #[test]
    fn parameters_are_counted() {
        let error = guarded(Grant::Read).query("SELECT ?", &[], SECOND).unwrap_err();
        assert!(matches!(error, SqlError::WrongParameters(_)), "{error:?}");
    }
}

//! Trying indexes: a query is run on a release as it is, and on a copy of it with an index more, through the very VFS that
//! nodes read by; so its pages are counted as theirs are.
//!
//! The copy is a SQLite file in which indexes are made, and a page store beside it that is given the file's pages. ANALYZE
//! is never run: nodes' databases have no statistics either, and with them the planner might choose what it does not there.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::{
    bindings::edge::types::{SqlError, Value},
    database::{Database, DatabaseError},
    disk::Disk,
    pages::{Draft, PageStore, PagesError, Table},
    sql,
};
use nearside_protocol::{
    limits::{self, PAGE_BYTES},
    query_report::{Advised, Measured, Parameter, Proposed, Tried},
};
use rusqlite::{Connection, config::DbConfig};

use crate::{
    check::{self, Plan, Proposal},
    stage::Stage,
};

/// Below the app's folder.
pub(crate) const FOLDER: &str = "trial";

#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the copy: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database has {bytes} bytes; indexes are tried on {most} at most", most = limits::ADVICE_DATABASE_BYTES)]
    TooLarge { bytes: u64 },
    #[error("`{query}` cannot be run: {why}")]
    Query { query: String, why: String },
    #[error("a blob is written in hexadecimal digits, two a byte, not `{0}`")]
    Blob(String),
    #[error("it was not done within {} s: name one query", limits::ADVICE_WORK.as_secs())]
    TooLong,
    #[error("the origin is stopping")]
    Stopping,
}

/// A query, and what it is run with.
pub(crate) struct Subject {
    pub(crate) query: String,
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Vec<Value>>,
}

pub(crate) fn value(parameter: &Parameter) -> Result<Value, TrialError> {
    Ok(match parameter {
        Parameter::Null => Value::Null,
        Parameter::Integer(integer) => Value::Integer(*integer),
        Parameter::Real(real) => Value::Real(*real),
        Parameter::Text(text) => Value::Text(text.clone()),
        Parameter::Blob(digits) => Value::Blob(bytes(digits).ok_or_else(|| TrialError::Blob(digits.clone()))?),
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

/// Tries indexes for each of these queries. `folder` is the app's. Blocks.
pub(crate) fn run(folder: &Path, table: &Arc<Table>, subjects: &[Subject]) -> Result<Vec<Advised>, TrialError> {
    let ends_at = Instant::now() + limits::ADVICE_WORK;
    let bytes = u64::from(table.pages()) * PAGE_BYTES as u64;
    if bytes > limits::ADVICE_DATABASE_BYTES {
        return Err(TrialError::TooLarge { bytes });
    }
    let released = Database::of(table.clone())?;
    let mut copy = None;
    let mut advised = Vec::new();
    for subject in subjects {
        let before = measure(&released, subject)?;
        let plan = plan_on(&released, subject)?;
        let copy = match &mut copy {
            Some(copy) => copy,
            none => none.insert(Copy::make(folder, table, ends_at)?),
        };
        let found = one(copy, subject, before, plan, ends_at);
        advised.push(found.map_err(|error| if Instant::now() > ends_at { TrialError::TooLong } else { error })?);
    }
    Ok(advised)
}

fn one(
    copy: &mut Copy,
    subject: &Subject,
    before: Measured,
    plan: String,
    ends_at: Instant,
) -> Result<Advised, TrialError> {
    let mut tried = Vec::new();
    let mut best: Option<Proposed> = None;
    for proposal in check::proposals(&copy.connection, &subject.sql)? {
        if Instant::now() > ends_at {
            return Err(TrialError::TooLong);
        }
        let not = |why: &str, after| Tried { sql: proposal.sql.clone(), why_not: why.to_owned(), after };
        let Some(proposed) = copy.with(&proposal, subject)? else {
            tried.push(not("SQLite does not take it up", None));
            continue;
        };
        let after = proposed.after;
        let measure = |one: &Proposed| (one.after.pages, one.after.fetches, one.index_pages as f64);
        if after.rows != before.rows {
            tried.push(not("the query gives other rows with it: its order is not determined", Some(after)));
        } else if after.pages * 2.0 > before.pages {
            tried.push(not("it does not halve the pages that are read", Some(after)));
        } else if best.as_ref().is_none_or(|best| measure(&proposed) < measure(best)) {
            let other = best.replace(proposed);
            tried.extend(other.map(|one| Tried { sql: one.sql, why_not: BETTER.to_owned(), after: Some(one.after) }));
        } else {
            tried.push(not(BETTER, Some(after)));
        }
    }
    Ok(Advised { query: subject.query.clone(), plan, before, index: best, tried })
}

const BETTER: &str = "the one that is proposed reads less, or is smaller";

/// The mean over all sets of parameters.
fn measure(database: &Arc<Database>, subject: &Subject) -> Result<Measured, TrialError> {
    let mut reader = database.reader()?;
    let mut sum = Measured::default();
    for parameters in &subject.parameters {
        let mut run = || {
            let measured = reader.measured(&subject.sql, parameters, limits::ADVICE_RUNS_TIME);
            let fault = |error: SqlError| TrialError::Query {
                query: subject.query.clone(),
                why: sql::describe(&error).to_owned(),
            };
            measured.answer.map(|_| measured.run).map_err(fault)
        };
        // The first brings what it reads into memory, and each page is hashed when it is first used.
        let first = run()?;
        let started = Instant::now();
        let mut times: Vec<Duration> = Vec::new();
        while times.is_empty() || (times.len() < limits::ADVICE_RUNS && started.elapsed() < limits::ADVICE_RUNS_TIME) {
            times.push(run()?.time);
        }
        times.sort();
        sum.parameter_sets += 1;
        sum.time_us += times[times.len() / 2].as_secs_f64() * 1e6;
        sum.pages += first.pages as f64;
        sum.fetches += first.fetches as f64;
        sum.rows += first.rows.unwrap_or(0) as f64;
    }
    let sets = sum.parameter_sets.max(1) as f64;
    Ok(Measured {
        parameter_sets: sum.parameter_sets,
        time_us: sum.time_us / sets,
        pages: sum.pages / sets,
        fetches: sum.fetches / sets,
        rows: sum.rows / sets,
    })
}

fn plan_on(database: &Arc<Database>, subject: &Subject) -> Result<String, TrialError> {
    let mut reader = database.reader()?;
    Ok(reader.trusted(|connection| Plan::of(connection, &subject.sql)).map(|plan| plan.to_string())?)
}

/// The release in a file that can be changed, and in pages that are read as nodes read theirs.
struct Copy {
    file: PathBuf,
    connection: Connection,
    store: PageStore,
    draft: Draft,
    /// Last, so that all else is closed before the folder goes.
    _stage: Stage,
}

impl Copy {
    fn make(folder: &Path, table: &Table, ends_at: Instant) -> Result<Copy, TrialError> {
        let stage = Stage::set(folder.join(FOLDER)).map_err(|(path, error)| TrialError::Io { path, error })?;
        let file = stage.folder().join("copy.db");
        let io = |error| TrialError::Io { path: file.clone(), error };
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&file).map_err(io)?);
        table.export(&mut out)?;
        out.flush().map_err(io)?;
        drop(out);
        let mut connection = Connection::open(&file)?;
        nearside_search::register(&connection)?;
        // Nobody needs it after a crash.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "temp_store", "FILE")?;
        // As at a node: these have a say in the plan, or in what a misspelt name is.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || Instant::now() > ends_at))?;
        let store = PageStore::open(&stage.folder().join("pages"), Disk::real())?;
        let draft = store.draft(None);
        Ok(Copy { file, connection, store, draft, _stage: stage })
    }

    /// What the query comes to with this index; none when SQLite does not use it. The index is gone after that.
    fn with(&mut self, proposal: &Proposal, subject: &Subject) -> Result<Option<Proposed>, TrialError> {
        let started = Instant::now();
        self.connection.execute_batch(&proposal.sql)?;
        let made_in_ms = started.elapsed().as_millis() as u64;
        let plan = Plan::of(&self.connection, &subject.sql)?;
        let proposed = if proposal.is_used(&plan) {
            let count = "SELECT count(*) FROM dbstat WHERE name = ?1";
            let index_pages = self.connection.query_row(count, [&proposal.name], |row| row.get(0))?;
            let database = Database::of(self.table()?)?;
            let after = measure(&database, subject)?;
            let (sql, plan) = (proposal.sql.clone(), plan.to_string());
            Some(Proposed { sql, plan, after, index_pages, made_in_ms })
        } else {
            None
        };
        self.connection.execute_batch(&format!("DROP INDEX \"{}\"", proposal.name.replace('"', "\"\"")))?;
        self.store.tidy();
        Ok(proposed)
    }

    /// The file's pages as they are now. Only those that have changed are written.
    fn table(&mut self) -> Result<Arc<Table>, TrialError> {
        let io = |error| TrialError::Io { path: self.file.clone(), error };
        let mut file = io::BufReader::with_capacity(1 << 20, File::open(&self.file).map_err(io)?);
        let pages = fs::metadata(&self.file).map_err(io)?.len() / PAGE_BYTES as u64;
        let mut page = [0; PAGE_BYTES];
        for number in 0..pages as u32 {
            file.read_exact(&mut page).map_err(io)?;
            self.draft.put(number, &page)?;
        }
        self.draft.resize(pages as u32);
        Ok(self.draft.table())
    }
}

const STEPS_BETWEEN_LOOKS: i32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: i64 = 20_000;

    /// A release of so many items, none of which an index finds by its owner.
    fn released(folder: &Path) -> (PageStore, Arc<Table>) {
        let file = folder.join("made.db");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = 4096;
                 CREATE TABLE item (id INTEGER PRIMARY KEY, owner TEXT, size INTEGER, about TEXT);
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
                 INSERT INTO item SELECT n, 'owner ' || (n % 4000), n * 7919 % 10007, printf('%0100d', n) FROM n;"
            ))
            .unwrap();
        drop(connection);
        let store = PageStore::open(&folder.join("store"), Disk::real()).unwrap();
        let mut draft = store.draft(None);
        for (number, page) in (0..).zip(fs::read(&file).unwrap().chunks_exact(PAGE_BYTES)) {
            draft.put(number, page.try_into().unwrap()).unwrap();
        }
        let table = draft.table();
        drop(draft);
        (store, table)
    }

    fn subject(sql: &str, parameters: Vec<Value>) -> Subject {
        Subject { query: "q".into(), sql: sql.into(), parameters: vec![parameters] }
    }

    #[test]
    fn the_index_that_helps_is_found_and_nothing_is_left_of_the_trial() {
        let folder = tempfile::tempdir().unwrap();
        let (_store, table) = released(folder.path());
        let owner = || vec![Value::Text("owner 17".into())];
        let subjects = [
            subject("SELECT id FROM item WHERE owner = ?1 ORDER BY size LIMIT 3", owner()),
            subject("SELECT count(*) FROM item WHERE about LIKE ?1", owner()),
            subject("SELECT size FROM item WHERE id = ?1", vec![Value::Integer(5)]),
        ];
        let advised = run(folder.path(), &table, &subjects).unwrap();
        let [found, none, good] = &advised[..] else { panic!("{advised:?}") };
        let index = found.index.as_ref().unwrap();
        assert_eq!(index.sql, "CREATE INDEX item_by_owner_size ON item (owner, size)");
        assert!(found.before.pages > 500.0 && found.before.rows == 3.0, "{found:?}");
        assert!(index.after.pages < 10.0 && index.after.time_us < found.before.time_us, "{found:?}");
        assert!(index.index_pages > 50 && index.plan.contains("item_by_owner_size") && found.plan.contains("SCAN"));
        assert!(found.tried.iter().all(|tried| tried.sql != index.sql) && !found.tried.is_empty(), "{found:?}");
        assert!(none.index.is_none() && good.index.is_none(), "{advised:?}");
        assert!(!folder.path().join(FOLDER).exists());
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (_store, table) = released(folder.path());
        let error =
            run(folder.path(), &table, &[subject("SELECT id FROM item WHERE owner = ?1", Vec::new())]).unwrap_err();
        assert!(error.to_string().contains("`q` cannot be run: 1 parameters expected, 0 given"), "{error}");
        assert!(value(&Parameter::Blob("0g".into())).is_err() && value(&Parameter::Blob("abc".into())).is_err());
        assert!(matches!(value(&Parameter::Blob("00ff".into())), Ok(Value::Blob(bytes)) if bytes == [0, 255]));
    }
}

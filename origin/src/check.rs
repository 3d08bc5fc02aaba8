//! What is wrong with an app, found before it is anywhere: all of it, each with its place and what to do.
//!
//! The app's parts are tried on databases in memory: migrations on an empty store, `snapshot.sql` on an empty read
//! database, each named query on that. A push with any finding is refused while what was running goes on.

use std::{collections::BTreeSet, fmt, time::Instant};

use nearside_host::{
    archive::{self, Archive, ArchiveError},
    code::{self, Code},
    engine::{Engine, EngineError},
    schemas::{SchemaError, Schemas},
    sql::{self, Grant, Guarded},
};
use nearside_protocol::{
    app,
    digest::Digest,
    limits,
    queries::{self, Query},
};
use rusqlite::Connection;
use wasmtime::component::Component;

use crate::{
    command,
    migrate::{self, MigrateError},
    read_database::{ReadDatabase, ReadError, Shape},
    script, store, tables, task_guest,
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Finding {
    /// Path inside the app's folder.
    pub file: String,
    pub line: Option<usize>,
    pub what: String,
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.what)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

impl Finding {
    pub(crate) fn new(file: &str, line: Option<usize>, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { file: file.to_owned(), line, what: what.into(), fix: fix.into() }
    }

    pub fn of_archive(error: &ArchiveError) -> Finding {
        match error {
            ArchiveError::App(error) => Finding::new(app::FILE_NAME, error.line, &error.message, ""),
            other => Finding::new(app::FILE_NAME, None, other.to_string(), ""),
        }
    }
}

/// All that is wrong with an app; nothing, if it can be pushed. Compiles components: call it where blocking is fine.
pub fn check(archive: &Archive, engine: &Engine) -> Vec<Finding> {
    let mut findings = components(archive, engine);
    findings.extend(schemas(archive));
    findings.extend(databases(archive));
    if findings.is_empty() {
        // The very way a node loads it: whatever is left, it would refuse.
        if let Err(error) = Code::load(engine, archive, Digest::of(b"")) {
            findings.push(Finding::new(app::FILE_NAME, None, error.to_string(), ""));
        }
    }
    findings
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Handler,
    Command,
    Task,
}

impl Role {
    fn fix(self) -> &'static str {
        match self {
            Role::Handler => {
                "a route's component exports wasi:http/incoming-handler and imports wasi:* and nearside:edge/{sql,page,origin} only"
            }
            Role::Command => {
                "a command's component exports nearside:edge/command-handler and imports wasi:* without sockets and HTTP, and nearside:edge/store only"
            }
            Role::Task => {
                "a task's component exports nearside:edge/task-handler and imports wasi:* and nearside:edge/origin only"
            }
        }
    }
}

fn components(archive: &Archive, engine: &Engine) -> Vec<Finding> {
    let app = &archive.app;
    let mut roles: BTreeSet<(&str, Role)> = BTreeSet::new();
    roles.extend(app.routes.iter().map(|route| (route.component.as_str(), Role::Handler)));
    roles.extend(app.commands.values().map(|command| (command.component.as_str(), Role::Command)));
    roles.extend(app.tasks.values().map(|task| (task.component.as_str(), Role::Task)));

    let mut findings = Vec::new();
    for (name, path) in &app.components {
        let Some(wasm) = archive.component(name) else { continue };
        let roles = roles.iter().filter(|(component, _)| component == name).map(|(_, role)| *role);
        match engine.component(wasm) {
            Err(error) => {
                let fix = "build it for a component target such as wasm32-wasip2: `nearside build`";
                findings.push(Finding::new(path, None, format!("component `{name}`: {}", first_line(&error)), fix));
            }
            Ok(component) => {
                for role in roles {
                    if let Err(error) = links(engine, &component, role) {
                        let what = format!("component `{name}`: {}", first_line(&error));
                        findings.push(Finding::new(path, None, what, role.fix()));
                    }
                }
            }
        }
    }
    findings
}

/// Links a component against what its role is offered, without running it.
fn links(engine: &Engine, component: &Component, role: Role) -> Result<(), EngineError> {
    match role {
        Role::Handler => links_as_handler(engine, component),
        Role::Command => command::check(engine, component),
        Role::Task => task_guest::check(engine, component),
    }
}

fn links_as_handler(engine: &Engine, component: &Component) -> Result<(), EngineError> {
    let instance = code::handler_linker(engine)?.instantiate_pre(component).map_err(EngineError::Link)?;
    wasmtime_wasi_http::p2::bindings::ProxyPre::new(instance).map(drop).map_err(EngineError::Link)
}

/// Engine errors go on over many lines of context.
fn first_line(error: &EngineError) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

fn schemas(archive: &Archive) -> Option<Finding> {
    match Schemas::load(archive).err()? {
        SchemaError::Archive(error) => Some(Finding::of_archive(&error)),
        SchemaError::NotJson { file, line, why } => Some(Finding::new(
            &file,
            Some(line),
            format!("it is not JSON: {why}"),
            "a command's schema is a JSON Schema document",
        )),
        SchemaError::NotASchema { file, why } => Some(Finding::new(
            &file,
            None,
            format!("it is not a JSON Schema: {why}"),
            "see json-schema.org, draft 2020-12",
        )),
    }
}

fn databases(archive: &Archive) -> Vec<Finding> {
    let queries = match archive.text(queries::FILE_NAME).map(|text| queries::parse(&text)) {
        Err(error) => return vec![Finding::of_archive(&error)],
        Ok(Err(error)) => return vec![Finding::new(queries::FILE_NAME, Some(error.line), error.message, "")],
        Ok(Ok(queries)) => queries,
    };
    let manifest = archive.text(app::FILE_NAME).unwrap_or_default();
    let (store, read) = (empty_store(archive), empty_read_database(archive));
    let mut findings = Vec::new();
    if let Ok(store) = &store {
        findings.extend(tables::data(store, &archive.app.data, &manifest));
        findings.extend(tables::mirror_in_store(store, &archive.app.mirror, &manifest));
    }
    if let Ok(read) = &read {
        findings.extend(tables::mirror_in_read_database(read, &archive.app.mirror, &manifest));
    }
    if let (Ok(store), Ok(read)) = (&store, &read) {
        findings.extend(tables::mirror_alike(store, read, &archive.app.mirror, &manifest));
    }
    findings.extend(store.err());
    match read {
        Ok(read) => findings.extend(named_queries(read, queries.values())),
        Err(finding) => findings.push(finding),
    }
    findings
}

/// The store as the app's migrations make it.
fn empty_store(archive: &Archive) -> Result<Connection, Finding> {
    let broken = |error: rusqlite::Error| Finding::new(archive::MIGRATIONS, None, error.to_string(), "");
    let migrations = archive.migrations().map_err(|error| Finding::of_archive(&error))?;
    let mut connection = Connection::open_in_memory().map_err(broken)?;
    store::prepare(&connection).map_err(broken)?;
    bound_work(&mut connection).map_err(broken)?;
    connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").map_err(broken)?;
    migrate::run(&mut connection, &migrations).map_err(|error| match error {
        MigrateError::Failed { file, line, why } => {
            let fix = match why.as_str() {
                "not authorized" => {
                    "migrations change the app's own tables: no transactions, other files or reserved tables"
                }
                _ => "",
            };
            Finding::new(&file, Some(line), why, fix)
        }
        other => Finding::new(archive::MIGRATIONS, None, other.to_string(), ""),
    })?;
    connection.execute_batch("COMMIT").map_err(broken)?;
    Ok(connection)
}

/// The read database as `snapshot.sql` makes it.
fn empty_read_database(archive: &Archive) -> Result<Connection, Finding> {
    let told = |error: ReadError| match error {
        ReadError::Script(error) => {
            let fix = match error.message.as_str() {
                "not authorized" => {
                    "snapshot.sql makes tables, indexes, views and triggers of its own database, and no PRAGMA"
                }
                _ => "",
            };
            Finding::new(&error.file, Some(error.line), error.message, fix)
        }
        other => Finding::new(archive::SNAPSHOT, None, other.to_string(), ""),
    };
    let shape = Shape::of(archive).map_err(|error| Finding::of_archive(&error))?;
    let mut connection = Connection::open_in_memory().map_err(|error| told(error.into()))?;
    bound_work(&mut connection).map_err(|error| told(error.into()))?;
    ReadDatabase::create(connection, &shape).map(ReadDatabase::into_connection).map_err(told)
}

fn bound_work(connection: &mut Connection) -> rusqlite::Result<()> {
    let ends_at = Instant::now() + limits::MIGRATIONS_WORK;
    connection.progress_handler(1_000, Some(move || Instant::now() > ends_at))
}

fn named_queries<'a>(read: Connection, queries: impl Iterator<Item = &'a Query>) -> Vec<Finding> {
    let mut guarded = match Guarded::new(read, Grant::Read) {
        Ok(guarded) => guarded,
        Err(error) => return vec![Finding::new(queries::FILE_NAME, None, error.to_string(), "")],
    };
    queries.filter_map(|query| named_query(&mut guarded, query)).collect()
}

fn named_query(guarded: &mut Guarded, query: &Query) -> Option<Finding> {
    let finding = |line: usize, what: &str, fix: &str| {
        Some(Finding::new(queries::FILE_NAME, Some(line), format!("query `{}`: {what}", query.name), fix))
    };
    // Unguarded first: SQLite then says where in the text the fault is.
    let bare = guarded.trusted(|connection| match connection.prepare(&query.sql) {
        Ok(statement) if !statement.readonly() => {
            Some((query.line, "it changes something: queries only read; put the change into a command".to_owned()))
        }
        Ok(_) => None,
        Err(rusqlite::Error::MultipleStatement) => Some((query.line, "it has more than one statement".to_owned())),
        Err(error) => Some(script::place(query.line, &query.sql, &error)),
    });
    if let Some((line, what)) = bare {
        return finding(line, &what, "");
    }
    match guarded.examine(&query.sql) {
        Err(error) => {
            let fix =
                "queries read the app's own tables; random(), clocks, PRAGMA and reserved tables are not in the pages";
            finding(query.line, sql::describe(&error).split(" in ").next().unwrap_or_default(), fix)
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests;

//! What is wrong with an app, found before it is anywhere: all of it, each with its place and what to do.
//!
//! The app's parts are tried on databases in memory: migrations on an empty store, `snapshot.sql` on an empty read
//! database, each named query on that. A push with an error is refused while what was running goes on; warnings are
//! told, and it goes on.

mod components;
mod finding;
mod folder;
mod grants;
mod hint;
mod index;
mod inputs;
mod interface;
mod json_place;
mod manifest;
mod memory;
mod mirror;
mod plan;
mod plans;
mod proposals;
mod queries;
mod read_database;
mod role;
mod routes;
mod rule;
mod schemas;
mod snapshot;
mod statement;
mod static_files;
mod store;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use nearside_host::{
    archive::{self, Archive},
    code::Code,
    engine::Engine,
};
use nearside_protocol::{
    app::{self, DatabaseSource},
    digest::Digest,
    queries::{self as named, Query},
};

pub use finding::Finding;
pub use folder::{check_folder, collect};
pub use inputs::FILE as UNDECLARED_INPUTS;
pub use plan::Plan;
pub(crate) use proposals::{Proposal, costly, proposals};
pub use rule::{Rule, Severity};

use manifest::Manifest;
use snapshot::Snapshot;

/// All that is wrong with an app, and what could be better. Compiles components: call it where blocking is fine.
pub fn check(archive: &Archive, engine: &Engine) -> Vec<Finding> {
    let manifest = Manifest::of(archive);
    let parts = components::parts(archive, engine, &manifest);
    let queries = queries_of(archive);

    let mut findings = routes::conflicts(archive);
    findings.extend(static_files::check(archive, &manifest));
    findings.extend(parts.iter().flat_map(|part| part.check()));
    findings.extend(schemas::check(archive));
    findings.extend(store::names(archive));
    match &queries {
        Ok(queries) => {
            findings.extend(databases(archive, &manifest, Some(queries)));
            findings.extend(grants::unused(&archive.app, &parts, queries, &manifest));
        }
        Err(finding) => {
            findings.extend(databases(archive, &manifest, None));
            findings.push(finding.clone());
        }
    }
    if !findings.iter().any(Finding::is_error) {
        findings.extend(loaded(archive, engine));
    }
    sorted(findings)
}

/// What SQLite will do for each named query, in the order of the file. Queries that cannot be prepared are left out.
pub fn plans(archive: &Archive) -> Vec<(Query, Plan)> {
    let (Ok(queries), Ok(read)) = (queries_of(archive), read_database::empty(archive)) else { return Vec::new() };
    let mut plans = queries::plans(read, &queries);
    plans.sort_by_key(|(query, _)| query.line);
    plans
}

/// Each named query, tried on the database it will run on. For apps whose database is pushed: `check` alone has none.
pub fn queries_on(archive: &Archive, database: rusqlite::Connection) -> Vec<Finding> {
    match queries_of(archive) {
        Ok(queries) => sorted(queries::check(database, &queries)),
        Err(finding) => vec![finding],
    }
}

fn queries_of(archive: &Archive) -> Result<BTreeMap<String, Query>, Finding> {
    let text = archive.text(named::FILE_NAME).map_err(|error| Finding::of_archive(&error))?;
    named::parse(&text).map_err(|error| {
        let (what, fix) = error.message.split_once(": ").unwrap_or((&error.message, ""));
        Finding::new(Rule::QuerySyntax, named::FILE_NAME, Some(error.line), what, fix)
    })
}

fn databases(archive: &Archive, manifest: &Manifest, queries: Option<&BTreeMap<String, Query>>) -> Vec<Finding> {
    let (data, mirror) = (&archive.app.data, &archive.app.mirror);
    let text = archive.text(archive::SNAPSHOT).unwrap_or_default();
    if archive.app.database == DatabaseSource::Pushed {
        let never_runs = Finding::new(
            Rule::SnapshotFails,
            archive::SNAPSHOT,
            None,
            "the app's database is the file that is pushed: snapshot.sql would never run",
            "remove it, or `database = \"pushed\"`",
        );
        let unused = (!text.trim().is_empty()).then_some(never_runs);
        return store::empty(archive).err().into_iter().chain(unused).collect();
    }
    let snapshot = Snapshot(&text);
    let (store, read) = (store::empty(archive), read_database::empty(archive));
    let mut findings = Vec::new();
    if let Ok(store) = &store {
        findings.extend(tables::data(store, data, manifest));
        findings.extend(tables::mirror_in_store(store, mirror, manifest));
    }
    if let Ok(read) = &read {
        findings.extend(read_database::reserved(read, &snapshot));
        findings.extend(tables::mirror_in_read_database(read, mirror, manifest, &snapshot));
    }
    if let (Ok(store), Ok(read)) = (&store, &read) {
        findings.extend(tables::mirror_alike(store, read, mirror, manifest));
    }
    findings.extend(store.err());
    // A table or trigger that is wrong reads nothing yet.
    let whole = !findings.iter().any(Finding::is_error);
    match (read, queries) {
        (Err(finding), _) => findings.push(finding),
        (Ok(_), None) => {}
        (Ok(mut read), Some(queries)) => {
            let unused = if whole { mirror::unused(&mut read, queries, mirror, manifest) } else { Vec::new() };
            let about_queries = queries::check(read, queries);
            if !about_queries.iter().any(Finding::is_error) {
                findings.extend(unused);
            }
            findings.extend(about_queries);
        }
    }
    findings
}

/// The very way a node loads it: whatever is left, it would refuse.
fn loaded(archive: &Archive, engine: &Engine) -> Option<Finding> {
    let error = Code::load(engine, archive, Digest::of(b"")).err()?;
    Some(Finding::new(Rule::LoadFails, app::FILE_NAME, None, format!("a node would not load the app: {error}"), ""))
}

/// By file and line, so that a person goes through each file once.
fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| (&a.file, a.line, a.severity).cmp(&(&b.file, b.line, b.severity)));
    findings
}

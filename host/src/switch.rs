//! The switch: a release that has come whole is opened, every query prepared and looked at, recorded, and becomes the one
//! that new requests get. Whatever is wrong with it shows before that.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_protocol::{
    limits,
    release::{Manifest, SignedManifest},
};

use crate::{
    archive::{Archive, ArchiveError},
    code::{Code, CodeError},
    database::{Database, DatabaseError},
    host::{Host, NotSwitched},
    pages::{Draft, PagesError, Table},
    plans::{self, NewScan},
    release::Release,
    replica::{AppReplica, ReplicaError},
    shown::Shown,
    spans::{Kind, Traced, within},
};

#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    NewScan(#[from] NewScan),
    #[error(transparent)]
    NotSwitched(#[from] NotSwitched),
}

impl SwitchError {
    /// Its name among refusals; none where trying again may help.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            SwitchError::Replica(ReplicaError::Damaged(_)) => Some("wrong_hash"),
            SwitchError::Replica(_) | SwitchError::Pages(_) => None,
            SwitchError::Archive(_) | SwitchError::Code(_) => Some("unusable_app"),
            SwitchError::Database(DatabaseError::Query { .. }) => Some("query_not_prepared"),
            SwitchError::Database(_) => None,
            SwitchError::NewScan(_) => Some("new_scan"),
            SwitchError::NotSwitched(NotSwitched::NotNewer { .. }) => Some("older_release"),
            SwitchError::NotSwitched(NotSwitched::OtherDatabase { .. }) => Some("other_database"),
        }
    }
}

/// What a switch took: until the release could be served, from what is on the disk; and of that, until it was recorded there.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    pub served: Duration,
    pub recorded: Duration,
}

/// Records the draft as this release, and serves it. Blocks; compiles code that is new here.
pub fn switch(
    host: &Arc<Host>,
    disk: &AppReplica,
    manifest: Manifest,
    signed: SignedManifest,
    mut draft: Draft,
    traced: Option<&Traced>,
) -> Result<Took, SwitchError> {
    let started = Instant::now();
    let span = traced.map(|traced| traced.span(Kind::Internal, "switch"));
    let current = host.by_name(&manifest.app).and_then(|served| served.current());
    let used = current.as_ref().map_or(0, |current| current.database.idle_connections());
    let mut release = load(host, disk, manifest, draft.table())?;
    release.shown = within(&span).map(Shown::by);
    if let Some(current) = current.filter(|current| current.manifest.fingerprint != release.manifest.fingerprint) {
        plans::compare(&current, &release)?;
    }
    warm(&release, used)?;
    let id = release.manifest.release;
    host.accepts(&release.manifest)?;
    let recording = Instant::now();
    // One that is recorded already comes again only because it could not be served.
    if disk.pages().newest().is_none_or(|newest| newest.release < id) {
        disk.commit(draft, id, signed)?;
    }
    let recorded = recording.elapsed();
    host.switch(release)?;
    let served = started.elapsed();
    disk.retire();
    Ok(Took { served, recorded })
}

/// Puts a release together from parts that are here. Compiles; takes a moment.
pub fn load(
    host: &Arc<Host>,
    disk: &AppReplica,
    manifest: Manifest,
    table: Arc<Table>,
) -> Result<Release, SwitchError> {
    let current = host.by_name(&manifest.app).and_then(|served| served.current());
    let code = match &current {
        Some(current) if current.code.digest == manifest.app_digest => current.code.clone(),
        _ => Code::load(host.engine(), &Archive::unpack(&disk.archive(&manifest.app_digest)?)?, manifest.app_digest)?,
    };
    let secrets = disk.secrets(&manifest)?;
    let database = Database::following(table, current.as_ref().map(|current| &*current.database))?;
    Ok(Release::assemble(manifest, secrets.as_ref(), code, database)?)
}

/// Opens connections and has them read the schema, and the first of them what searches have in memory, so that the first visitors
/// do not wait for that. As many as the release before has in use: an app that is asked for little takes little.
fn warm(release: &Release, used: usize) -> Result<(), DatabaseError> {
    let mut readers = Vec::new();
    for number in 0..used.clamp(1, limits::WARM_CONNECTIONS) {
        let mut reader = release.database.reader()?;
        // What cannot be counted, or searched, shows when a query runs.
        let _ = reader.trusted(|connection| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            if number == 0 { nearside_search::warm(connection) } else { Ok(()) }
        });
        readers.push(reader);
    }
    Ok(())
}

//! `nearside snapshot`: a release's SQLite file, taken out, verified, compared.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use http_body_util::BodyExt;
use nearside_host::origin_client::{OriginClient, bytes};
use nearside_protocol::{
    app::RESERVED_PREFIX,
    digest::PageTree,
    limits,
    release::{Manifest, ReleaseId, SignedManifest},
    status::OriginStatus,
};
use rusqlite::Connection;

use crate::places::OriginAccess;

/// Takes snapshots out of releases, and looks at them
///
/// A snapshot is the SQLite file a release serves. Releases the origin keeps are listed by `nearside releases`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside snapshot export 1.42 out.db --app packages --token-file origin-data/token
  nearside snapshot verify out.db --release 1.42 --app packages --token-file origin-data/token
  nearside snapshot diff 1.41 1.42 --app packages --token-file origin-data/token")]
pub struct SnapshotArgs {
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

#[derive(Subcommand)]
pub enum SnapshotCommand {
    /// Writes a release's snapshot to a file, verified against its manifest
    Export {
        release: ReleaseId,
        /// Must not be there yet
        #[arg(value_name = "OUT.db")]
        out: PathBuf,
        #[command(flatten)]
        of: SnapshotOf,
    },
    /// Says whether a file is a release's snapshot, to the last byte; exits with 1 when it is not
    Verify {
        #[arg(value_name = "FILE.db")]
        file: PathBuf,
        #[arg(long)]
        release: ReleaseId,
        #[command(flatten)]
        of: SnapshotOf,
    },
    /// Shows what changed from one release to another: rows of each table, pages, and the bytes a node pulled
    Diff {
        from: ReleaseId,
        to: ReleaseId,
        #[command(flatten)]
        of: SnapshotOf,
    },
}

#[derive(Args)]
pub struct SnapshotOf {
    /// The app; may be left out where the origin has only one
    #[arg(long)]
    pub app: Option<String>,
    #[command(flatten)]
    pub origin: OriginAccess,
}

pub async fn run(args: SnapshotArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        SnapshotCommand::Export { release, out, of } => export(&Origin::of(&of).await?, release, &out).await,
        SnapshotCommand::Verify { file, release, of } => verify(&Origin::of(&of).await?, release, &file).await,
        SnapshotCommand::Diff { from, to, of } => diff(&Origin::of(&of).await?, from, to).await,
    }
}

/// One app at an origin.
struct Origin {
    client: OriginClient,
    app: String,
}

impl Origin {
    async fn of(of: &SnapshotOf) -> anyhow::Result<Origin> {
        let client = super::origin_client(&of.origin)?;
        if let Some(app) = &of.app {
            return Ok(Origin { client, app: app.clone() });
        }
        let status: OriginStatus = client.get_json("/v1/status").await?;
        let mut apps = status.apps.into_keys();
        match (apps.next(), apps.next()) {
            (Some(app), None) => Ok(Origin { client, app }),
            (None, _) => bail!("the origin has no app"),
            (Some(one), Some(other)) => bail!("the origin has `{one}`, `{other}` and maybe more: say which by --app"),
        }
    }

    /// The origin is asked for it with its token: its word is taken for what it signed.
    async fn manifest(&self, release: ReleaseId) -> anyhow::Result<Manifest> {
        let path = format!("/v1/apps/{}/releases/{release}", self.app);
        let signed: SignedManifest = self.client.get_json(&path).await?;
        let manifest: Manifest = serde_json::from_str(&signed.manifest).context("its manifest cannot be read")?;
        if manifest.release != release || manifest.app != self.app {
            bail!("the origin gives the manifest of {} {} for {} {release}", manifest.app, manifest.release, self.app);
        }
        Ok(manifest)
    }

    /// Writes the snapshot to a file; it has its name only once it is the manifest's.
    async fn save(&self, manifest: &Manifest, out: &Path) -> anyhow::Result<()> {
        let request = self
            .client
            .request(Method::GET, &format!("/v1/apps/{}/snapshots/{}", self.app, manifest.root))
            .body(bytes(""))?;
        let mut body = self.client.send(request, limits::OBJECT_WAIT).await?.into_body();
        let part = out.with_extension("part");
        let mut file = BufWriter::new(File::create(&part).with_context(|| format!("{}", part.display()))?);
        let mut left = manifest.database_bytes();
        while let Some(frame) = tokio::time::timeout(limits::STREAM_IDLE, body.frame()).await? {
            let Ok(piece) = frame?.into_data() else { continue };
            left = left.checked_sub(piece.len() as u64).context("the origin sends more than the release has")?;
            file.write_all(&piece)?;
        }
        file.into_inner()?.sync_all()?;
        if !is_snapshot(&part, manifest)? {
            let _ = std::fs::remove_file(&part);
            bail!("what the origin sent is not the snapshot of release {}", manifest.release);
        }
        Ok(std::fs::rename(&part, out)?)
    }
}

async fn export(origin: &Origin, release: ReleaseId, out: &Path) -> anyhow::Result<ExitCode> {
    if out.exists() {
        bail!("{} is there already", out.display());
    }
    let manifest = origin.manifest(release).await?;
    origin.save(&manifest, out).await?;
    println!(
        "{}: {} {release}, {} bytes, root {}",
        out.display(),
        origin.app,
        manifest.database_bytes(),
        manifest.root
    );
    Ok(ExitCode::SUCCESS)
}

async fn verify(origin: &Origin, release: ReleaseId, file: &Path) -> anyhow::Result<ExitCode> {
    let manifest = origin.manifest(release).await?;
    let (app, root) = (&origin.app, manifest.root);
    if is_snapshot(file, &manifest)? {
        println!("{} is the snapshot of {app} {release}, root {root}", file.display());
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{} is not the snapshot of {app} {release}, root {root}", file.display());
        Ok(ExitCode::FAILURE)
    }
}

fn is_snapshot(file: &Path, manifest: &Manifest) -> anyhow::Result<bool> {
    let open = || format!("{}", file.display());
    let mut pages = std::io::BufReader::with_capacity(1 << 20, File::open(file).with_context(open)?);
    if pages.get_ref().metadata()?.len() != manifest.database_bytes() {
        return Ok(false);
    }
    let mut tree = PageTree::default();
    let mut page = [0; limits::PAGE_BYTES];
    for _ in 0..manifest.page_count {
        pages.read_exact(&mut page).with_context(open)?;
        tree.add(&page);
    }
    Ok(tree.root() == manifest.root)
}

async fn diff(origin: &Origin, from: ReleaseId, to: ReleaseId) -> anyhow::Result<ExitCode> {
    let (before, after) = (origin.manifest(from).await?, origin.manifest(to).await?);
    let moved: serde_json::Value = origin.client.get_json(&format!("/v1/apps/{}/diff/{from}/{to}", origin.app)).await?;
    let folder = Scratch::new()?;
    let (old, new) = (folder.0.join("from.db"), folder.0.join("to.db"));
    origin.save(&before, &old).await?;
    origin.save(&after, &new).await?;

    let number = |name: &str| moved[name].as_u64().map_or("?".to_owned(), |number| number.to_string());
    println!(
        "{} {from} -> {to}: {} pages of {}, {} bytes",
        origin.app,
        number("changed_pages"),
        after.page_count,
        number("delta_bytes")
    );
    if before.app_digest != after.app_digest {
        println!("  app {} -> {}", before.app_digest.short(), after.app_digest.short());
    }
    for table in compare(&old, &new)? {
        println!("  {table}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A folder that goes with the end of the command.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Scratch> {
        let folder = std::env::temp_dir().join(format!("nearside-diff-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A line for each table that is not the same in both.
fn compare(old: &Path, new: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open_in_memory()?;
    let attach = |file: &Path, name: &str| {
        connection.execute(&format!("ATTACH ?1 AS {name}"), [file.to_string_lossy().as_ref()])
    };
    attach(old, "old")?;
    attach(new, "new")?;
    let (before, after) = (tables(&connection, "old")?, tables(&connection, "new")?);
    let mut lines = Vec::new();
    for gone in before.iter().filter(|table| !after.contains(table)) {
        lines.push(format!("table {gone} is gone"));
    }
    for table in &after {
        if !before.contains(table) {
            lines.push(format!(
                "table {table} is new, {} rows",
                count(&connection, &format!("SELECT * FROM new.{}", quoted(table)))?
            ));
        } else if let Some(changes) = rows(&connection, table)? {
            lines.push(format!("table {table}: {changes}"));
        }
    }
    Ok(lines)
}

/// The app's own tables; what full-text indexes keep in others follows from them.
fn tables(connection: &Connection, schema: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = ?1 AND type = 'table' ORDER BY name";
    let names: Vec<String> =
        connection.prepare(sql)?.query_map([schema], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let follows = search_tables(connection, schema)?;
    let is_own = |name: &String| !name.starts_with("sqlite_") && !name.starts_with(RESERVED_PREFIX);
    Ok(names.into_iter().filter(|name| is_own(name) && !follows.contains(name)).collect())
}

/// What search indexes keep themselves in. SQLite takes these for tables like any other.
fn search_tables(connection: &Connection, schema: &str) -> rusqlite::Result<BTreeSet<String>> {
    let sql =
        format!("SELECT name FROM {schema}.sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%USING%' || ?1 || '%'");
    let mut statement = connection.prepare(&sql)?;
    let indexes = statement.query_map([nearside_search::MODULE], |row| row.get::<_, String>(0))?;
    let indexes = indexes.collect::<rusqlite::Result<Vec<_>>>()?;
    let all = indexes.iter().flat_map(|index| nearside_search::SHADOW_TABLES.map(|kind| format!("{index}_{kind}")));
    Ok(all.collect())
}

/// What happened to a table's rows, if anything did.
fn rows(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let (old, new) = (columns(connection, "old", table)?, columns(connection, "new", table)?);
    if old != new {
        return Ok(Some("it has other columns".into()));
    }
    let all: Vec<String> = new.iter().map(|(name, _)| quoted(name)).collect();
    let key: Vec<String> = new.iter().filter(|(_, is_key)| *is_key).map(|(name, _)| quoted(name)).collect();
    let difference = |one: &str, other: &str, columns: &[String]| {
        let (columns, table) = (columns.join(", "), quoted(table));
        format!("SELECT {columns} FROM {one}.{table} EXCEPT SELECT {columns} FROM {other}.{table}")
    };
    let added = count(connection, &difference("new", "old", if key.is_empty() { &all } else { &key }))?;
    let removed = count(connection, &difference("old", "new", if key.is_empty() { &all } else { &key }))?;
    // Rows that are other ones and whose keys are in both. Without a key, another row is one added and one removed.
    let changed =
        if key.is_empty() { 0 } else { count(connection, &difference("new", "old", &all))?.saturating_sub(added) };
    let any = added + removed + changed > 0;
    Ok(any.then(|| format!("{added} rows added, {changed} changed, {removed} removed")))
}

/// Names in order, and whether each belongs to the primary key.
fn columns(connection: &Connection, schema: &str, table: &str) -> rusqlite::Result<Vec<(String, bool)>> {
    let mut statement = connection.prepare("SELECT name, pk > 0 FROM pragma_table_info(?1, ?2)")?;
    statement.query_map([table, schema], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn count(connection: &Connection, select: &str) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM ({select})"), [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_by_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, sql: &str| {
            let file = folder.path().join(name);
            Connection::open(&file).unwrap().execute_batch(sql).unwrap();
            file
        };
        let old = make(
            "old.db",
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name); CREATE TABLE note (text); CREATE TABLE gone (x);
             CREATE TABLE same (x); INSERT INTO same VALUES (1);
             INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO note VALUES ('x');
             CREATE TABLE _nearside_meta (x);",
        );
        let new = make(
            "new.db",
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name); CREATE TABLE note (text); CREATE TABLE fresh (x);
             CREATE TABLE same (x); INSERT INTO same VALUES (1);
             INSERT INTO item VALUES (1, 'a'), (2, 'B'), (4, 'd'), (5, 'e'); INSERT INTO note VALUES ('y');
             INSERT INTO fresh VALUES (1);",
        );
        assert_eq!(
            compare(&old, &new).unwrap(),
            [
                "table gone is gone",
                "table fresh is new, 1 rows",
                "table item: 2 rows added, 1 changed, 1 removed",
                "table note: 1 rows added, 0 changed, 1 removed",
            ]
        );
    }

    #[test]
    fn what_indexes_keep_is_no_table_of_the_apps() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, text: &str| {
            let file = folder.path().join(name);
            let connection = Connection::open(&file).unwrap();
            nearside_search::register(&connection).unwrap();
            let sql = "CREATE TABLE item (id INTEGER PRIMARY KEY, name);
                CREATE VIRTUAL TABLE item_search USING nearside_search (name, content = 'item', content_rowid = 'id');
                CREATE VIRTUAL TABLE item_text USING fts5 (name, content = 'item', content_rowid = 'id');
                CREATE TRIGGER added AFTER INSERT ON item BEGIN
                    INSERT INTO item_search (rowid, name) VALUES (new.id, new.name);
                    INSERT INTO item_text (rowid, name) VALUES (new.id, new.name);
                END;";
            connection.execute_batch(sql).unwrap();
            connection.execute("INSERT INTO item (name) VALUES (?1)", [text]).unwrap();
            file
        };
        let (old, new) = (make("old.db", "a"), make("new.db", "b"));
        assert_eq!(compare(&old, &new).unwrap(), ["table item: 0 rows added, 1 changed, 0 removed"]);
    }
}

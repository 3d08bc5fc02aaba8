//! An app's version at the origin: what commands and tasks run, and how it takes over.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use nearside_host::{
    archive::{Archive, ArchiveError},
    engine::{Engine, EngineError},
    schemas::{SchemaError, Schemas},
};
use nearside_protocol::{
    app::{App, TaskDecl},
    limits,
};
use rusqlite::Connection;
use wasmtime::component::Component;

use crate::{
    change_log::{self, MirrorError},
    command::{self, CommandPre},
    migrate::{self, MigrateError},
    store::{self, StoreError},
    task_guest::{self, TaskPre},
};

/// Why a version did not take over; the one before goes on, and the store is untouched.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("component `{name}`: {error}")]
    Component { name: String, error: EngineError },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("the migrations ran longer than {} seconds, during which nothing else is written", limits::MIGRATIONS_WORK.as_secs())]
    TooLong,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the writer has stopped")]
    Stopped,
}

impl InstallError {
    pub(crate) fn stopped() -> InstallError {
        InstallError::Stopped
    }
}

/// An app's code as the origin runs it.
pub(crate) struct Version {
    pub(crate) app: App,
    pub(crate) variables: Vec<(String, String)>,
    migrations: Vec<(String, String)>,
    schemas: Schemas,
    /// By name of the component.
    commands: BTreeMap<String, CommandPre>,
    tasks: BTreeMap<String, TaskPre>,
    /// Kept, so that other apps with the same components have these.
    _components: Vec<Arc<Component>>,
}

impl Version {
    /// Loads what commands and tasks need of an archive. Compiles what was never compiled here.
    pub(crate) fn load(
        engine: &Engine,
        archive: &Archive,
        variables: BTreeMap<String, String>,
    ) -> Result<Version, InstallError> {
        let app = archive.app.clone();
        let mut compiled: BTreeMap<&str, Arc<Component>> = BTreeMap::new();
        let mut commands = BTreeMap::new();
        let mut tasks = BTreeMap::new();
        for command in app.commands.values() {
            let pre = with_component(engine, archive, &mut compiled, &command.component, command::prepare)?;
            commands.insert(command.component.clone(), pre);
        }
        for task in app.tasks.values() {
            let pre = with_component(engine, archive, &mut compiled, &task.component, task_guest::prepare)?;
            tasks.insert(task.component.clone(), pre);
        }
        Ok(Version {
            variables: variables.into_iter().collect(),
            migrations: archive.migrations()?,
            schemas: Schemas::load(archive)?,
            commands,
            tasks,
            _components: compiled.into_values().collect(),
            app,
        })
    }

    /// The same code, on a store that another version is tried out on, too: with its migrations, and a change log for both.
    pub(crate) fn beside(
        mut self,
        migrations: Vec<(String, String)>,
        mirror: BTreeMap<String, Vec<String>>,
    ) -> Version {
        self.app.mirror = mirror;
        Version { migrations, ..self }
    }

    /// Whether the app has this command and the payload fits its schema; the text says why not.
    pub(crate) fn check_command(&self, name: &str, payload: &str) -> Result<(), String> {
        self.schemas.check(name, payload).map_err(|bad| bad.to_string())
    }

    pub(crate) fn command(&self, name: &str) -> Option<&CommandPre> {
        self.app.commands.get(name).and_then(|command| self.commands.get(&command.component))
    }

    pub(crate) fn task(&self, name: &str) -> Option<(&TaskDecl, &TaskPre)> {
        let task = self.app.tasks.get(name)?;
        Some((task, self.tasks.get(&task.component)?))
    }
}

fn with_component<'a, T>(
    engine: &Engine,
    archive: &'a Archive,
    compiled: &mut BTreeMap<&'a str, Arc<Component>>,
    name: &str,
    prepare: impl FnOnce(&Component) -> Result<T, EngineError>,
) -> Result<T, InstallError> {
    let fault = |error| InstallError::Component { name: name.to_owned(), error };
    let (name, _) = archive.app.components.get_key_value(name).expect("BUG: a manifest names components it has");
    if !compiled.contains_key(name.as_str()) {
        let wasm = archive.component(name).expect("BUG: an archive holds every component of its manifest");
        compiled.insert(name, engine.component(wasm).map_err(fault)?);
    }
    prepare(&compiled[name.as_str()]).map_err(fault)
}

/// What installing did to the store.
pub(crate) struct Installed {
    pub(crate) report: Vec<String>,
    pub(crate) commit: Option<u64>,
}

/// Runs a version's new migrations and makes the change log's triggers what its mirror declaration asks for.
///
/// Works on a connection of its own: the writer's is bound by a guest's limits.
pub(crate) fn apply(path: &Path, version: &Version) -> Result<Installed, InstallError> {
    let mut connection = store::open(path)?;
    let ends_at = Instant::now() + limits::MIGRATIONS_WORK;
    let begun = connection
        .progress_handler(1_000, Some(move || Instant::now() > ends_at))
        .and_then(|()| connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE"));
    begun.map_err(StoreError::from)?;
    let installed = change(&mut connection, &version.migrations, &version.app.mirror).and_then(|installed| {
        if !installed.report.is_empty() {
            connection.execute_batch("COMMIT").map_err(StoreError::from)?;
        }
        Ok(installed)
    });
    installed.map_err(|error| if Instant::now() > ends_at { InstallError::TooLong } else { error })
}

/// Inside a transaction, which closing the connection rolls back.
fn change(
    connection: &mut Connection,
    migrations: &[(String, String)],
    mirror: &BTreeMap<String, Vec<String>>,
) -> Result<Installed, InstallError> {
    let before = change_log::present(connection).map_err(StoreError::from)?;
    change_log::drop_triggers(connection).map_err(StoreError::from)?;
    let ran = migrate::run(connection, migrations)?;
    change_log::check(connection, mirror)?;
    let wanted = change_log::wanted(mirror);
    change_log::make_triggers(connection, &wanted).map_err(StoreError::from)?;

    let mut report: Vec<String> = ran.iter().map(|file| format!("{file}: applied")).collect();
    let remade = before != wanted;
    if remade {
        let tables: Vec<&str> = mirror.keys().map(String::as_str).collect();
        report.push(match tables.is_empty() {
            true => "mirrors no table".to_owned(),
            false => format!("mirrors {}", tables.join(", ")),
        });
    }
    if !ran.is_empty() || remade {
        store::grow(connection, "layout").map_err(StoreError::from)?;
    }
    let commit = match ran.is_empty() {
        true => None,
        false => Some(store::count_commit(connection).map_err(StoreError::from)?),
    };
    Ok(Installed { report, commit })
}

/// A version with no components, for tests of what surrounds them.
#[cfg(test)]
pub(crate) fn bare(manifest: &str, migrations: &[(&str, &str)]) -> std::sync::Arc<Version> {
    use std::{fs, sync::Arc};

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nearside.toml"), format!("name = \"a\"\nhosts = [\"a\"]\n{manifest}")).unwrap();
    let archive = Archive::collect(folder.path()).unwrap();
    let owned = |(name, sql): &(&str, &str)| (format!("migrations/{name}"), sql.to_string());
    Arc::new(Version {
        variables: Vec::new(),
        migrations: migrations.iter().map(owned).collect(),
        schemas: Schemas::load(&archive).unwrap(),
        commands: BTreeMap::new(),
        tasks: BTreeMap::new(),
        _components: Vec::new(),
        app: archive.app,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_takes_over_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(store::FILE_NAME);
        let one = ("1.sql", "CREATE TABLE p (id INTEGER PRIMARY KEY, name, n);");
        let first = bare("[mirror]\np = [\"id\", \"name\", \"n\"]", &[one]);
        let installed = apply(&path, &first).unwrap();
        assert_eq!(
            (installed.report, installed.commit),
            (vec!["migrations/1.sql: applied".into(), "mirrors p".into()], Some(1))
        );
        let before = store::meta(&store::open(&path).unwrap()).unwrap();
        assert_eq!(before.layout, 1);

        let again = apply(&path, &first).unwrap();
        assert_eq!((again.report.len(), again.commit), (0, None));
        for (mirror, migration, expected) in [
            (
                "p = [\"id\", \"name\"]",
                "ALTER TABLE p DROP COLUMN n; CREATE TABLE q (id);\nCREATE TABLE q (id);",
                "2.sql:2: ",
            ),
            (
                "p = [\"id\", \"name\", \"n\"]",
                "ALTER TABLE p DROP COLUMN n;",
                "mirror.p: the store's table has no column `n`",
            ),
            ("q = [\"id\"]", "ALTER TABLE p DROP COLUMN n;", "mirror.q: the store has no such table"),
        ] {
            let version = bare(&format!("[mirror]\n{mirror}"), &[one, ("2.sql", migration)]);
            let Err(error) = apply(&path, &version) else { panic!("{migration} was taken") };
            assert!(error.to_string().contains(expected), "{error}");
            let store = store::open(&path).unwrap();
            assert_eq!(store::meta(&store).unwrap(), before);
            assert_eq!(change_log::present(&store).unwrap(), change_log::wanted(&first.app.mirror));
            store.execute("INSERT INTO p (name, n) VALUES ('still', 1)", []).unwrap();
        }

        let next = bare("[mirror]\np = [\"id\", \"name\"]", &[one, ("2.sql", "ALTER TABLE p DROP COLUMN n")]);
        assert_eq!(apply(&path, &next).unwrap().commit, Some(2));
        let store = store::open(&path).unwrap();
        assert_eq!(change_log::present(&store).unwrap(), change_log::wanted(&next.app.mirror));
        assert_eq!(store::meta(&store).unwrap().layout, 2);
    }
}

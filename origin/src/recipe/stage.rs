//! Where histories are played: an app's store as it is after its first push, and copies of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nearside_host::{archive::Archive, engine::Engine};
use nearside_protocol::write::{IdempotencyKey, Outcome};
use tokio::runtime::Runtime;

use super::{Found, RecipeError, Step};
use crate::{
    compare::{self, Verdict},
    install::Version,
    read_database::{ReadDatabase, ReadError, Shape},
    store,
    writer::Writer,
};

/// The moment at which histories begin, Unix time in milliseconds: any, but always the same.
const BEGIN_MS: u64 = 1_700_000_000_000;

pub(super) struct Stage {
    engine: Engine,
    runtime: Runtime,
    version: Arc<Version>,
    shape: Shape,
    folder: PathBuf,
    played: u64,
}

impl Stage {
    /// Installs the app in an empty store, and fills it with a pushed file's rows and a seed's, if there are any.
    pub(super) fn set(
        folder: &Path,
        engine: &Engine,
        archive: Arc<Archive>,
        rows: &super::Rows,
    ) -> Result<Stage, RecipeError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RecipeError::Runtime)?;
        let shape = Shape::of(&archive)?;
        // What commands are told of variables changes nothing in the read database; the manifest's own will do.
        let variables = archive.app.variables.clone();
        let version = Arc::new(Version::load(engine, &archive, variables)?);
        let stage = Stage { engine: engine.clone(), runtime, version, shape, folder: folder.to_owned(), played: 0 };
        let path = stage.template();
        let writer = Writer::over(&path, store::open_scratch(&path)?, engine.clone())?;
        stage.runtime.block_on(async {
            writer.install_version(stage.version.clone()).await?;
            if let Some(file) = &rows.data {
                writer.merge(file).await?;
            }
            if let Some((name, sql)) = &rows.seed {
                writer.seed(name, sql).await?;
            }
            Ok::<_, RecipeError>(())
        })?;
        store::copy(&path, &stage.folder.join("first.db"))?;
        drop(ReadDatabase::build(&stage.folder.join("first-read.db"), &stage.folder.join("first.db"), &stage.shape)?);
        Ok(stage)
    }

    fn template(&self) -> PathBuf {
        self.folder.join("template.db")
    }

    /// A copy of the store and of its read database, with a writer.
    pub(super) fn play(&mut self) -> Result<Play<'_>, RecipeError> {
        self.played += 1;
        let folder = self.folder.join(format!("play-{}", self.played));
        let io = |error| RecipeError::Io { path: folder.clone(), error };
        fs::create_dir(&folder).map_err(io)?;
        let (store_file, read_file) = (folder.join(store::FILE_NAME), folder.join("read.db"));
        fs::copy(self.folder.join("first.db"), &store_file).map_err(io)?;
        fs::copy(self.folder.join("first-read.db"), &read_file).map_err(io)?;
        let writer = Writer::over(&store_file, store::open_scratch(&store_file)?, self.engine.clone())?;
        self.runtime.block_on(writer.install_version(self.version.clone()))?;
        let read = ReadDatabase::open(&read_file, &store_file, &self.shape)?.ok_or(RecipeError::NotMine)?;
        // Nothing here is to outlive the process.
        read.connection().execute_batch("PRAGMA main.synchronous = OFF").map_err(ReadError::Sqlite)?;
        Ok(Play { stage: self, writer, read, store_file, folder, commands: 0 })
    }

    /// Plays a history from the beginning, and holds what it led to against a full rebuild.
    pub(super) fn verdict(&mut self, steps: &[Step]) -> Result<Option<Found>, RecipeError> {
        let mut play = self.play()?;
        for step in steps {
            if let Taken::Found(found) = play.take(step)? {
                return Ok(Some(found));
            }
        }
        play.compare().map(Result::err)
    }
}

/// What became of a step.
pub(super) enum Taken {
    Applied,
    Rejected,
    Failed(String),
    Followed,
    Found(Found),
}

pub(super) struct Play<'a> {
    stage: &'a Stage,
    writer: Writer,
    read: ReadDatabase,
    store_file: PathBuf,
    folder: PathBuf,
    commands: u64,
}

impl Play<'_> {
    /// The read database, with the store attached as `store`.
    pub(super) fn connection(&self) -> &rusqlite::Connection {
        self.read.connection()
    }

    pub(super) fn fits(&self, command: &str, payload: &str) -> bool {
        self.stage.version.check_command(command, payload).is_ok()
    }

    pub(super) fn take(&mut self, step: &Step) -> Result<Taken, RecipeError> {
        match step {
            Step::Command { name, payload } => {
                self.commands += 1;
                let key = IdempotencyKey::try_from(format!("recipe-{}", self.commands))
                    .expect("BUG: a word and a number are a key");
                // A second later each: what depends on the clock is the same each time it is played.
                let at_ms = BEGIN_MS + self.commands * 1_000;
                let outcome = self.stage.runtime.block_on(self.writer.submit_at(name, payload, &key, at_ms));
                Ok(match outcome {
                    Outcome::Applied { .. } => Taken::Applied,
                    Outcome::Rejected { .. } => Taken::Rejected,
                    Outcome::KeyConflict | Outcome::Closed => Taken::Failed("its key was used before".into()),
                    Outcome::Retry { message } | Outcome::Failed { message } | Outcome::Invalid { message } => {
                        Taken::Failed(message)
                    }
                })
            }
            Step::Rows(sql) => Ok(match self.stage.runtime.block_on(self.writer.seed("a push of data", sql)) {
                Ok(()) => Taken::Applied,
                Err(_) => Taken::Rejected,
            }),
            Step::Follow => Ok(match self.read.update() {
                Ok(_) => Taken::Followed,
                Err(error) => Taken::Found(Found::DoesNotFollow(error.to_string())),
            }),
        }
    }

    /// Lets the read database follow to the end, and holds it against one that is made anew.
    pub(super) fn compare(&mut self) -> Result<Result<compare::Same, Found>, RecipeError> {
        if let Err(error) = self.read.update() {
            return Ok(Err(Found::DoesNotFollow(error.to_string())));
        }
        let anew = match ReadDatabase::in_memory(&self.store_file, &self.stage.shape) {
            Ok(anew) => anew,
            Err(error) => return Ok(Err(Found::CannotBeMade(error.to_string()))),
        };
        Ok(match compare::compare(self.read.connection(), anew.connection()).map_err(ReadError::Sqlite)? {
            Verdict::Same(same) => Ok(same),
            Verdict::Different(difference) => Err(Found::Differs(difference)),
        })
    }
}

impl Drop for Play<'_> {
    fn drop(&mut self) {
        // The writer's thread may still have its file open: it loses only the name.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

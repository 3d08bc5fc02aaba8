//! One round after another: a build, which a newer change ends, and a push, which is let through.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::archive::Archive;
use nearside_protocol::{
    app::{App, Build},
    release::ReleaseId,
};
use tokio::task::JoinHandle;

use super::change::Change;
use crate::{
    build::{self, BuildError, Built, Purpose},
    local::{Local, LocalError},
};

/// A version that has come to be served.
pub struct Pushed {
    pub release: Option<ReleaseId>,
    pub report: Vec<String>,
    /// The file whose rows were taken.
    pub seeded: Option<PathBuf>,
    /// None where nothing had to be built.
    pub build_took: Option<Duration>,
    /// Collecting and packing, checking and releasing, and until the node served it.
    pub pack_took: Duration,
    pub release_took: Duration,
    pub switch_took: Duration,
}

/// What has come to its end.
pub enum Step {
    Built(Result<Built, BuildError>),
    Pushed(Result<Pushed, LocalError>),
}

#[derive(Default)]
pub struct Rounds {
    wanted: Option<Change>,
    under_way: UnderWay,
    /// The build command and components that the last build that went well was of.
    built: Option<Recipe>,
}

type Recipe = (Option<Build>, Vec<(String, String)>);

#[derive(Default)]
enum UnderWay {
    #[default]
    Nothing,
    Build {
        future: Pin<Box<dyn Future<Output = Result<Built, BuildError>> + Send>>,
        recipe: Recipe,
        then: Push,
    },
    Push(JoinHandle<Result<Pushed, LocalError>>),
}

/// What a push needs to know.
struct Push {
    folder: PathBuf,
    local: Arc<Local>,
    app: String,
    seed: Option<PathBuf>,
}

impl Rounds {
    /// Something has changed.
    pub fn want(&mut self, change: Change) {
        self.wanted = self.wanted.max(Some(change));
        // What a build makes of sources that have changed is not wanted any more. It ends with its future.
        if change == Change::Build && matches!(self.under_way, UnderWay::Build { .. }) {
            self.under_way = UnderWay::Nothing;
        }
    }

    /// What is to be begun now.
    pub fn next(&mut self) -> Option<Change> {
        match self.under_way {
            UnderWay::Nothing => self.wanted.take(),
            _ => None,
        }
    }

    /// The components there are may not be those of the sources there are.
    pub fn not_built(&mut self) {
        self.built = None;
    }

    pub fn begin(&mut self, change: Change, folder: &Path, app: &App, local: &Arc<Local>, seed: Option<PathBuf>) {
        let push = Push { folder: folder.to_owned(), local: local.clone(), app: app.name.clone(), seed };
        let recipe: Recipe = (app.build.clone(), app.components.clone().into_iter().collect());
        if change == Change::Push && self.built.as_ref() == Some(&recipe) {
            self.under_way = UnderWay::Push(tokio::spawn(push.run(None)));
            return;
        }
        self.not_built();
        let (folder, app) = (folder.to_owned(), app.clone());
        let future = Box::pin(async move { build::run(&folder, &app, Purpose::Development).await });
        self.under_way = UnderWay::Build { future, recipe, then: push };
    }

    /// Waits for the end of what is under way; a build that went well is followed by its push. May be given up and
    /// called again.
    pub async fn step(&mut self) -> Step {
        let step = match &mut self.under_way {
            UnderWay::Nothing => std::future::pending().await,
            UnderWay::Build { future, .. } => Step::Built(future.await),
            UnderWay::Push(pushing) => Step::Pushed(pushing.await.unwrap_or(Err(LocalError::Lost))),
        };
        let ended = std::mem::take(&mut self.under_way);
        if let (Step::Built(Ok(built)), UnderWay::Build { recipe, then, .. }) = (&step, ended) {
            self.built = Some(recipe);
            // What changed meanwhile and needs no build is collected now.
            self.wanted = None;
            let took = (!built.took.is_zero()).then_some(built.took);
            self.under_way = UnderWay::Push(tokio::spawn(then.run(took)));
        }
        step
    }
}

impl Push {
    /// In a task of its own: a push that was begun is not to be left half done.
    async fn run(self, build_took: Option<Duration>) -> Result<Pushed, LocalError> {
        let started = Instant::now();
        let folder = self.folder.clone();
        let packed = tokio::task::spawn_blocking(move || Archive::collect(&folder)?.pack());
        let packed = packed.await.map_err(|_| LocalError::Lost)??;
        let pack_took = started.elapsed();
        let mut pushed = self.local.origin().push(&self.app, packed).await.map_err(LocalError::from)?;
        let release_took = started.elapsed() - pack_took;
        self.local.serves(&self.app, &pushed).await?;
        let switch_took = started.elapsed() - pack_took - release_took;
        let mut seeded = None;
        if let Some(seed) = self.seed {
            let name = seed.strip_prefix(&self.folder).unwrap_or(&seed).display().to_string();
            let sql = std::fs::read_to_string(&seed).map_err(|error| LocalError::File { file: name.clone(), error })?;
            pushed.release = self.local.seed(&self.app, &name, &sql).await?.release;
            seeded = Some(seed);
        }
        let (release, report) = (pushed.release, pushed.report);
        Ok(Pushed { release, report, seeded, build_took, pack_took, release_took, switch_took })
    }
}

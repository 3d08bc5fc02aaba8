//! The development server: an app on a site of its own, built and pushed anew whenever one of its files changes.
//!
//! What was served goes on being served until the next version is: a build that fails, a check that finds something, or
//! a migration that does not run keep it where it is, and say why in the terminal and on every open page.

pub mod change;
mod failure;
mod front;
mod missed;
mod page;
mod round;
mod seen;
mod state;
mod terminal;
mod trouble;
pub mod watch;

pub use failure::told;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nearside_host::{
    engine::{Engine, EngineError},
    logbook::{Kind, Logbook, Next},
};
use nearside_origin::config::AppConfig;
use nearside_protocol::{app::App, limits};
use tokio::{net::TcpListener, sync::watch as channel};

use self::{
    change::{Change, Files},
    front::DevFront,
    missed::{Missed, MissedFile},
    round::{Pushed, Rounds, Step},
    state::State,
    terminal::Terminal,
    trouble::Trouble,
    watch::{Changed, Watch, WatchError},
};
use crate::{
    ansi, build,
    folder::{self, FolderError},
    local::{self, Local, LocalError, Settings},
};

/// The data folder inside the app's `.nearside`.
const DATA: &str = "dev";
/// In the data folder while a seed is still to be run.
const SEED_DUE: &str = "seed-due";

/// What the one who develops asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The app's folder.
    pub app: PathBuf,
    pub listen: SocketAddr,
    /// Where its data is; in the app's `.nearside` folder when absent.
    pub data: Option<PathBuf>,
    /// Forget the data there is.
    pub reset: bool,
    /// An SQL file that brings rows when the data is new.
    pub seed: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Local(Box<LocalError>),
    #[error(transparent)]
    Watch(#[from] WatchError),
}

impl From<LocalError> for DevError {
    fn from(error: LocalError) -> DevError {
        DevError::Local(Box::new(error))
    }
}

/// A running development server.
pub struct Dev {
    local: Arc<Local>,
    folder: PathBuf,
    data: PathBuf,
    seed: Option<PathBuf>,
    watch: Watch,
    rounds: Rounds,
    state: channel::Sender<State>,
    terminal: Arc<Terminal>,
    logbook: Logbook,
    missed: MissedFile,
    app: Option<App>,
}

impl Dev {
    /// Serves what was served last, if anything was. `logbook` is where what guests say is found.
    pub async fn start(options: Options, logbook: Logbook) -> Result<Dev, DevError> {
        let folder = absolute(&options.app)?;
        let seed = options.seed.as_deref().map(absolute).transpose()?;
        let own = folder::of(&folder)?;
        let data = options.data.unwrap_or_else(|| own.join(DATA));
        if options.reset {
            // What else may lie in a folder that was named is not ours.
            for part in [local::ORIGIN, local::NODE] {
                folder::remove(&data.join(part))?;
            }
        }
        folder::make(&data)?;
        if seed.is_some() && !data.join(local::ORIGIN).exists() {
            std::fs::write(data.join(SEED_DUE), "").map_err(|error| DevError::Io { path: data.clone(), error })?;
        }

        let app = build::manifest(&folder).ok();
        let watch = Watch::start(Files::of(&folder, app.as_ref(), seed.as_deref()))?;
        let engine = Engine::start(&folder::compiled(&folder)?)?;
        let settings = Settings {
            data: data.clone(),
            engine,
            cache_mib: limits::CACHE_MIB,
            apps: apps(app.as_ref()),
            logbook: logbook.clone(),
        };
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|error| DevError::Listen { address: options.listen, error })?;
        let (state, states) = channel::channel(State::default());
        let terminal = Arc::new(Terminal::of_stdout());
        let front = DevFront { state: states, logbook: logbook.clone(), terminal: terminal.clone() };
        let local = Local::start(settings, listener, Arc::new(front)).await?;
        let missed = MissedFile::open(&own);
        let rounds = Rounds::default();
        Ok(Dev { local, folder, data, seed, watch, rounds, state, terminal, logbook, missed, app })
    }

    pub fn address(&self) -> SocketAddr {
        self.local.address()
    }

    /// Builds, pushes, watches, and again, until `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), DevError> {
        let mut log = self.logbook.follow();
        let mut served = None;
        tokio::pin!(stop);
        self.note_version();
        self.rounds.want(Change::Build);
        loop {
            self.begin()?;
            if served.is_none() {
                served = self.local.only().map(|served| served.switched());
            }
            tokio::select! {
                () = &mut stop => break,
                changed = self.watch.changed() => self.changed(&changed?),
                step = self.rounds.step() => self.stepped(step),
                next = log.next() => self.logged(next),
                // A push from elsewhere is a new version as well.
                () = moved(&mut served) => self.note_version(),
            }
        }
        // A build under way ends with this.
        drop(self.rounds);
        self.local.stop().await;
        Ok(())
    }

    fn changed(&mut self, Changed { change, file, files }: &Changed) {
        let name = file.strip_prefix(&self.folder).unwrap_or(file).display();
        let more = if *files > 1 { format!(" and {} more", files - 1) } else { String::new() };
        self.terminal.note(&format!("changed: {name}{more}"));
        self.rounds.want(*change);
    }

    /// Begins what is wanted, if nothing is under way.
    fn begin(&mut self) -> Result<(), DevError> {
        let Some(change) = self.rounds.next() else { return Ok(()) };
        match build::manifest(&self.folder) {
            Err(error) => {
                self.rounds.not_built();
                self.fails(Trouble::of_build(&error));
            }
            Ok(app) => {
                self.watch.follow(Files::of(&self.folder, Some(&app), self.seed.as_deref()))?;
                if let Err(error) = self.missed.settle(&app) {
                    self.terminal.warn(&format!("{}: {error}", missed::FILE_NAME));
                }
                self.rounds.begin(change, &self.folder, &app, &self.local, self.seed_due());
                self.app = Some(app);
            }
        }
        Ok(())
    }

    /// The seed, while it has not run: on data that is new.
    fn seed_due(&self) -> Option<PathBuf> {
        self.seed.clone().filter(|_| self.data.join(SEED_DUE).exists())
    }

    fn stepped(&mut self, step: Step) {
        match step {
            Step::Built(Ok(built)) => {
                if !built.output.trim().is_empty() {
                    self.terminal.output(&ansi::spans(built.output.trim_end()));
                }
            }
            Step::Built(Err(error)) => self.fails(Trouble::of_build(&error)),
            Step::Pushed(Ok(pushed)) => self.serves(&pushed),
            Step::Pushed(Err(error)) => self.fails(Trouble::of_push(&error)),
        }
    }

    fn serves(&mut self, pushed: &Pushed) {
        let Pushed { release, report, seeded, build_took, .. } = pushed;
        report.iter().for_each(|line| self.terminal.note(&format!("  {line}")));
        if let Some(seed) = seeded {
            self.terminal.note(&format!("  {}: taken", seed.display()));
            let _ = std::fs::remove_file(self.data.join(SEED_DUE));
        }
        let stages = [
            (*build_took, "built in"),
            (Some(pushed.pack_took), "packed in"),
            (Some(pushed.release_took), "checked and released in"),
            (Some(pushed.switch_took), "served after"),
        ];
        let stage = |(took, word): (Option<Duration>, &str)| Some(format!("{word} {:.2} s", took?.as_secs_f64()));
        let stages: Vec<String> = stages.into_iter().filter_map(stage).collect();
        let release = release.map(|release| format!("release {release}: ")).unwrap_or_default();
        self.terminal.note(&format!("{release}{}", stages.join(", ")));
        self.state.send_modify(|state| state.trouble = None);
        self.note_version();
    }

    fn fails(&self, trouble: Trouble) {
        self.terminal.trouble(&trouble);
        self.state.send_modify(|state| state.trouble = Some(trouble));
    }

    fn note_version(&self) {
        let release = self.local.only().and_then(|served| served.current());
        let version = release.map(|release| release.code.digest.short().to_string()).unwrap_or_default();
        self.state.send_if_modified(|state| std::mem::replace(&mut state.version, version.clone()) != version);
    }

    fn logged(&mut self, next: Next) {
        let entry = match next {
            Next::Entry(entry) => entry,
            Next::Lost(count) => return self.terminal.warn(&format!("{count} lines of log went by unseen")),
            Next::Ended => return,
        };
        if entry.kind != Kind::UndeclaredInput {
            return self.terminal.entry(&entry);
        }
        match Missed::of(&entry).map(|missed| self.missed.add(missed)) {
            Some(Ok(true)) | None => self.terminal.entry(&entry),
            Some(Ok(false)) => {}
            Some(Err(error)) => self.terminal.warn(&format!("{}: {error}", missed::FILE_NAME)),
        }
    }
}

/// The next release of the app that is served; never, before there is one.
async fn moved<T>(served: &mut Option<channel::Receiver<T>>) {
    let gone = match served {
        Some(switched) => switched.changed().await.is_err(),
        None => std::future::pending().await,
    };
    if gone {
        *served = None;
    }
}

/// What it declares as reachable is reachable, also where it is on this machine: here is nobody to be protected from it.
fn apps(app: Option<&App>) -> BTreeMap<String, AppConfig> {
    let Some(app) = app else { return BTreeMap::new() };
    let hosts = app.tasks.values().flat_map(|task| app.outbound_hosts(task, &app.variables));
    let config = AppConfig { allow_private: hosts.collect(), ..AppConfig::default() };
    BTreeMap::from([(app.name.clone(), config)])
}

fn absolute(path: &Path) -> Result<PathBuf, DevError> {
    path.canonicalize().map_err(|error| DevError::Io { path: path.to_owned(), error })
}

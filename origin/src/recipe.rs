//! Whether a read database that is kept row by row is the one that would be made anew: tried on random histories.
//!
//! A release's database is the result of every commit so far, carried row by row through the app's own triggers
//! (`carry.rs`, `snapshot.sql`); a database made anew sees only the rows there are in the end. A trigger that counts a
//! row twice, or forgets to forget a word, makes the two drift apart, and nobody notices until a page is wrong. So
//! random commands are run, by the app's own components and through the origin's own writer; the read database follows
//! at random moments; and then all that a query can see is held against a rebuild. What differs is told with the
//! shortest history that leads there.

mod chance;
mod history;
mod payload;
mod rows;
mod stage;
mod words;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nearside_host::{
    archive::{Archive, ArchiveError},
    engine::Engine,
};
use nearside_protocol::limits;

pub use history::Step;

use crate::{
    compare::Difference, install::InstallError, merge::MergeError, read_database::ReadError, seed::SeedError,
    store::StoreError,
};
use chance::Chance;
use payload::{Column, Learnt, Maker};
use stage::{Play, Stage, Taken};

#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the data: {0}")]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    #[error("{file}: {error}")]
    Schema { file: String, error: serde_json::Error },
    #[error("the read database was made for another app")]
    NotMine,
    #[error("the app has no commands: nothing can happen to its store")]
    NoCommands,
    #[error("the app mirrors no tables: its read database stays as it is made")]
    NoMirror,
}

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub histories: u64,
    /// In each history.
    pub commands: u64,
    pub seed: u64,
}

/// Rows to begin with, besides those that migrations bring.
#[derive(Default)]
pub struct Rows {
    /// A SQLite file for the tables of `[data]`, as `nearside push` takes it.
    pub data: Option<PathBuf>,
    /// An SQL file's name and text.
    pub seed: Option<(String, String)>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Differs(Difference),
    /// The rows of the change log could not be carried over.
    DoesNotFollow(String),
    /// It follows, and could not be made anew from the same rows.
    CannotBeMade(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Differs(difference) => write!(f, "{difference}"),
            Found::DoesNotFollow(why) => write!(f, "the read database does not follow the store: {why}"),
            Found::CannotBeMade(why) => write!(f, "the read database cannot be made anew from the store: {why}"),
        }
    }
}

/// A difference, and how to get there.
#[derive(Debug)]
pub struct Fault {
    pub found: Found,
    /// Counted from 1.
    pub history: u64,
    /// As short as it could be made. It ends with a comparison.
    pub steps: Vec<Step>,
    /// How long it was at first.
    pub steps_at_first: usize,
}

/// What was tried and what came of it.
#[derive(Debug, Default)]
pub struct Report {
    pub histories: u64,
    pub applied: u64,
    pub rejected: u64,
    /// Trapped, ran into a limit, or made a payload the schema does not take.
    pub failed: u64,
    pub last_failure: Option<String>,
    /// Pushes of data that were taken.
    pub pushes: u64,
    /// Rebuilds that were held against what was kept.
    pub comparisons: u64,
    pub rows: u64,
    /// By command: how many, and how many of them were applied.
    pub commands: BTreeMap<String, (u64, u64)>,
    /// The first one ends it.
    pub fault: Option<Fault>,
}

/// Tries to shrink a history so many times.
const SHRINK_TRIES: usize = 600;
/// A payload that does not fit its schema is made anew so often.
const PAYLOAD_TRIES: usize = 8;
/// Of a hundred steps of an app with `[data]`, pushes of data.
const PUSH_PERCENT: usize = 12;
/// Of a hundred moments at which the read database follows, those at which it is compared at once.
const COMPARE_PERCENT: usize = 8;
const FOLLOW_PERCENT: usize = 40;

/// Plays random histories of an app. `folder` must be empty; what is left in it means nothing. Blocks, and runs
/// components: call it where that is fine, and not inside an asynchronous task.
pub fn prove(archive: Archive, engine: &Engine, rows: &Rows, plan: Plan, folder: &Path) -> Result<Report, RecipeError> {
    if archive.app.commands.is_empty() {
        return Err(RecipeError::NoCommands);
    }
    if archive.app.mirror.is_empty() {
        return Err(RecipeError::NoMirror);
    }
    let archive = Arc::new(archive);
    let mut author = Author::new(&archive, plan.seed)?;
    let mut stage = Stage::set(folder, engine, archive, rows)?;
    let mut report = Report::default();
    for number in 1..=plan.histories {
        let mut steps = Vec::new();
        let found = one(&mut stage, &mut author, plan.commands, &mut steps, &mut report)?;
        report.histories = number;
        if let Some(found) = found {
            let steps_at_first = steps.len();
            let steps = shorter(&mut stage, steps);
            // What the shorter one shows may be another value of the same fault.
            let found = stage.verdict(&steps)?.unwrap_or(found);
            report.fault = Some(Fault { found, history: number, steps, steps_at_first });
            break;
        }
    }
    report.commands = author.told();
    Ok(report)
}

/// One history, written while it is played: what it makes of a command depends on what is in the store by then.
fn one(
    stage: &mut Stage,
    author: &mut Author,
    commands: u64,
    steps: &mut Vec<Step>,
    report: &mut Report,
) -> Result<Option<Found>, RecipeError> {
    let mut play = stage.play()?;
    let compare = |play: &mut Play<'_>, report: &mut Report| -> Result<Option<Found>, RecipeError> {
        report.comparisons += 1;
        Ok(match play.compare()? {
            Ok(same) => {
                report.rows += same.rows;
                None
            }
            Err(found) => Some(found),
        })
    };
    for _ in 0..commands {
        if author.chance.percent(PUSH_PERCENT)
            && let Some(sql) =
                rows::change(play.connection(), &author.columns(&play)?, &author.data, &mut author.chance)
        {
            let step = Step::Rows(sql);
            if let Taken::Applied = play.take(&step)? {
                report.pushes += 1;
                steps.push(step);
            }
        }
        let Some((step, choices)) = author.command(&play)? else {
            report.failed += 1;
            report.last_failure = Some("no payload could be made that fits the schema".into());
            continue;
        };
        let taken = play.take(&step)?;
        let Step::Command { name, .. } = &step else { unreachable!("BUG: a command is a command") };
        author.learn(name, &choices, matches!(taken, Taken::Applied));
        match taken {
            Taken::Applied => report.applied += 1,
            Taken::Rejected => report.rejected += 1,
            Taken::Failed(why) => {
                report.failed += 1;
                report.last_failure = Some(format!("{step}: {why}"));
            }
            Taken::Followed | Taken::Found(_) => {}
        }
        steps.push(step);
        if author.chance.percent(FOLLOW_PERCENT) {
            let taken = play.take(&Step::Follow)?;
            steps.push(Step::Follow);
            if let Taken::Found(found) = taken {
                return Ok(Some(found));
            }
            if author.chance.percent(COMPARE_PERCENT)
                && let Some(found) = compare(&mut play, report)?
            {
                return Ok(Some(found));
            }
        }
    }
    compare(&mut play, report)
}

/// Drops what can be dropped while there still is something to find.
fn shorter(stage: &mut Stage, steps: Vec<Step>) -> Vec<Step> {
    history::shrink(steps, SHRINK_TRIES, |steps| matches!(stage.verdict(steps), Ok(Some(_))))
}

/// Writes histories, and learns from what became of them.
struct Author {
    chance: Chance,
    schemas: BTreeMap<String, serde_json::Value>,
    learnt: BTreeMap<String, Learnt>,
    /// The tables of `[data]`.
    data: Vec<String>,
    /// Read once: no command makes tables.
    columns: Option<Arc<[Column]>>,
}

impl Author {
    fn new(archive: &Archive, seed: u64) -> Result<Author, RecipeError> {
        let mut schemas = BTreeMap::new();
        for (name, command) in &archive.app.commands {
            let text = archive.text(&command.schema)?;
            let schema = serde_json::from_str(&text)
                .map_err(|error| RecipeError::Schema { file: command.schema.clone(), error })?;
            schemas.insert(name.clone(), schema);
        }
        let data = archive.app.data.keys().cloned().collect();
        Ok(Author { chance: Chance::new(seed), schemas, learnt: BTreeMap::new(), data, columns: None })
    }

    fn columns(&mut self, play: &Play<'_>) -> Result<Arc<[Column]>, RecipeError> {
        if self.columns.is_none() {
            self.columns = Some(payload::columns(play.connection()).map_err(ReadError::Sqlite)?.into());
        }
        Ok(self.columns.clone().expect("BUG: just read"))
    }

    /// A command with a payload that fits its schema; none when none could be made.
    fn command(&mut self, play: &Play<'_>) -> Result<Option<(Step, Vec<payload::Choice>)>, RecipeError> {
        let columns = self.columns(play)?;
        let names: Vec<&String> = self.schemas.keys().collect();
        let weights: Vec<f64> = names.iter().map(|name| liveliness(self.learnt.get(*name))).collect();
        let name = names[self.chance.weighed(&weights)].clone();
        let learnt = self.learnt.entry(name.clone()).or_default();
        for attempt in 0..PAYLOAD_TRIES {
            let mut maker = Maker {
                chance: &mut self.chance,
                learnt,
                columns: &columns,
                connection: play.connection(),
                root: &self.schemas[&name],
                made_up: attempt >= PAYLOAD_TRIES / 2,
                choices: Vec::new(),
            };
            let payload = maker.payload().to_string();
            let choices = maker.choices;
            if payload.len() <= limits::COMMAND_PAYLOAD_BYTES && play.fits(&name, &payload) {
                return Ok(Some((Step::Command { name, payload }, choices)));
            }
            learnt.dismiss(&choices);
        }
        Ok(None)
    }

    fn learn(&mut self, command: &str, choices: &[payload::Choice], applied: bool) {
        if let Some(learnt) = self.learnt.get_mut(command) {
            learnt.learn(choices, applied);
        }
    }

    fn told(&self) -> BTreeMap<String, (u64, u64)> {
        self.learnt.iter().map(|(name, learnt)| (name.clone(), (learnt.tried, learnt.applied))).collect()
    }
}

/// A command that is never applied is tried less often: it changes nothing.
fn liveliness(learnt: Option<&Learnt>) -> f64 {
    let (tried, applied) = learnt.map_or((0, 0), |learnt| (learnt.tried, learnt.applied));
    0.1 + (applied as f64 + 2.0) / (tried as f64 + 2.0)
}

impl Report {
    /// Whether it showed anything: at least half of the commands did something.
    pub fn is_telling(&self) -> bool {
        self.applied * 2 >= self.applied + self.rejected + self.failed
    }
}

#[cfg(test)]
mod tests;

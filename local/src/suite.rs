//! All test files of an app, each on a fresh site.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use nearside_host::{engine::Engine, logbook::Logbook};
use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    dev::told,
    folder,
    hurl::{
        self, HurlFile,
        check::Failed,
        run::{Failure, Ran, Runner},
    },
    site::{PackedApp, Site, SiteError, seconds_since},
};

/// Test files, below the app's folder.
pub const TESTS: &str = "tests";
/// Rows that every file begins with.
pub const SEED: &str = "tests/seed.sql";
const EXTENSION: &str = "hurl";
/// Sites at once: each has threads of its own.
const SITES_MOST: usize = 4;

#[derive(Clone, Debug)]
pub struct Options {
    pub app: PathBuf,
    /// Only files whose path has this in it.
    pub filter: Option<String>,
    /// Write snapshots instead of comparing with them.
    pub update: bool,
}

/// What became of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// From the app's folder.
    pub file: String,
    pub outcome: Outcome,
    pub requests: usize,
    pub seconds: f64,
    /// Lines that do not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<LineReport>,
    /// The request whose answer they are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What was logged meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Snapshots that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Passed,
    Failed,
    /// The file cannot be read, or its site did not answer.
    Error,
}

#[derive(Clone, Debug, Serialize)]
pub struct LineReport {
    pub line: usize,
    pub column: usize,
    pub what: String,
    pub why: String,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    pub passed: usize,
    pub failed: usize,
    pub requests: usize,
    pub seconds: f64,
    pub files: Vec<Report>,
}

impl Summary {
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }
}

/// Runs the files in order of their names, a few at once; `tell` hears of each in that order, as soon as it can.
pub async fn run(options: &Options, logbook: Logbook, mut tell: impl FnMut(&Report)) -> Result<Summary, SiteError> {
    let started = Instant::now();
    let app = options.app.canonicalize().map_err(SiteError::Io)?;
    let files: Vec<PathBuf> = find(&app, options.filter.as_deref()).map_err(SiteError::Io)?;
    let (of_app, compiled) = (app.clone(), folder::compiled(&app)?);
    let prepared = tokio::task::spawn_blocking(move || {
        let packed = PackedApp::collect(&of_app)?;
        Ok::<_, SiteError>((packed, Engine::start(&compiled)?))
    });
    let (packed, engine) = prepared.await.map_err(|_| crate::LocalError::Lost)??;
    let seed = match std::fs::read_to_string(app.join(SEED)) {
        Ok(sql) => Some(sql),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(SiteError::Io(error)),
    };
    let one = Arc::new(One { app, packed, engine, seed, logbook, update: options.update });

    let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(SITES_MOST);
    let places = Arc::new(Semaphore::new(at_once));
    let mut running = JoinSet::new();
    let count = files.len();
    for (at, file) in files.into_iter().enumerate() {
        let (one, places) = (one.clone(), places.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            (at, one.run(&file).await)
        });
    }
    let mut summary = Summary::default();
    let mut waiting: BTreeMap<usize, Report> = BTreeMap::new();
    while summary.files.len() < count {
        match running.join_next().await {
            Some(Ok((at, report))) => drop(waiting.insert(at, report)),
            Some(Err(_)) | None => return Err(crate::LocalError::Lost.into()),
        }
        while let Some(report) = waiting.remove(&summary.files.len()) {
            tell(&report);
            match report.outcome {
                Outcome::Passed => summary.passed += 1,
                Outcome::Failed | Outcome::Error => summary.failed += 1,
            }
            summary.requests += report.requests;
            summary.files.push(report);
        }
    }
    summary.seconds = seconds_since(started);
    Ok(summary)
}

/// Test files, wherever they lie below `tests`.
fn find(app: &Path, filter: Option<&str>) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![app.join(TESTS)];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let named = |filter: &str| path.strip_prefix(app).unwrap_or(&path).to_string_lossy().contains(filter);
            if entry?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == EXTENSION) && filter.is_none_or(named) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What all files have in common.
struct One {
    app: PathBuf,
    packed: PackedApp,
    engine: Engine,
    seed: Option<String>,
    logbook: Logbook,
    update: bool,
}

impl One {
    async fn run(&self, file: &Path) -> Report {
        let started = Instant::now();
        let name = file.strip_prefix(&self.app).unwrap_or(file).display().to_string();
        let mut report = Report {
            file: name.clone(),
            outcome: Outcome::Error,
            requests: 0,
            seconds: 0.0,
            failures: Vec::new(),
            request: None,
            log: Vec::new(),
            updated: Vec::new(),
        };
        match read(file, &name) {
            Err(why) => report.failures.push(why),
            Ok(hurl) => match self.on_a_site(file, &hurl).await {
                Err(error) => {
                    report.failures.push(LineReport {
                        line: 1,
                        column: 1,
                        what: "the site".into(),
                        why: error.to_string(),
                    });
                }
                Ok(ran) => self.fill(&mut report, ran),
            },
        }
        report.seconds = seconds_since(started);
        report
    }

    async fn on_a_site(&self, file: &Path, hurl: &HurlFile) -> Result<Ran, SiteError> {
        let site = Site::start(&self.packed, self.engine.clone(), self.logbook.clone()).await?;
        if let Some(sql) = &self.seed {
            site.seed(SEED, sql).await?;
        }
        let folder = file.parent().unwrap_or(&self.app);
        let ran = Runner { site: &site, folder, update: self.update }.run(hurl).await;
        site.stop().await;
        ran
    }

    fn fill(&self, report: &mut Report, ran: Ran) {
        report.requests = ran.requests;
        report.outcome = if ran.failure.is_some() { Outcome::Failed } else { Outcome::Passed };
        let short = |path: PathBuf| path.strip_prefix(&self.app).unwrap_or(&path).display().to_string();
        report.updated = ran.updated.into_iter().map(short).collect();
        if let Some(Failure { failed, request, trace }) = ran.failure {
            report.failures = failed.into_iter().map(line_report).collect();
            report.request = Some(request);
            let entries = self.logbook.of_trace(&trace);
            report.log = entries.iter().map(|entry| format!("{}: {}", entry.kind, told(entry))).collect();
        }
    }
}

fn line_report(Failed { at, what, why }: Failed) -> LineReport {
    LineReport { line: at.line, column: at.column, what, why }
}

fn read(file: &Path, name: &str) -> Result<HurlFile, LineReport> {
    let fault = |line, column, why: String| LineReport { line, column, what: "the file".into(), why };
    let text = std::fs::read_to_string(file).map_err(|error| fault(1, 1, error.to_string()))?;
    let hurl = hurl::parse(name, &text).map_err(|error| fault(error.at.line, error.at.column, error.message))?;
    match hurl.entries.is_empty() {
        true => Err(fault(1, 1, "there is no request in it".into())),
        false => Ok(hurl),
    }
}

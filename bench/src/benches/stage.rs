//! Everything a bench has started and will need until it is over.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::args::Run;
use crate::catalogue;
use crate::columns::Kind;
use crate::contender::{Case, Contender};
use crate::limits::{CATALOGUE_PACKAGES, DOCUMENTS_TIMEOUT, PEER_CACHE_MIB};
use crate::nearside::{Cluster, Setup};
use crate::nginx::Nginx;
use crate::peer_cache::{Fronted, Keeps};
use crate::process::Process;
use crate::report::{CaseReport, Described};
use crate::request::{Request, Requests};
use crate::response::Response;
use crate::runtime::Runtime;
use crate::varnish::Varnish;

/// The name every contender is asked by; the app's manifest has it.
pub(super) const HOST: &str = "packages.localhost";

/// The app's folder in the project.
pub(super) const APP: &str = "modules/packages";
const APP_NAME: &str = "packages";

/// Dropped in this order: processes before the folder they write to.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) about: &'static str,
    pub(super) cases: Vec<Case>,
    servers: Vec<Process>,
    cluster: Option<Cluster>,
    nginx: Vec<Nginx>,
    varnish: Vec<Varnish>,
    runtimes: Vec<Runtime>,
    /// By case, who could not be started, and why.
    pub(super) left_out: BTreeMap<String, Vec<Described>>,
    /// Cases that could not be measured, and why.
    pub(super) skipped: Vec<CaseReport>,
    scratch: TempDir,
    programs: PathBuf,
}

/// A folder that is gone with its guard.
pub(super) fn scratch() -> Result<TempDir> {
    tempfile::Builder::new().prefix("nearside-bench-").tempdir().context("making a scratch folder")
}

/// Has this program invent `mib` of documents for the app in a process of its own, so that it can be interrupted.
pub(super) async fn documents(app: &Path, out: &Path, mib: u64, scratch: &Path) -> Result<()> {
    eprintln!("  inventing {mib} MiB of documents");
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("make-documents").arg("--out").arg(out).args(["--mib", &mib.to_string()]);
    command.arg("--schema").arg(app.join("snapshot.sql"));
    Process::spawn("make-documents", command, scratch)?.finish_within(DOCUMENTS_TIMEOUT).await.map(drop)
}

/// The folder this program is in: the others that `scripts/bench` builds are beside it.
pub(super) fn programs() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    Ok(program.parent().context("BUG: a program in no folder")?.to_owned())
}

/// What `scripts/bench` was asked to make of the disk.
pub(super) fn slower_disk() -> String {
    let more = std::env::var("NEARSIDE_SYNC_MS").ok();
    more.map(|ms| format!(" Every sync of every contender is made to take {ms} ms longer.")).unwrap_or_default()
}

impl Stage {
    pub(super) fn new(about: &'static str) -> Result<Self> {
        Ok(Self {
            about,
            cases: Vec::new(),
            servers: Vec::new(),
            cluster: None,
            nginx: Vec::new(),
            varnish: Vec::new(),
            runtimes: Vec::new(),
            left_out: BTreeMap::new(),
            skipped: Vec::new(),
            scratch: scratch()?,
            programs: programs()?,
        })
    }

    pub(super) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Starts an origin and a node with the app and a catalogue; returns the catalogue.
    pub(super) async fn start_nearside(&mut self, args: &Run, cache_mib: Option<u32>) -> Result<PathBuf> {
        let catalogue = self.catalogue(args, CATALOGUE_PACKAGES).await?;
        self.start_packages(args, &catalogue, cache_mib).await?;
        Ok(catalogue)
    }

    /// The catalogue that is given, or one of so many packages.
    pub(super) async fn catalogue(&self, args: &Run, packages: u32) -> Result<PathBuf> {
        catalogue::obtain(args, packages, &self.programs.join("packages-import"), self.scratch()).await
    }

    pub(super) async fn start_packages(&mut self, args: &Run, data: &Path, cache_mib: Option<u32>) -> Result<()> {
        self.start(&args.root.join(APP), APP_NAME, Some(data), cache_mib, None).await
    }

    /// The same with somebody who is told of reviews.
    pub(super) async fn start_packages_telling(&mut self, args: &Run, data: &Path, webhook: SocketAddr) -> Result<()> {
        self.start(&args.root.join(APP), APP_NAME, Some(data), None, Some(webhook)).await
    }

    /// Starts an origin and a node with the app in `folder`.
    pub(super) async fn start_app(&mut self, folder: &Path, name: &str) -> Result<()> {
        self.start_app_keeping(folder, name, None).await
    }

    /// The same with a cache of this size.
    pub(super) async fn start_app_keeping(&mut self, folder: &Path, name: &str, cache_mib: Option<u32>) -> Result<()> {
        self.start(folder, name, None, cache_mib, None).await
    }

    async fn start(
        &mut self,
        app: &Path,
        name: &str,
        data: Option<&Path>,
        cache_mib: Option<u32>,
        webhook: Option<SocketAddr>,
    ) -> Result<()> {
        let program = self.programs.join("nearside");
        let setup = Setup { program: &program, app, name, data, scratch: self.scratch(), cache_mib, webhook };
        self.cluster = Some(Cluster::start(&setup).await?);
        Ok(())
    }

    /// Fails with the log of whoever has ended.
    pub(super) fn still_running(&mut self) -> Result<()> {
        self.cluster.iter_mut().try_for_each(Cluster::still_running)?;
        self.servers.iter_mut().try_for_each(Process::still_running)
    }

    /// The same of a process.
    pub(super) fn keep_server(&mut self, server: Process) {
        self.servers.push(server);
    }

    /// Lets it run until the bench is over.
    pub(super) fn keep(&mut self, nginx: Nginx) {
        self.nginx.push(nginx);
    }

    /// nginx and Varnish, each with everything in memory that `upstream` says when they are asked `requests`.
    pub(super) async fn serve_cached(
        &mut self,
        name: &str,
        upstream: SocketAddr,
        requests: &[Request],
    ) -> Result<[Contender; 2]> {
        let fronted = Fronted { name, upstream, keeps: Keeps::Everything, mib: PEER_CACHE_MIB };
        let nginx = Nginx::cache(&fronted, true, self.scratch()).await?;
        let varnish = Varnish::start(&fronted, self.scratch()).await?;
        let contender = |name, about: &str, process, address| -> Result<Contender> {
            let requests = Arc::new(Requests::new(requests.to_vec())?);
            Ok(Contender { name, about: about.to_owned(), process, address, requests })
        };
        let both = [
            contender("nginx", &nginx.about, nginx.id(), nginx.address)?,
            contender("varnish", &varnish.about, varnish.id(), varnish.address)?,
        ];
        self.nginx.push(nginx);
        self.varnish.push(varnish);
        Ok(both)
    }

    /// A runtime that has started as a contender of a case; of one that has not, the case says why.
    pub(super) fn runtime(
        &mut self,
        case: &str,
        name: &'static str,
        started: Result<Runtime>,
        requests: &[Request],
    ) -> Result<Option<Contender>> {
        let runtime = match started {
            Ok(runtime) => runtime,
            Err(why) => {
                self.leave_out(case, name, &format!("{why:#}"));
                return Ok(None);
            }
        };
        let requests = Arc::new(Requests::new(requests.to_vec())?);
        let (about, process, address) = (runtime.about.clone(), runtime.id(), runtime.address);
        self.runtimes.push(runtime);
        Ok(Some(Contender { name, about, process, address, requests }))
    }

    /// Leaves one contender out of a case, visibly: targets that name it count as missed.
    fn leave_out(&mut self, case: &str, name: &str, why: &str) {
        eprintln!("  {case}, {name}: not measured: {why}");
        self.left_out.entry(case.to_owned()).or_default().push(Described {
            name: name.to_owned(),
            about: "not started".to_owned(),
            missing: Some(why.to_owned()),
        });
    }

    /// Leaves a case out, visibly: its targets count as missed.
    pub(super) fn skip(&mut self, name: &str, about: &str, contenders: &[&str], why: &str) {
        eprintln!("  {name}: not measured: {why}");
        let described = |name: &&str| Described {
            name: (*name).to_owned(),
            about: "not started".to_owned(),
            missing: Some(why.to_owned()),
        };
        self.skipped.push(CaseReport {
            name: name.to_owned(),
            about: about.to_owned(),
            kind: Kind::Load,
            limit: contenders.last().copied().unwrap_or_default().to_owned(),
            contenders: contenders.iter().map(described).collect(),
            load: None,
        });
    }

    pub(super) fn cluster(&self) -> Result<&Cluster> {
        self.cluster.as_ref().context("BUG: the node was not started")
    }

    /// The SQLite file of the release that the node serves.
    pub(super) async fn release_file(&self) -> Result<PathBuf> {
        let file = self.scratch().join("release.db");
        self.cluster()?.export(&file).await?;
        Ok(file)
    }

    pub(super) fn nearside(&self, about: &str, requests: Vec<Request>) -> Result<Contender> {
        let cluster = self.cluster()?;
        Ok(Contender {
            name: "nearside",
            about: about.to_owned(),
            process: cluster.node_process()?,
            address: cluster.address,
            requests: Arc::new(Requests::new(requests)?),
        })
    }

    /// Starts this program again as one of its servers.
    pub(super) async fn serve(
        &mut self,
        name: &'static str,
        about: &str,
        requests: Vec<Request>,
        arguments: &[String],
    ) -> Result<Contender> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.args(arguments).arg("--exit-with-stdin");
        let log = format!("{name}-{}", self.servers.len());
        let mut server = Process::spawn(&log, command, self.scratch())?;
        let address = server.listening().await?;
        let process = server.id();
        self.servers.push(server);
        let requests = Arc::new(Requests::new(requests)?);
        Ok(Contender { name, about: about.to_owned(), process, address, requests })
    }

    /// Raw hyper sending the body and the headers of `response`, which some other contender answered.
    pub(super) async fn serve_raw(
        &mut self,
        name: &'static str,
        about: &str,
        requests: Vec<Request>,
        response: &Response,
    ) -> Result<Contender> {
        let body = self.scratch().join(format!("body-{}", self.servers.len()));
        std::fs::write(&body, response.body()).context("writing the body that raw hyper sends")?;
        let mut arguments = vec!["serve-raw".to_owned(), "--body-file".to_owned(), body.display().to_string()];
        for (name, value) in response.headers().filter(|(name, _)| !by_the_connection(name)) {
            arguments.extend(["--header".to_owned(), format!("{name}: {value}")]);
        }
        self.serve(name, about, requests, &arguments).await
    }
}

/// Headers hyper writes itself, or that describe one connection and not the response.
fn by_the_connection(name: &str) -> bool {
    ["date", "content-length", "transfer-encoding", "connection", "keep-alive"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

/// A SQLite file with the same number for both tables.
pub(super) fn pair(folder: &Path, n: u64) -> Result<Vec<u8>> {
    let path = folder.join("pair.db");
    let _ = fs::remove_file(&path);
    let connection = Connection::open(&path).context("making a file to push")?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO one VALUES (1, {n});
         CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO other VALUES (1, {n})"
    ))?;
    drop(connection);
    fs::read(&path).context("reading the file to push")
}

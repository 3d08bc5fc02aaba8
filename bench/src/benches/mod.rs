//! The benches, one file each: what it starts, and which cases it compares.

mod carried;
mod cold;
mod crowd;
mod density;
mod fleet;
mod flood;
mod handler;
mod hit;
mod index;
mod mix;
mod noise;
mod overload;
mod peers;
mod pushes;
mod render;
mod scaling;
mod search;
mod siblings;
mod snapshots;
mod stage;
mod static_files;
mod story;
mod tasks;
mod writes;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use tokio::time::timeout;

use crate::args::Run;
use crate::limits::{
    CONNECTIONS_DEFAULT, DENSITY_SECONDS, FLEET_TIMEOUT, HOT_SECONDS, INDEX_CLASS_SECONDS, MIX_SECONDS,
    OVERLOAD_SECONDS, PHASE_GRACE, PUSHES_SECONDS, ROUNDS_MIN, SECONDS_DEFAULT, SETUP_TIMEOUT, SIBLINGS_SECONDS,
    STORY_CONNECTIONS, STORY_SECONDS,
};
use crate::machine::{self, Machine};
use crate::report::{Report, Settings};
use crate::{run, table, told};
use stage::Stage;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// A cached page, its 304 and its brotli, beside raw hyper, nginx and Varnish sending the same bytes
    Hit,
    /// 50 and 500 at once for one page that nobody has yet, beside nginx and Varnish
    Crowd,
    /// 10,000 cached pages while packages are changed, beside a cache that is dropped
    Carried,
    /// Cached pages beside searches that are asked for once, beside nginx and Varnish
    Flood,
    /// Three times as many renders as can be made, beside hits; without refusing any, and by Node.js behind nginx
    Overload,
    /// Three nodes of 0.4 cores, of which one gets four in five visitors, with and without hand-over
    Siblings,
    /// An uncached page beside the same page rendered natively and raw hyper
    Render,
    /// A page without data beside the same from reused instances and raw hyper
    Handler,
    /// One component without anything of Nearside's, beside `wasmtime serve`, Spin, workerd and raw hyper
    Peers,
    /// An uncached search beside the same statements run natively
    Search,
    /// The search index as a library, beside FTS5 and tantivy, over a million documents
    Index,
    /// What a push carries of a search index after documents were edited, beside FTS5
    Edits,
    /// Static files of two sizes, plain and with brotli, beside nginx
    Static,
    /// How a change of a large database reaches a node, beside other ways
    Snapshots,
    /// A node that starts with a large release on its disk
    Start,
    /// The first visitor of an idle app, and a new version of an app
    Cold,
    /// A thousand small apps on one node, beside one
    Density,
    /// Hits beside renders and searches on common words, and alone
    Mix,
    /// A node on one core and on all: CPU a request, and how often its threads get into each other's way
    Scaling,
    /// A node under load, while a release is pushed every 200 ms and while none is
    Pushes,
    /// Commands from 1 to 256 clients, beside one commit a write and a bare fdatasync
    Writes,
    /// Tasks claimed and finished a second, beside a worker with one commit a task
    Tasks,
    /// Many nodes in regions: a push until it is everywhere, who sends it, one node cut off, first bytes near and far
    Fleet,
    /// The package directory in three ways under rising load: a plain service, nginx before it, an origin with two nodes
    Story,
    /// Raw hyper beside itself: differences this small mean nothing
    Noise,
}

impl Bench {
    fn name(self) -> &'static str {
        match self {
            Bench::Hit => "hit",
            Bench::Crowd => "crowd",
            Bench::Carried => "carried",
            Bench::Flood => "flood",
            Bench::Overload => "overload",
            Bench::Siblings => "siblings",
            Bench::Render => "render",
            Bench::Handler => "handler",
            Bench::Peers => "peers",
            Bench::Search => "search",
            Bench::Index => "index",
            Bench::Edits => "edits",
            Bench::Static => "static",
            Bench::Snapshots => "snapshots",
            Bench::Start => "start",
            Bench::Cold => "cold",
            Bench::Density => "density",
            Bench::Mix => "mix",
            Bench::Scaling => "scaling",
            Bench::Pushes => "pushes",
            Bench::Writes => "writes",
            Bench::Tasks => "tasks",
            Bench::Fleet => "fleet",
            Bench::Story => "story",
            Bench::Noise => "noise",
        }
    }

    fn settings(self, args: &Run) -> Settings {
        let connections = if self == Bench::Story { STORY_CONNECTIONS } else { CONNECTIONS_DEFAULT };
        let usual = match self {
            Bench::Pushes => PUSHES_SECONDS,
            Bench::Carried | Bench::Flood => HOT_SECONDS,
            Bench::Density => DENSITY_SECONDS,
            Bench::Mix => MIX_SECONDS,
            Bench::Overload => OVERLOAD_SECONDS,
            Bench::Siblings => SIBLINGS_SECONDS,
            Bench::Story => STORY_SECONDS,
            Bench::Index => INDEX_CLASS_SECONDS,
            _ => SECONDS_DEFAULT,
        };
        Settings {
            rounds: args.rounds,
            seconds: args.seconds.unwrap_or(usual),
            connections: args.connections.unwrap_or(connections),
            load_threads: args.load_threads,
        }
    }

    /// What it is about, and what was measured.
    async fn measure(self, args: &Run, settings: &Settings) -> Result<(&'static str, Measured)> {
        match self {
            Bench::Hit => self.load(hit::prepare(args), settings).await,
            Bench::Render => self.load(render::prepare(args), settings).await,
            Bench::Handler => self.load(handler::prepare(args), settings).await,
            Bench::Peers => self.load(peers::prepare(args), settings).await,
            Bench::Search => self.load(search::prepare(args), settings).await,
            Bench::Static => self.load(static_files::prepare(), settings).await,
            Bench::Noise => self.load(noise::prepare(), settings).await,
            Bench::Snapshots => Ok((snapshots::ABOUT, snapshots::measure(args, settings).await?)),
            Bench::Start => Ok((snapshots::ABOUT_START, snapshots::measure_start(args, settings).await?)),
            Bench::Cold => Ok((cold::ABOUT, cold::measure(args, settings).await?)),
            Bench::Density => Ok((density::ABOUT, density::measure(args, settings).await?)),
            Bench::Mix => Ok((mix::ABOUT, mix::measure(args, settings).await?)),
            Bench::Scaling => Ok((scaling::ABOUT, scaling::measure(args, settings).await?)),
            Bench::Crowd => Ok((crowd::ABOUT, crowd::measure(args, settings).await?)),
            Bench::Carried => Ok((carried::ABOUT, carried::measure(args, settings).await?)),
            Bench::Flood => Ok((flood::ABOUT, flood::measure(args, settings).await?)),
            Bench::Overload => Ok((overload::ABOUT, overload::measure(args, settings).await?)),
            Bench::Siblings => Ok((siblings::ABOUT, siblings::measure(args, settings).await?)),
            Bench::Writes => Ok((writes::ABOUT, writes::measure(args, settings).await?)),
            Bench::Pushes => Ok((pushes::ABOUT, pushes::measure(args, settings).await?)),
            Bench::Fleet => {
                let measured = timeout(FLEET_TIMEOUT, fleet::measure(args, settings)).await;
                Ok((fleet::ABOUT, measured.with_context(|| format!("it took over {FLEET_TIMEOUT:?}"))??))
            }
            Bench::Story => Ok((story::ABOUT, story::measure(args, settings).await?)),
            Bench::Index => Ok((index::ABOUT, index::measure(args, settings).await?)),
            Bench::Edits => Ok((index::ABOUT_EDITS, index::measure_edits(args).await?)),
            Bench::Tasks => Ok((tasks::ABOUT, tasks::measure(args, settings).await?)),
        }
    }

    /// Sets up a stage and runs its cases.
    async fn load(
        self,
        prepare: impl Future<Output = Result<Stage>>,
        settings: &Settings,
    ) -> Result<(&'static str, Measured)> {
        let prepared = timeout(SETUP_TIMEOUT, prepare).await;
        let mut stage = prepared.with_context(|| format!("setting up took over {SETUP_TIMEOUT:?}"))??;
        let expected: Duration = stage.cases.iter().map(|case| run::expected(case, settings)).sum();
        // Twice, because the checks take as long as the answers do, and a little for everyone.
        let bound = expected * 2 + PHASE_GRACE + SETUP_TIMEOUT / 4;
        eprintln!("{}: about {} s of load, at most {} s", self.name(), expected.as_secs(), bound.as_secs());
        let measured = timeout(bound, run_cases(&mut stage, settings)).await;
        Ok((stage.about, measured.with_context(|| format!("it took over {} s", bound.as_secs()))??))
    }
}

/// Runs the named benches one after the other and writes the results of each as it ends.
pub async fn run(args: &Run) -> Result<()> {
    ensure!(
        !args.names.is_empty(),
        "no bench named: give one or more of hit, crowd, carried, flood, overload, siblings, render, handler, peers, search, index, \
         edits, static, snapshots, start, cold, density, mix, scaling, pushes, writes, tasks, fleet, story, noise"
    );
    for bench in &args.names {
        run_bench(*bench, args).await.with_context(|| format!("bench {} failed", bench.name()))?;
    }
    Ok(())
}

async fn run_bench(bench: Bench, args: &Run) -> Result<()> {
    let started = Instant::now();
    let name = bench.name();
    eprintln!("{name}: setting up");
    let settings = bench.settings(args);
    if settings.rounds < ROUNDS_MIN && bench != Bench::Edits {
        eprintln!("{name}: only {} rounds; results to keep need {ROUNDS_MIN}", settings.rounds);
    }
    let (about, (cases, samples)) = bench.measure(args, &settings).await?;
    let report = Report {
        bench: name.to_owned(),
        about: about.to_owned(),
        machine: Machine::here(),
        versions: machine::versions(&args.root),
        settings,
        cases,
        rows: Vec::new(),
        targets: Vec::new(),
        samples,
    };
    let report = report.concluded()?;
    let out = args.root.join(&args.out);
    report.write(&out)?;
    // Beside the folder that results are kept in; a run that is only tried out goes elsewhere, where no page is.
    let page = out.parent().map(|docs| docs.join("story.md")).filter(|page| bench == Bench::Story && page.exists());
    page.iter().try_for_each(|page| told::tell(&report, page))?;
    println!("{}", table::markdown(&report)?);
    eprintln!("{name}: took {} s", started.elapsed().as_secs());
    Ok(())
}

type Measured = (Vec<crate::report::CaseReport>, Vec<crate::report::Sample>);

/// Runs every case of a stage.
async fn run_cases(stage: &mut Stage, settings: &Settings) -> Result<Measured> {
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for case in &mut stage.cases {
        let (mut report, measured) = run::run(case, settings).await?;
        report.contenders.extend(stage.left_out.remove(case.name).unwrap_or_default());
        cases.push(report);
        samples.extend(measured);
    }
    cases.append(&mut stage.skipped);
    Ok((cases, samples))
}

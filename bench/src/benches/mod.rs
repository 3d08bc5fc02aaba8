//! The benches, one file each: what it starts, and which cases it compares.

mod hit;
mod noise;
mod render;
mod search;
mod stage;
mod static_files;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use tokio::time::timeout;

use crate::args::Run;
use crate::limits::{PHASE_GRACE, ROUNDS_MIN, SETUP_TIMEOUT};
use crate::machine::{self, Machine};
use crate::report::{Report, Settings};
use crate::{run, table};
use stage::Stage;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// A cached page, and its 304, beside raw hyper sending the same bytes
    Hit,
    /// An uncached page beside the same page rendered natively and raw hyper
    Render,
    /// An uncached search beside the same statements run natively
    Search,
    /// Static files of two sizes, plain and with brotli, beside nginx
    Static,
    /// Raw hyper beside itself: differences this small mean nothing
    Noise,
}

impl Bench {
    fn name(self) -> &'static str {
        match self {
            Bench::Hit => "hit",
            Bench::Render => "render",
            Bench::Search => "search",
            Bench::Static => "static",
            Bench::Noise => "noise",
        }
    }

    async fn prepare(self, args: &Run) -> Result<Stage> {
        match self {
            Bench::Hit => hit::prepare(args).await,
            Bench::Render => render::prepare(args).await,
            Bench::Search => search::prepare(args).await,
            Bench::Static => static_files::prepare().await,
            Bench::Noise => noise::prepare().await,
        }
    }
}

/// Runs the named benches one after the other and writes the results of each as it ends.
pub async fn run(args: &Run) -> Result<()> {
    ensure!(!args.names.is_empty(), "no bench named: give one or more of hit, render, search, static, noise");
    for bench in &args.names {
        run_bench(*bench, args).await.with_context(|| format!("bench {} failed", bench.name()))?;
    }
    Ok(())
}

async fn run_bench(bench: Bench, args: &Run) -> Result<()> {
    let started = Instant::now();
    let name = bench.name();
    eprintln!("{name}: setting up");
    let prepared = timeout(SETUP_TIMEOUT, bench.prepare(args)).await;
    let mut stage = prepared.with_context(|| format!("setting up took over {SETUP_TIMEOUT:?}"))??;
    let settings = Settings {
        rounds: args.rounds,
        seconds: args.seconds,
        connections: args.connections,
        load_threads: args.load_threads,
    };
    if settings.rounds < ROUNDS_MIN {
        eprintln!("{name}: only {} rounds; results to keep need {ROUNDS_MIN}", settings.rounds);
    }
    let expected: Duration = stage.cases.iter().map(|case| run::expected(case, &settings)).sum();
    // Twice, because the checks take as long as the answers do, and a little for everyone.
    let bound = expected * 2 + PHASE_GRACE + SETUP_TIMEOUT / 4;
    eprintln!("{name}: about {} s of load, at most {} s", expected.as_secs(), bound.as_secs());
    let measured = timeout(bound, measure(&mut stage, &settings)).await;
    let (cases, samples) = measured.with_context(|| format!("it took over {} s", bound.as_secs()))??;
    let report = Report {
        bench: name.to_owned(),
        about: stage.about.to_owned(),
        machine: Machine::here(),
        versions: machine::versions(&args.root),
        settings,
        cases,
        rows: Vec::new(),
        targets: Vec::new(),
        samples,
    };
    drop(stage);
    let report = report.concluded()?;
    report.write(&args.root.join(&args.out))?;
    println!("{}", table::markdown(&report)?);
    eprintln!("{name}: took {} s", started.elapsed().as_secs());
    Ok(())
}

type Measured = (Vec<crate::report::CaseReport>, Vec<crate::report::Sample>);

async fn measure(stage: &mut Stage, settings: &Settings) -> Result<Measured> {
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for case in &mut stage.cases {
        let (report, measured) = run::run(case, settings).await?;
        cases.push(report);
        samples.extend(measured);
    }
    Ok((cases, samples))
}

//! `nearside-bench NAME...`, or one of the servers it compares with.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use nearside_bench::args::{Cli, Run, Serve};
use nearside_bench::library::{edited, sqlite};
use nearside_bench::{benches, documents, serve, told};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    match dispatch(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nearside-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli) -> Result<()> {
    match &cli.serve {
        Some(Serve::ServeRaw(args)) => serve::raw::run(args),
        Some(Serve::ServeWait(args)) => serve::wait::run(args),
        Some(Serve::ServeWrite(args)) => serve::write::run(args),
        Some(Serve::ServeSearch(args)) => serve::search::run(args),
        Some(Serve::ServePackage(args)) => serve::package::run(args),
        Some(Serve::ServeSite(args)) => serve::site::run(args),
        Some(Serve::TellStory(args)) => told::run(args),
        Some(Serve::MakeDocuments(args)) => documents::make(args),
        Some(Serve::MakeTopics(args)) => sqlite::make(args),
        Some(Serve::BuildIndex(args)) => sqlite::build(args),
        Some(Serve::AskIndex(args)) => sqlite::ask(args),
        Some(Serve::EditIndex(args)) => edited::run(args),
        None => run(&cli.run),
    }
}

fn run(args: &Run) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for ctrl-c")?;
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        // Whichever comes first, the benches are dropped, and with them every child process and the scratch folder.
        tokio::select! {
            done = benches::run(args) => done,
            _ = interrupt.recv() => bail!("interrupted: nothing was written for the bench that was running"),
            _ = terminate.recv() => bail!("terminated: nothing was written for the bench that was running"),
        }
    })
}

//! `nearside test`: an app's test files, each on a fresh site.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Args;
use nearside_host::logbook::Logbook;
use nearside_local::{
    build::{self, BuildError, Purpose},
    suite::{self, Options, Outcome, Report},
};

use crate::commands::build::AppArgs;

/// Runs an app's tests
///
/// Builds the app as `nearside build` does, and runs each file tests/*.hurl on a site of its own: fresh data, the rows of
/// tests/seed.sql if there is one, one visitor who keeps cookies, tasks that reach nobody. A file is requests and what is
/// expected of their answers; docs/testing.md has the format, which is a part of hurl.dev's. A failure is told with its
/// line, what was expected and what came, and what the app's components printed meanwhile. Exits with 1 when there is one.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside test modules/packages
  nearside test . search --no-build      # only files with `search` in their name
  nearside test --update                 # writes the snapshots that answers are compared with")]
pub struct TestArgs {
    #[command(flatten)]
    pub app: AppArgs,
    /// Run only files whose path has this in it
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// Write snapshots (`file,…;`) instead of comparing with them
    #[arg(long)]
    pub update: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Test the components as they are
    #[arg(long)]
    pub no_build: bool,
}

pub async fn run(args: TestArgs, logbook: Logbook) -> anyhow::Result<ExitCode> {
    let app = args.app.folder;
    if !args.no_build {
        let manifest = build::manifest(&app)?;
        if let Err(error) = build::run(&app, &manifest, Purpose::Release).await {
            if let BuildError::Failed { output, .. } = &error {
                eprint!("{output}");
            }
            return Err(error.into());
        }
    }
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let options = Options { app: app.clone(), filter: args.filter, update: args.update };
    let summary = suite::run(&options, logbook, |report| {
        if !args.json {
            show(report, colours);
        }
    })
    .await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else if summary.files.is_empty() {
        let which = options.filter.as_ref().map(|filter| format!(" with `{filter}` in its name")).unwrap_or_default();
        println!("{}: no file tests/*.hurl{which}", app.display());
    } else {
        let ran = summary.passed + summary.failed;
        println!("{} of {ran} files passed, {} requests, {:.2} s", summary.passed, summary.requests, summary.seconds);
    }
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(report: &Report, colours: bool) {
    let (word, code) = match report.outcome {
        Outcome::Passed => ("ok", "32"),
        Outcome::Failed => ("FAILED", "31"),
        Outcome::Error => ("ERROR", "31"),
    };
    let word = if colours { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
    let mut text =
        format!("{word} {}  {} requests  {:.0} ms\n", report.file, report.requests, report.seconds * 1_000.0);
    report.updated.iter().for_each(|file| text += &format!("    wrote {file}\n"));
    if let Some(request) = &report.request {
        text += &format!("  {request}\n");
    }
    for failure in &report.failures {
        text += &format!("  {}:{}:{}: {}\n", report.file, failure.line, failure.column, failure.what);
        failure.why.lines().for_each(|line| text += &format!("    {line}\n"));
    }
    for entry in &report.log {
        text += &format!("    | {}\n", entry.replace('\n', "\n    |   "));
    }
    // Whoever read this has gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

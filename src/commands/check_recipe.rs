//! `nearside check --recipe`: random histories, each ending in the question whether the read database is what it would be
//! if it were made anew.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use nearside_host::{archive::Archive, engine::Engine};
use nearside_origin::recipe::{self, Fault, Plan, Report, Rows};

use crate::commands::check::CheckArgs;

#[derive(Args)]
#[command(next_help_heading = "Whether snapshot.sql keeps what it would make anew")]
pub struct RecipeArgs {
    /// Play random histories of the app's own commands, and compare the read database with a full rebuild
    #[arg(long, conflicts_with = "json")]
    pub recipe: bool,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 40, requires = "recipe", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub histories: u64,
    /// How many commands in each
    #[arg(long, value_name = "M", default_value_t = 40, requires = "recipe", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub commands: u64,
    /// The same seed gives the same histories
    #[arg(long, value_name = "S", default_value_t = 1, requires = "recipe")]
    pub seed: u64,
    /// SQLite file with rows for the tables of [data] to begin with [default: the rows of tests/seed.sql, if there is one]
    #[arg(long, value_name = "FILE.db", requires = "recipe")]
    pub data: Option<PathBuf>,
}

/// Rows to begin with, where an app's tests have some.
const SEED: &str = "tests/seed.sql";

pub fn run(args: &CheckArgs, engine: &Engine, scratch: &Path) -> anyhow::Result<ExitCode> {
    let RecipeArgs { histories, commands, seed, ref data, .. } = args.recipe;
    let archive = Archive::collect(&args.folder)?;
    let seed_file = args.folder.join(SEED);
    let rows = Rows {
        data: data.clone(),
        seed: match data.is_none() && seed_file.is_file() {
            true => {
                let text = fs::read_to_string(&seed_file)
                    .with_context(|| format!("{} cannot be read", seed_file.display()))?;
                Some((SEED.to_owned(), text))
            }
            false => None,
        },
    };
    let plan = Plan { histories, commands, seed };
    let folder = scratch.join("recipe");
    fs::create_dir_all(&folder)?;
    // On a thread of its own: histories wait for the writer as a program does, not as a task.
    let played =
        std::thread::scope(|scope| scope.spawn(|| recipe::prove(archive, engine, &rows, plan, &folder)).join());
    let report = match played {
        Ok(report) => report?,
        Err(_) => bail!("the recipe check panicked"),
    };
    show(args, &report);
    Ok(if report.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(args: &CheckArgs, report: &Report) {
    let RecipeArgs { commands, seed, .. } = args.recipe;
    let folder = args.folder.display();
    if let Some(fault) = &report.fault {
        show_fault(args, fault);
    }
    let differences = usize::from(report.fault.is_some());
    println!(
        "{folder}: {} histories of {commands} commands (seed {seed}): {} applied, {} rejected, {} failed, {} pushes of data; \
         {} rebuilds compared, {} rows; differences: {differences}",
        report.histories,
        report.applied,
        report.rejected,
        report.failed,
        report.pushes,
        report.comparisons,
        report.rows
    );
    for (command, (tried, applied)) in &report.commands {
        println!("  {command}: {applied} of {tried} applied");
    }
    if let Some(failure) = &report.last_failure {
        println!("  the last that failed: {}", shortened(failure));
    }
    if !report.is_telling() {
        println!("  less than half were applied: give it rows to work on, with --data FILE.db or in {SEED}");
    }
}

fn show_fault(args: &CheckArgs, fault: &Fault) {
    let Fault { found, history, steps, steps_at_first } = fault;
    println!("{found}");
    println!("after this, on an app just pushed ({} of the {steps_at_first} steps of history {history}):", steps.len());
    for (number, step) in steps.iter().enumerate() {
        println!("  {}. {}", number + 1, shortened(&step.to_string()));
    }
    println!(
        "again: nearside check --recipe --histories {history} --commands {} --seed {} {}",
        args.recipe.commands,
        args.recipe.seed,
        args.folder.display()
    );
}

fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 600;
    let shown: String = text.chars().take(CHARACTERS).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}

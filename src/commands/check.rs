//! `nearside check`: what `push` would say, without pushing; and what only the app's folder, or many histories, tell.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use nearside_host::{archive::Archive, engine::Engine};
use nearside_origin::check::{self, Finding, Severity};
use nearside_protocol::queries;

use super::check_recipe;
use crate::commands::check_recipe::RecipeArgs;

/// Checks an app without running it
///
/// Reads the manifest, links every component against what it will be given, runs the migrations on an empty store and
/// snapshot.sql on an empty read database, prepares every named query on it and looks at its plan, and tells what is
/// granted and not used, and what `nearside dev` saw handlers ask for in vain.
///
/// Each finding names file, line, what is wrong, the rule, and what to do; docs/check.md explains the rules. `push`
/// checks the same: it refuses an app with errors, and reports warnings. Exits with 1 when there are errors, or, with
/// --strict, warnings.
///
/// With --recipe it also runs the app: random histories of its own commands, with payloads made from their schemas and from
/// what stands in the store, on a store of their own. After each, everything a query can see of the read database that
/// followed row by row is compared with one made anew. The first difference is told with the shortest history that leads
/// there.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside check modules/packages
  nearside check --plans modules/packages
  nearside check --recipe --histories 2000 modules/packages
  nearside check --strict --json . | jq -r '.[] | \"\\(.file):\\(.line): \\(.what)\"'")]
pub struct CheckArgs {
    /// The app's folder, with its nearside.toml
    #[arg(default_value = ".", value_name = "APP")]
    pub folder: PathBuf,
    /// Print the findings as a JSON array of {rule, severity, file, line, what, fix}
    #[arg(long)]
    pub json: bool,
    /// Let warnings fail as errors do
    #[arg(long)]
    pub strict: bool,
    /// Print first what SQLite will do for each named query
    #[arg(long, conflicts_with = "json")]
    pub plans: bool,
    #[command(flatten)]
    pub recipe: RecipeArgs,
}

pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let compiled = tempdir()?;
    let engine = Engine::start(&compiled)?;
    let findings = check::check_folder(&args.folder, &engine);
    let code = told(args, &findings)?;
    // An app that cannot be pushed has no histories.
    let goes_on = args.recipe.recipe && !findings.iter().any(Finding::is_error);
    let recipe = goes_on.then(|| check_recipe::run(args, &engine, &compiled));
    std::fs::remove_dir_all(&compiled)?;
    match recipe {
        Some(Ok(found)) if found == ExitCode::FAILURE => Ok(found),
        Some(Err(error)) => Err(error),
        _ => Ok(code),
    }
}

fn told(args: &CheckArgs, findings: &[Finding]) -> anyhow::Result<ExitCode> {
    if args.plans {
        print_plans(&args.folder);
    }
    let count = Count::of(findings);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
        eprintln!("{}: {}", args.folder.display(), count.told());
    }
    let fails = count.errors > 0 || (args.strict && count.warnings > 0);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What cannot be packed has no plans; the findings say why.
fn print_plans(folder: &Path) {
    let Ok(archive) = Archive::collect(folder) else { return };
    for (query, plan) in check::plans(&archive) {
        println!("{}  {}:{}\n{plan}", query.name, queries::FILE_NAME, query.statement_line());
    }
}

struct Count {
    errors: usize,
    warnings: usize,
}

impl Count {
    fn of(findings: &[Finding]) -> Count {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        Count { errors: count(Severity::Error), warnings: count(Severity::Warning) }
    }

    fn told(&self) -> String {
        let counted = |number: usize, what: &str| match number {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{number} {what}s")),
        };
        let parts: Vec<String> =
            [counted(self.errors, "error"), counted(self.warnings, "warning")].into_iter().flatten().collect();
        match (self.errors, self.warnings) {
            (0, 0) => "nothing to say".to_owned(),
            (0, _) => format!("{}; it can be pushed", parts.join(", ")),
            _ => format!("{}; it cannot be pushed yet", parts.join(", ")),
        }
    }
}

/// Machine code of a check is not kept.
fn tempdir() -> std::io::Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("nearside-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

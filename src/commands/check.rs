//! `nearside check`: what `push` would say, without pushing; and what only the app's folder, or many histories, tell.

use std::{path::Path, process::ExitCode};

use nearside_host::{archive::Archive, engine::Engine};
use nearside_origin::check::{self, Finding, Severity};
use nearside_protocol::queries;

use super::check_recipe;
use crate::cli::CheckArgs;

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

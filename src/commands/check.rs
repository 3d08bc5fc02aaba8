//! `nearside check`: what `push` would say, without pushing.

use std::process::ExitCode;

use nearside_host::{archive::Archive, engine::Engine};
use nearside_origin::check::{Finding, check};

use crate::cli::CheckArgs;

pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let findings = match Archive::collect(&args.folder) {
        Err(error) => vec![Finding::of_archive(&error)],
        Ok(archive) => {
            let compiled = tempdir()?;
            let findings = check(&archive, &Engine::start(&compiled)?);
            std::fs::remove_dir_all(&compiled)?;
            findings
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
        eprintln!(
            "{}: {}",
            args.folder.display(),
            if findings.is_empty() { "nothing to say" } else { "not ready to be pushed" }
        );
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Machine code of a check is not kept.
fn tempdir() -> std::io::Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("nearside-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

//! tantivy, built and asked as the bench of search indexes does with the others: the same lines of documents, the same
//! queries, one thread, the ten best. It tells what `bench/src/library.rs` reads.

mod asked;
mod index;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    BuildIndex(Build),
    AskIndex(Ask),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The folder of the index, which is made
    #[arg(long)]
    db: PathBuf,
    /// A document a line: section, tab, text
    #[arg(long)]
    documents: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Ask {
    #[arg(long)]
    db: PathBuf,
    /// Classes of queries, as JSON
    #[arg(long)]
    asked: PathBuf,
    /// How long a class may take
    #[arg(long)]
    seconds: f64,
}

fn main() -> ExitCode {
    let told = match Cli::parse().what {
        What::BuildIndex(args) => index::build(&args.db, &args.documents),
        What::AskIndex(args) => asked::ask(&args.db, &args.asked, args.seconds),
    };
    match told {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("nearside-bench-tantivy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A field of `/proc/self/status`, in bytes; nothing where there is no such file.
fn resident_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

type Told = Result<serde_json::Value>;

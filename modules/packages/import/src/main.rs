//! Brings a catalogue to the package directory: the machine's own package index, or an invented one.
//!
//! [`record`] and [`relation`] parse, [`debian`] and [`invent`] make [`package::Package`]s,
//! [`catalogue`] writes them, [`edit`] makes a small edit of a written catalogue.

mod catalogue;
mod cli;
mod debian;
mod edit;
mod grammar;
mod invent;
mod package;
mod random;
mod record;
mod relation;
mod translation;
mod words;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use anyhow::Result;
use clap::Parser;

use catalogue::{Draft, Written};
use cli::{Cli, DebianArgs, InventArgs, Source};
use debian::NoIndex;

/// This machine has no package index to read. Scripts fall back to `invent` on this status.
const EXIT_NO_INDEX: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started = Instant::now();
    let (out, written) = match &cli.source {
        Source::Debian(args) => (&args.out, import(args)),
        Source::Invent(args) => (&args.out, invent(args)),
    };
    match written {
        Ok(Written { packages, dependencies, bytes }) => {
            // The file is complete: a reader of this line that went away is no failure of the import.
            let _ = writeln!(
                io::stdout(),
                "{}: {packages} packages, {dependencies} dependencies, {bytes} bytes, {:.2} s",
                out.display(),
                started.elapsed().as_secs_f64(),
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "packages-import: {error:#}");
            if error.is::<NoIndex>() { ExitCode::from(EXIT_NO_INDEX) } else { ExitCode::FAILURE }
        }
    }
}

fn import(args: &DebianArgs) -> Result<Written> {
    let mut draft = Draft::empty(&args.out)?;
    let index = debian::read(args.from.as_deref(), args.translations.as_deref())?;
    if let Some(skipped) = &index.skipped {
        let _ = writeln!(io::stderr(), "packages-import: {skipped}");
    }
    draft.insert(&index.packages)?;
    draft.finish()
}

fn invent(args: &InventArgs) -> Result<Written> {
    let mut draft = match &args.from_db {
        Some(original) => Draft::copy_of(original, &args.out)?,
        None => {
            let mut draft = Draft::empty(&args.out)?;
            draft.insert(&invent::packages(args.packages, args.seed))?;
            draft
        }
    };
    if let Some(count) = args.edit {
        edit::apply(draft.connection(), count, args.edit_seed)?;
    }
    draft.finish()
}

//! The command line: what `--help` says is the manual.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::package::PACKAGES_MAX;

const EXIT_STATUS: &str = "\
EXIT STATUS
  0  the catalogue was written
  1  it was not, and the message says why; a file already at --out is untouched
  2  the command line was not understood
  3  this machine has no package index to read: `packages-import invent` needs none";

const DEBIAN_EXAMPLES: &str = "\
EXAMPLES
  Import this machine's index:
      apt-get update
      packages-import debian --out catalogue.db

  Import another machine's index:
      ssh host apt-cache dumpavail | packages-import debian --from - --out catalogue.db

  Import with long descriptions, which apt keeps apart and compressed unless told otherwise:
      mkdir -p lists/partial
      apt-get update -o Dir::State::Lists=$PWD/lists -o Acquire::Languages=en -o Acquire::GzipIndexes=false
      packages-import debian --translations lists --out catalogue.db";

const INVENT_EXAMPLES: &str = "\
EXAMPLES
  A catalogue of 20,000 packages; the same seed always gives the same rows:
      packages-import invent --packages 20000 --seed 1 --out base.db

  The same catalogue after a small edit of 20 packages:
      packages-import invent --packages 20000 --seed 1 --edit 20 --edit-seed 7 --out edited.db

  A small edit of any catalogue, which changes as few pages of the file as it can:
      packages-import invent --from-db catalogue.db --edit 20 --out edited.db";

/// Makes the SQLite file that `nearside push FILE.db --app packages` publishes.
///
/// The file holds two tables, `package` and `dependency`. It appears at --out complete or not at
/// all: rows go to a file beside it, which is renamed at the end. One line says what was written.
#[derive(Debug, Parser)]
#[command(name = "packages-import", version, after_long_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) source: Source,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Source {
    Debian(DebianArgs),
    Invent(InventArgs),
}

/// Import this machine's Debian package index, or one given as text
///
/// Reads what `apt-cache dumpavail` prints: one record a package, of `Field: value` lines. The
/// first record of a name counts, later ones are ignored. Dependencies are the names in Depends and
/// Pre-Depends; the size is Installed-Size, or Size where that is missing. Records without a usable
/// Package or Version are skipped and counted in a warning.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{DEBIAN_EXAMPLES}\n\n{EXIT_STATUS}"))]
pub(crate) struct DebianArgs {
    /// Where to write the catalogue; a file already there is replaced
    #[arg(long, value_name = "FILE.db")]
    pub(crate) out: PathBuf,

    /// Read the index from this file, or from standard input when `-`, instead of asking apt-cache
    #[arg(long, value_name = "FILE|-")]
    pub(crate) from: Option<PathBuf>,

    /// Take long descriptions from the uncompressed `*Translation-en` files of this folder
    ///
    /// Without it, apt's own folder is looked at, and only when the index is apt-cache's too.
    #[arg(long, value_name = "DIR")]
    pub(crate) translations: Option<PathBuf>,
}

/// Invent a plausible catalogue from a seed, or make a small edit of one
///
/// Names, summaries, descriptions, tags and a dependency graph with popular targets, from this
/// program's own words. Sections, words and dependency targets follow Zipf's law, as real ones do.
/// The same arguments give the same rows on every machine.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{INVENT_EXAMPLES}\n\n{EXIT_STATUS}"))]
pub(crate) struct InventArgs {
    /// Where to write the catalogue; a file already there is replaced
    #[arg(long, value_name = "FILE.db")]
    pub(crate) out: PathBuf,

    /// How many packages to invent
    #[arg(long, value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PACKAGES_MAX)))]
    pub(crate) packages: u32,

    /// What to invent them from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Change the version and the summary of this many packages
    #[arg(long, value_name = "N")]
    pub(crate) edit: Option<u32>,

    /// What to choose the edited packages and their changes from
    #[arg(long, value_name = "N", default_value_t = 1, requires = "edit")]
    pub(crate) edit_seed: u64,

    /// Edit a copy of this catalogue instead of inventing one
    #[arg(long, value_name = "FILE.db", requires = "edit", conflicts_with_all = ["packages", "seed"])]
    pub(crate) from_db: Option<PathBuf>,
}

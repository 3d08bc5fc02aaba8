//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::benches::Bench;
use crate::library::edited::Change;
use crate::library::sqlite::With;
use crate::limits::{
    DENSITY_APPS, DOCUMENTS_SEED, FLEET_CUT_SECONDS, FLEET_NODES, INDEX_DOCUMENTS, ROUNDS_MIN, SNAPSHOTS_MIB,
};

/// Benchmarks of Nearside beside its peers and its limits. Run it by `scripts/bench`, which builds what it measures.
#[derive(Debug, Parser)]
#[command(name = "nearside-bench", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub serve: Option<Serve>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Debug, Clone, Args)]
pub struct Run {
    /// What to measure
    #[arg(value_enum)]
    pub names: Vec<Bench>,
    /// Rounds in which the contenders alternate; fewer than five only to try a bench out
    #[arg(long, default_value_t = ROUNDS_MIN, value_parser = positive)]
    pub rounds: usize,
    /// Length of each closed and each open loop, in seconds [default: 3; of `pushes` 12, of `carried`, `flood`, `mix` and `siblings` 10, of `density` 8, of `overload` 60, of `story` 6; of `index` the most a class may take]
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Connections of the load generator [default: 32; of `story` 128]
    #[arg(long, value_parser = positive)]
    pub connections: Option<usize>,
    /// Threads of the load generator
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub load_threads: usize,
    /// A catalogue to push instead of an invented one
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// Size of the invented documents of `snapshots`, `pushes` and `fleet` [default: 1100; of `pushes` 64, of `fleet` 16]
    #[arg(long)]
    pub mib: Option<u64>,
    /// Documents of `index` and `edits`
    #[arg(long, default_value_t = INDEX_DOCUMENTS)]
    pub documents: u64,
    /// Tasks a round of `tasks` [default: 20000]
    #[arg(long, value_parser = positive)]
    pub tasks: Option<usize>,
    /// Apps of `density`
    #[arg(long, default_value_t = DENSITY_APPS, value_parser = positive)]
    pub apps: usize,
    /// Nodes of `fleet`, besides the one at the origin
    #[arg(long, default_value_t = FLEET_NODES, value_parser = positive)]
    pub nodes: usize,
    /// How long `fleet` cuts one of them off, in seconds
    #[arg(long, default_value_t = FLEET_CUT_SECONDS)]
    pub cut_seconds: u64,
    /// Requests a second of `pushes` [default: a quarter of the peak], `carried`, `flood` and `mix` [default: 1000], `density` [default: 500]
    #[arg(long)]
    pub rate: Option<f64>,
    /// The project's root
    #[arg(long, default_value = ".")]
    pub root: PathBuf,
    /// Where the results go, relative to the root
    #[arg(long, default_value = "docs/bench", value_name = "DIR")]
    pub out: PathBuf,
}

/// What this program does in processes of its own. Contenders are servers, and print `listening ADDRESS` first.
#[derive(Debug, Subcommand)]
pub enum Serve {
    /// Raw hyper sending the same bytes and headers to everyone
    ServeRaw(ServeRaw),
    /// Native hyper and rusqlite answering the package directory's searches
    ServeSearch(Native),
    /// Native hyper and rusqlite rendering the package directory's package pages
    ServePackage(Native),
    /// The whole package directory as one service, which does everything inside the request
    ServeSite(ServeSite),
    /// Raw hyper that takes a while for each answer
    ServeWait(ServeWait),
    /// Native hyper and rusqlite, one commit a write
    ServeWrite(ServeWrite),
    /// Puts the figures of a run of `story` into its page
    TellStory(TellStory),
    /// Writes a database of invented documents, as `snapshots` and `pushes` push it
    MakeDocuments(MakeDocuments),
    /// Writes the documents of `index` and `edits`
    MakeTopics(MakeTopics),
    /// Builds a search index over those, and tells how
    BuildIndex(BuildIndex),
    /// Asks a search index, and tells how long each query took
    AskIndex(AskIndex),
    /// Edits documents, and tells which pages each commit changed
    EditIndex(EditIndex),
}

#[derive(Debug, Clone, Args)]
pub struct MakeTopics {
    /// The database, which is made
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// The same as text, a document a line: section, tab, text
    #[arg(long, value_name = "FILE")]
    pub lines: Option<PathBuf>,
    #[arg(long, default_value_t = INDEX_DOCUMENTS)]
    pub documents: u64,
    #[arg(long, default_value_t = DOCUMENTS_SEED)]
    pub seed: u64,
}

#[derive(Debug, Clone, Args)]
pub struct BuildIndex {
    #[arg(long, value_enum)]
    pub with: With,
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct AskIndex {
    #[arg(long, value_enum)]
    pub with: With,
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// Classes of queries, as JSON
    #[arg(long, value_name = "FILE")]
    pub asked: PathBuf,
    /// How long a class may take
    #[arg(long, value_parser = seconds)]
    pub seconds: f64,
}

#[derive(Debug, Clone, Args)]
pub struct EditIndex {
    /// The index that is kept; none, to know what the table alone takes
    #[arg(long, value_enum)]
    pub with: Option<With>,
    /// The database, which is changed
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// What happens to documents
    #[arg(long, value_enum)]
    pub change: Change,
    /// How many in each commit
    #[arg(long)]
    pub edited: u64,
    #[arg(long)]
    pub commits: u64,
    /// Documents there are
    #[arg(long)]
    pub documents: u64,
}

#[derive(Debug, Clone, Args)]
pub struct TellStory {
    #[arg(long, value_name = "FILE", default_value = "docs/bench/story.json")]
    pub json: PathBuf,
    #[arg(long, value_name = "FILE", default_value = "docs/story.md")]
    pub page: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct MakeDocuments {
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// At least so large
    #[arg(long, default_value_t = SNAPSHOTS_MIB)]
    pub mib: u64,
    /// So many documents, whatever their size
    #[arg(long)]
    pub documents: Option<u64>,
    #[arg(long, default_value_t = DOCUMENTS_SEED)]
    pub seed: u64,
    /// The read database's schema
    #[arg(long, default_value = "modules/stacks/snapshot.sql", value_name = "FILE")]
    pub schema: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct Listen {
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// End when standard input ends, so as not to outlive a harness that was killed
    #[arg(long)]
    pub exit_with_stdin: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ServeRaw {
    #[command(flatten)]
    pub listen: Listen,
    #[arg(long, value_name = "FILE")]
    pub body_file: PathBuf,
    /// `name: value`, as often as there are headers; with an `etag`, If-None-Match gets a 304
    #[arg(long = "header", value_name = "LINE")]
    pub headers: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ServeWait {
    #[command(flatten)]
    pub listen: Listen,
    /// How long each answer takes
    #[arg(long)]
    pub ms: u64,
}

#[derive(Debug, Clone, Args)]
pub struct ServeWrite {
    #[command(flatten)]
    pub listen: Listen,
    /// The store's file, which is made
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct ServeSite {
    #[command(flatten)]
    pub listen: Listen,
    /// The site's only database, a release's SQLite file at first
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// The app's folder, for its named statements
    #[arg(long, value_name = "DIR")]
    pub app: PathBuf,
    /// Where each review is announced
    #[arg(long, value_name = "URL")]
    pub webhook: String,
}

#[derive(Debug, Clone, Args)]
pub struct Native {
    #[command(flatten)]
    pub listen: Listen,
    /// The release's SQLite file
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// The app's folder, for its named statements and its style sheet
    #[arg(long, value_name = "DIR")]
    pub app: PathBuf,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a number above zero".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let allowed = 0.05..=600.0;
    text.parse().ok().filter(|number| allowed.contains(number)).ok_or_else(|| "between 0.05 and 600 seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_or_a_server() {
        let cli = Cli::try_parse_from(["nearside-bench", "hit", "search", "--rounds", "7"]).unwrap();
        assert_eq!((cli.run.names.len(), cli.run.rounds), (2, 7));
        assert!(cli.serve.is_none());
        let cli = Cli::try_parse_from(["nearside-bench", "serve-raw", "--body-file", "x", "--header", "a: b"]).unwrap();
        assert!(matches!(cli.serve, Some(Serve::ServeRaw(raw)) if raw.headers == ["a: b"]));
    }

    #[test]
    fn what_is_refused() {
        for arguments in [["nearside-bench", "nothing", "--rounds=5"], ["nearside-bench", "hit", "--rounds=0"]] {
            assert!(Cli::try_parse_from(arguments).is_err());
        }
        assert!(Cli::try_parse_from(["nearside-bench", "hit", "--seconds=0"]).is_err());
    }
}

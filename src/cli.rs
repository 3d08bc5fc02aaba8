//! The command line, and its manual pages.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::commands::new::{Kind, Language};

/// An edge runtime: WebAssembly handlers render pages next to the visitor, from a verified replica of the site's SQLite
/// data and a cache that knows when it is wrong. Writes go to one origin.
#[derive(Parser)]
#[command(
    name = "nearside",
    version,
    max_term_width = 100,
    after_help = "\
A site in five commands:
  nearside new my-app
  nearside origin --data origin-data &
  nearside build my-app
  nearside push my-app --token-file origin-data/token
  nearside host --origin http://127.0.0.1:7600 --token-file origin-data/token --data node-data"
)]
pub struct Cli {
    /// What to log, like `info` or `nearside_host=debug`
    #[arg(long, global = true, env = "NEARSIDE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Build(AppArgs),
    Check(CheckArgs),
    Host(HostArgs),
    New(NewArgs),
    Origin(OriginArgs),
    Push(PushArgs),
    Status(StatusArgs),
}

/// Builds an app's components
///
/// Runs the command under [build] in the app's nearside.toml, in the app's folder, and makes sure that every component
/// the manifest names is there afterwards.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside build modules/packages")]
pub struct AppArgs {
    /// The app's folder, with its nearside.toml
    #[arg(default_value = ".", value_name = "APP")]
    pub folder: PathBuf,
}

/// Checks an app without running it
///
/// Reads the manifest, links every component against what it will be given, runs the migrations on an empty store and
/// snapshot.sql on an empty read database, and prepares every named query on it. Each finding names file, line, what is
/// wrong and what to do. `push` checks the same and refuses an app with findings. Exits with 1 when there are any.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside check modules/packages\n  nearside check --json . | jq .")]
pub struct CheckArgs {
    /// The app's folder, with its nearside.toml
    #[arg(default_value = ".", value_name = "APP")]
    pub folder: PathBuf,
    /// Print the findings as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Runs a node: answers visitors
///
/// Serves what is on its disk at once, whether or not the origin answers, and follows the origin's releases from then
/// on. Stops on SIGINT or SIGTERM: no new connections, those under way finish within ten seconds.
///
/// Settings come from flags, else from the environment (NEARSIDE_LISTEN and so on), else from the file, else defaults.
/// The admin address answers /livez, /readyz, /status (JSON) and /metrics (Prometheus).
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside host --listen 0.0.0.0:8080 --origin http://origin:7600 --token-file token --data /var/lib/nearside

The same as a file, for --config:
  name = \"zurich-1\"
  listen = \"0.0.0.0:8080\"
  admin = \"127.0.0.1:8081\"
  origin = \"http://origin:7600\"
  token_file = \"token\"
  data = \"/var/lib/nearside\"
  cache_mib = 256")]
pub struct HostArgs {
    /// TOML file with any of these settings
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// This node's name, for status and logs [default: node]
    #[arg(long, env = "NEARSIDE_NAME")]
    pub name: Option<String>,
    /// Where visitors are answered [default: 127.0.0.1:8080]
    #[arg(long, env = "NEARSIDE_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where the operator is answered [default: 127.0.0.1:8081]
    #[arg(long, env = "NEARSIDE_ADMIN", value_name = "ADDR:PORT")]
    pub admin: Option<SocketAddr>,
    /// The origin; without one the node serves what is on its disk
    #[arg(long, env = "NEARSIDE_ORIGIN", value_name = "URL")]
    pub origin: Option<String>,
    /// File with the origin's token
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// This node's own disk: releases, compiled code, trusted keys [default: nearside-node]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Memory for stored responses, in MiB; 0 stores none [default: 256]
    #[arg(long, env = "NEARSIDE_CACHE_MIB", value_name = "MIB")]
    pub cache_mib: Option<u64>,
}

/// Makes a new app to begin with
///
/// Creates the folder NAME with an app that builds, passes its checks and can be pushed as it is: manifest, sources,
/// styles, tests, a README, and the SDK it is built with, which is not in a registry. Everything in it is there to be
/// changed. In JavaScript and Python there is the page template.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside new hello
  nearside new shop --template search
  nearside new greetings --language python")]
pub struct NewArgs {
    /// The app's name, and its folder's: a-z, 0-9 and `-`, beginning with a letter
    pub name: String,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Kind::Page)]
    pub template: Kind,
    /// What to write it in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub language: Language,
}

/// Runs the origin: owns the data, applies writes, runs tasks, publishes releases
///
/// At its first start it makes a signing key and an operator's token in its data folder (signing.key, token). Whoever
/// has the token may push, write and pull; keep the listener on a private network.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside origin --listen 127.0.0.1:7600 --data /var/lib/nearside-origin

As a file, for --config, with what single apps are given:
  listen = \"127.0.0.1:7600\"
  data = \"/var/lib/nearside-origin\"

  [apps.packages]
  variables = { WEBHOOK_URL = \"http://127.0.0.1:9000/hook\" }
  secrets = { SESSION_KEY = \"…\" }    # made at random, and kept, when nobody sets it
  allow_private = [\"127.0.0.1:9000\"]")]
pub struct OriginArgs {
    /// TOML file with any of these settings
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where nodes and operators are answered [default: 127.0.0.1:7600]
    #[arg(long, env = "NEARSIDE_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// The origin's own disk [default: nearside-origin]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// File with the token to ask for [default: token in the data folder, made at the first start]
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Pushes an app, or a SQLite file as an app's data
///
/// A folder with a nearside.toml is packed, checked at the origin, and becomes the app's next release: its migrations
/// run in one transaction, and anything wrong leaves the release before serving. A SQLite file needs --app: the rows of
/// its tables replace those of the app's [data] tables, row by row, so that only what differs is published.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside push modules/packages --token-file origin-data/token
  nearside push catalogue.db --app packages --token-file origin-data/token")]
pub struct PushArgs {
    /// An app's folder, or a SQLite file
    #[arg(default_value = ".", value_name = "APP|FILE")]
    pub path: PathBuf,
    /// The app whose data a file is
    #[arg(long)]
    pub app: Option<String>,
    #[command(flatten)]
    pub origin: OriginAccess,
}

#[derive(Args)]
pub struct OriginAccess {
    #[arg(long, env = "NEARSIDE_ORIGIN", value_name = "URL", default_value = "http://127.0.0.1:7600")]
    pub origin: String,
    /// File with the origin's token
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Shows what the origin and nodes are doing
///
/// Asks the origin, and each node named by its admin address, and prints releases, writes, tasks and cache. Exits with
/// 1 when one of them does not answer.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside status --token-file origin-data/token --node http://127.0.0.1:8081 --node http://127.0.0.1:8091")]
pub struct StatusArgs {
    /// A node's admin address; may be given several times
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub origin: OriginAccess,
}

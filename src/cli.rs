//! The command line, and its manual pages.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use nearside_host::logbook::{Kind, Level};
use nearside_protocol::{key::PublicKey, release::ReleaseId, trust::Role};

use crate::commands::new::{self, Language};

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
    Audit(AuditArgs),
    Backup(BackupArgs),
    Build(AppArgs),
    Cache(CacheArgs),
    Check(CheckArgs),
    Dev(DevArgs),
    Host(HostArgs),
    Key(KeyArgs),
    Logs(LogsArgs),
    New(NewArgs),
    Origin(OriginArgs),
    Outbox(OutboxArgs),
    Push(PushArgs),
    Releases(ReleasesArgs),
    Restore(RestoreArgs),
    Resume(ResumeArgs),
    Rollback(RollbackArgs),
    Snapshot(SnapshotArgs),
    Status(StatusArgs),
    Test(TestArgs),
}

pub const DEFAULT_LOG: &str = "info,wasmtime=warn,wasmtime_wasi_http=error,cranelift=warn,hyper=warn";

impl Command {
    /// What is logged where nobody says so. Some commands tell by themselves what their reader is to know.
    pub fn default_log(&self) -> &'static str {
        match self {
            Command::Dev(_) | Command::Test(_) => "off",
            _ => DEFAULT_LOG,
        }
    }
}

/// Compares an app's read database with one made anew
///
/// The origin does the same once a day, and logs an error and says so in `nearside status` when they differ; this does it
/// now. It works on copies, at the lowest priority, and holds up neither writes nor releases. Exits with 1 when they differ.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside audit --app packages --token-file origin-data/token")]
pub struct AuditArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Makes a verified backup of an origin
///
/// Runs on the origin's machine, whether or not the origin does, and holds up no write. Every app's store is copied as it is
/// at one moment, looked through, and named in a manifest with all digests; the folder has its name only when all of it is on
/// the disk. Releases are not in it: they are made of the stores. The stores remember how far the backup reaches.
///
/// WARNING: with --with-keys whoever reads the backup can sign releases and read the apps' secrets. Without it, keep
/// signing.key elsewhere: nodes trust no other.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside backup /backups/2026-11-21 --data /var/lib/nearside-origin --with-keys
  scripts/backup /backups/$(date +%F) --config /etc/nearside/origin.toml")]
pub struct BackupArgs {
    /// Must not be there yet
    #[arg(value_name = "DEST")]
    pub dest: PathBuf,
    /// Also signing.key, token, and the apps' secrets
    #[arg(long)]
    pub with_keys: bool,
    /// Leave out what visitors sent
    #[arg(long)]
    pub without_blobs: bool,
    #[command(flatten)]
    pub origin: OriginFolder,
}

#[derive(Args)]
pub struct OriginFolder {
    /// The origin's TOML file, for where its data and its objects are
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The origin's own disk [default: nearside-origin, or what the file says]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
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

/// Shows what a node keeps in its cache, and why
///
/// Asks the node's admin address. `list` shows the responses that answered most lately, or the largest, or those that took
/// longest. `explain` tells of one address what is kept, what it was computed from, why it was rendered, and what would
/// become of it now. `purge` takes away what is kept of paths that begin so; nobody needs to, because what a push makes
/// wrong is not answered any more. docs/cache.md has the words.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside cache list --by took --limit 50
  nearside cache explain http://packages.localhost:8080/package/nginx
  nearside cache purge /search --app packages --node http://127.0.0.1:8091")]
pub struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Subcommand)]
pub enum CacheCommand {
    /// Lists stored responses
    List {
        /// Of this app only
        #[arg(long)]
        app: Option<String>,
        /// What to begin with most of
        #[arg(long, value_enum, default_value_t = CacheOrder::Hits)]
        by: CacheOrder,
        /// How many, 1000 at most
        #[arg(long, value_name = "N", default_value_t = nearside_protocol::limits::CACHE_LISTED_UNASKED)]
        limit: usize,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: CacheNode,
    },
    /// Tells why an address was rendered, or is kept
    Explain {
        /// http://host/path?query, as a visitor asks for it; or /path?query
        url: String,
        /// The app, where the address does not tell
        #[arg(long)]
        app: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: CacheNode,
    },
    /// Takes stored responses away, and says how many
    Purge {
        /// Where their paths begin; `/` is all of them
        #[arg(value_name = "PATH-PREFIX")]
        prefix: String,
        /// Of this app only
        #[arg(long)]
        app: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: CacheNode,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CacheOrder {
    Hits,
    Bytes,
    Took,
}

impl CacheOrder {
    pub fn name(self) -> &'static str {
        match self {
            CacheOrder::Hits => "hits",
            CacheOrder::Bytes => "bytes",
            CacheOrder::Took => "took",
        }
    }
}

#[derive(Args)]
pub struct CacheNode {
    /// The node's admin address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub node: String,
}

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

/// Serves an app while you write it
///
/// Builds the app, serves it with data of its own in APP/.nearside/dev, and builds and serves it anew whenever one of its
/// files changes. The version before goes on being served until the next one is: a build that fails, a check that finds
/// something or a migration that does not run is told here and on every open page, and pages load themselves anew when
/// it is mended. Changes of SQL, static files and the manifest need no build. Answers under localhost whatever hosts the
/// manifest lists. Ctrl-C ends it.
///
/// The build command runs with NEARSIDE_DEV=1, and with settings that make a Rust release build quick rather than small:
/// run `nearside build` before you push to visitors.
///
/// Inputs that handlers looked for and their routes do not declare are listed in APP/.nearside/undeclared-inputs.json.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside dev modules/hello --open
  nearside dev --reset --seed tests/seed.sql        # fresh data, with these rows in it")]
pub struct DevArgs {
    #[command(flatten)]
    pub app: AppArgs,
    /// Where it is answered
    #[arg(long, env = "NEARSIDE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Open a browser
    #[arg(long)]
    pub open: bool,
    /// Forget the data and begin anew
    #[arg(long)]
    pub reset: bool,
    /// SQL file that fills the store when the data is new
    #[arg(long, value_name = "FILE.sql")]
    pub seed: Option<PathBuf>,
    /// The site's own disk [default: APP/.nearside/dev]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

/// Runs a node: answers visitors
///
/// Serves what is on its disk at once, whether or not the origin answers, and follows the origin's releases from then
/// on. Stops on SIGINT or SIGTERM: no new connections, those under way finish within ten seconds.
///
/// Settings come from flags, else from the environment (NEARSIDE_LISTEN and so on), else from the file, else defaults.
/// The admin address answers /livez, /readyz, /status (JSON), /metrics (Prometheus), /logs (see `nearside help logs`) and
/// /cache (`nearside help cache`).
/// To whoever shows the origin's token it also gives releases: a node named as another's --sibling. What comes from a
/// sibling is verified as if it came from a stranger.
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
  cache_mib = 256
  siblings = [\"http://10.0.0.2:8081\"]
  max_staleness_s = 60")]
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
    /// Another node's admin address, to be asked for what is large before the origin is; may be given several times
    #[arg(long = "sibling", env = "NEARSIDE_SIBLINGS", value_name = "URL", value_delimiter = ',')]
    pub siblings: Vec<String>,
    /// Answer 503 at /readyz when a release may be further behind the origin's than this [default: never]
    #[arg(long, env = "NEARSIDE_MAX_STALENESS_S", value_name = "SECONDS")]
    pub max_staleness_s: Option<u64>,
}

/// Makes keys, and says whom a node trusts
///
/// A release is signed by the origin's key, and its app's code is vouched for by the same key or by another one, which
/// need not be on the origin's machine. Each node has a list of keys it trusts, trusted.keys in its data folder, with
/// roles: `data` for releases, `app` for code. A node without the file trusts the first origin it hears, for both. A
/// running node follows the file as it changes.
///
/// docs/releases.md tells how keys are exchanged for new ones.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside key new build.key                                   # a key that vouches for code
  nearside push my-app --key build.key --token-file token
  nearside key show origin-data/signing.key                    # the origin's public half
  nearside key add --data node-data 6c1f…e0 --role data
  nearside key list --data node-data
  nearside key remove --data node-data 3b0c44298fc1c149")]
pub struct KeyArgs {
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Makes a secret key in a file that only its user can read, and prints its public half
    ///
    /// A file that is there already is left alone.
    New {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the public half and the id of a secret key
    Show {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Lists the keys a node trusts: id, roles, public key
    List {
        #[command(flatten)]
        node: NodeData,
    },
    /// Lets a node trust a key, for the roles given besides those it has already
    Add {
        #[command(flatten)]
        node: NodeData,
        /// The public key, 64 hexadecimal digits
        #[arg(value_name = "KEY")]
        key: PublicKey,
        /// What for: app, data; may be given twice [default: both]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Lets a node trust a key no more
    Remove {
        #[command(flatten)]
        node: NodeData,
        /// The key's id, or the key itself
        #[arg(value_name = "ID")]
        key: String,
        /// Even if no other key is trusted for data: no release is taken from then on
        #[arg(long)]
        force: bool,
    },
}

#[derive(Args)]
pub struct NodeData {
    /// The node's data folder
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER", default_value = "nearside-node")]
    pub data: PathBuf,
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
    #[arg(long, value_enum, default_value_t = new::Kind::Page)]
    pub template: new::Kind,
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

  [objects]                             # where releases are put; a folder in `data` without this
  url = \"s3://bucket/prefix\"          # or file:///folder; AWS_ACCESS_KEY_ID and so on are read
  endpoint = \"https://s3.example.org\"
  region = \"eu-central-1\"

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
/// its tables replace those of the app's [data] tables, row by row, so that only what differs is published. For an app
/// whose manifest says `database = "pushed"` the file is the database, as it is: any SQLite file, in use or not.
///
/// It is told how the release travels to the nodes, and what it costs. While releases are held after a rollback, a push
/// needs --resume, and ends that.
///
/// Static files are compressed here, once, for all nodes; --quick leaves that out. With --key, the app's code is vouched
/// for by that key, so that nodes that trust no other for code take it from nobody else, whoever has the origin.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside push modules/packages --token-file origin-data/token
  nearside push modules/packages --token-file origin-data/token --key build.key
  nearside push catalogue.db --app packages --token-file origin-data/token")]
pub struct PushArgs {
    /// An app's folder, or a SQLite file
    #[arg(default_value = ".", value_name = "APP|FILE")]
    pub path: PathBuf,
    /// The app whose data a file is
    #[arg(long)]
    pub app: Option<String>,
    /// Leave static files uncompressed, for a push while developing
    #[arg(long)]
    pub quick: bool,
    /// Secret key that vouches for the app's code, instead of the origin's
    #[arg(long, env = "NEARSIDE_APP_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Publish though releases are held after a rollback, and hold them no longer
    #[arg(long)]
    pub resume: bool,
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

/// Lists the releases of an app that the origin keeps
///
/// New to old: number, age, what it holds when that is not new (rolled back to another, or the same as another), the app's
/// digest, pages and size of the database, the delta from the release before, the base that was newest, the key that signed
/// it, and the nodes that serve it now, as far as they are named.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside releases --app packages --token-file origin-data/token --node http://127.0.0.1:8081")]
pub struct ReleasesArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    /// A node's admin address; may be given several times
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Puts a backup of an origin back, into an empty folder
///
/// Every file is held against the manifest's digests first. What was committed after the backup is lost, and the restored
/// stores begin a new epoch, above the backup's, above the newest release in the object store that --config names, and above
/// what each --node serves: receipts of the lost time are told from new ones, and nodes take the new releases. Where none of
/// these can be reached and others may have been restored from this backup before, name their epoch with --epoch-above.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside restore /backups/2026-11-21 /var/lib/nearside-origin --node http://10.0.0.2:8081")]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// Empty, or not there yet
    #[arg(value_name = "INTO")]
    pub into: PathBuf,
    /// The origin's TOML file, if its objects are not in the data folder
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A node's admin address, to be asked which epoch it serves; may be given several times
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    /// Begin an epoch above this one
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    pub epoch_above: u64,
}

/// Publishes what came since a rollback, and goes on publishing
///
/// Ends the hold that `nearside rollback` began.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside resume --app packages --token-file origin-data/token")]
pub struct ResumeArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Publishes the content of an older release again
///
/// Its pages, its app, its variables and secrets become the next release: nodes never go to a lower number. Without
/// RELEASE, that is the one before the content that is served now. From then on nothing is published by itself, and pushes
/// are refused, until `nearside resume` or a push with --resume. Writes are committed all the while, by the commands of
/// the version that was pushed last; visitors see them after that.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside rollback --app packages --token-file origin-data/token
  nearside rollback 1.42 --app packages --token-file origin-data/token")]
pub struct RollbackArgs {
    /// The release to go back to, as `nearside releases` names it
    pub release: Option<ReleaseId>,
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Takes snapshots out of releases, and looks at them
///
/// A snapshot is the SQLite file a release serves. Releases the origin keeps are listed by `nearside releases`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside snapshot export 1.42 out.db --app packages --token-file origin-data/token
  nearside snapshot verify out.db --release 1.42 --app packages --token-file origin-data/token
  nearside snapshot diff 1.41 1.42 --app packages --token-file origin-data/token")]
pub struct SnapshotArgs {
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

#[derive(Subcommand)]
pub enum SnapshotCommand {
    /// Writes a release's snapshot to a file, verified against its manifest
    Export {
        release: ReleaseId,
        /// Must not be there yet
        #[arg(value_name = "OUT.db")]
        out: PathBuf,
        #[command(flatten)]
        of: SnapshotOf,
    },
    /// Says whether a file is a release's snapshot, to the last byte; exits with 1 when it is not
    Verify {
        #[arg(value_name = "FILE.db")]
        file: PathBuf,
        #[arg(long)]
        release: ReleaseId,
        #[command(flatten)]
        of: SnapshotOf,
    },
    /// Shows what changed from one release to another: rows of each table, pages, and the bytes a node pulled
    Diff {
        from: ReleaseId,
        to: ReleaseId,
        #[command(flatten)]
        of: SnapshotOf,
    },
}

#[derive(Args)]
pub struct SnapshotOf {
    /// The app; may be left out where the origin has only one
    #[arg(long)]
    pub app: Option<String>,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Shows what the origin and nodes are doing
///
/// Asks the origin, and each node named by its admin address, and prints releases, writes, tasks and cache; for nodes also by
/// how much a release may be behind, what is being pulled, what was refused and why, and damaged pages. Exits with 1 when
/// one of them does not answer.
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

/// Shows what nodes and the origin have logged, and follows it
///
/// Asks each node named by its admin address, and the origin if one is named; without any, the node at
/// http://127.0.0.1:8081. Entries are merged by time, a line each: time, level, app, route or command or task, release,
/// trace, message; a backtrace stands beneath. They come from memory: each process keeps its last few thousand.
///
/// Every error page names its trace, and so does the Server-Timing of every page that was rendered; its first eight
/// digits are enough for --trace.
///
/// With --follow it goes on until Ctrl-C, connects again when a node was away, and says when entries were lost.
#[derive(Args)]
#[command(after_help = "\
Kinds:
  guest             what a handler, command or task printed
  panic             it trapped or panicked; with a backtrace
  sql               a query failed; with its name and line
  limit             a deadline or another budget was overrun; with the setting that raises it
  undeclared-input  a handler looked for an input its route does not declare
  host              the node or the origin itself

Examples:
  nearside logs --follow
  nearside logs --trace 4bf92f35 --node http://127.0.0.1:8081 --node http://127.0.0.1:8091
  nearside logs -f --app packages --kind panic --kind limit --origin http://127.0.0.1:7600 --token-file origin-data/token
  nearside logs --json --last 1000 | jq -r .message")]
pub struct LogsArgs {
    /// A node's admin address; may be given several times
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    /// The origin
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// File with the origin's token
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Of this app only
    #[arg(long)]
    pub app: Option<String>,
    /// Of this route, as the manifest has its path; or of this command or task
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<String>,
    /// Of this request, write or task attempt
    #[arg(long)]
    pub trace: Option<String>,
    /// Of this level and above: trace, debug, info, warn, error
    #[arg(long)]
    pub level: Option<Level>,
    /// Of this kind; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<Kind>,
    /// How many recent entries to begin with
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub last: usize,
    /// Go on with what is logged from now on
    #[arg(short, long)]
    pub follow: bool,
    /// Print each entry as a JSON object on a line
    #[arg(long)]
    pub json: bool,
}

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

/// Shows the writes a node has taken while its origin was away
///
/// A node takes commands that are declared `deferrable` on its own disk when the origin does not answer, and delivers
/// them in their order, each once. Nothing here has to be done by hand: this shows what waits and what became of the rest.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nearside outbox list
  nearside outbox list --all --node http://127.0.0.1:8091
  nearside outbox export > writes.ndjson
  nearside outbox retry")]
pub struct OutboxArgs {
    /// The node's admin address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", global = true)]
    pub node: String,
    #[command(subcommand)]
    pub command: OutboxCommand,
}

#[derive(clap::Subcommand)]
pub enum OutboxCommand {
    /// What waits, old to new
    List {
        /// What was settled, too
        #[arg(long)]
        all: bool,
    },
    /// Everything with its payload, a JSON object a line
    Export,
    /// Tries to deliver at once
    Retry,
}

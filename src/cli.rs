//! The command line, and its manual pages: each command has its own beside it.

use clap::{Parser, Subcommand};

use crate::commands::{
    audit::AuditArgs,
    backup::BackupArgs,
    build::AppArgs,
    cache::CacheArgs,
    canary::{HaltArgs, PromoteArgs},
    check::CheckArgs,
    dev::DevArgs,
    health::HealthArgs,
    host::HostArgs,
    key::KeyArgs,
    logs::LogsArgs,
    new::NewArgs,
    origin::OriginArgs,
    outbox::OutboxArgs,
    push::PushArgs,
    queries::QueriesArgs,
    releases::ReleasesArgs,
    restore::RestoreArgs,
    rollback::{ResumeArgs, RollbackArgs},
    snapshot::SnapshotArgs,
    status::StatusArgs,
    tasks::TasksArgs,
    test::TestArgs,
    token::TokenArgs,
    top::TopArgs,
};

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
    Halt(HaltArgs),
    Health(HealthArgs),
    Host(Box<HostArgs>),
    Key(KeyArgs),
    Logs(LogsArgs),
    New(NewArgs),
    Origin(OriginArgs),
    Outbox(OutboxArgs),
    Promote(PromoteArgs),
    Push(PushArgs),
    Queries(QueriesArgs),
    Releases(ReleasesArgs),
    Restore(RestoreArgs),
    Resume(ResumeArgs),
    Rollback(RollbackArgs),
    Snapshot(SnapshotArgs),
    Status(StatusArgs),
    Tasks(TasksArgs),
    Test(TestArgs),
    Token(TokenArgs),
    Top(TopArgs),
}

pub const DEFAULT_LOG: &str = "info,wasmtime=warn,wasmtime_wasi_http=error,cranelift=warn,hyper=warn";

impl Command {
    /// What is logged where nobody says so. Some commands tell by themselves what their reader is to know.
    pub fn default_log(&self) -> &'static str {
        match self {
            Command::Dev(_) | Command::Test(_) | Command::Top(_) => "off",
            _ => DEFAULT_LOG,
        }
    }
}

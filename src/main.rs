//! `nearside`: one binary for the node, the origin, and the people who use them.

mod age;
mod cli;
mod commands;
mod data_lock;
mod fleet_table;
mod handed;
mod log_line;
mod places;
mod settings;
mod stderr_log;
mod stopping;
mod traces;

use clap::Parser;
use nearside_host::{logbook::Logbook, pause, priority};
use stderr_log::StderrLog;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    let logbook = Logbook::new();
    log(cli.log.as_deref().unwrap_or(cli.command.default_log()), &logbook);
    match run(cli.command, logbook) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nearside: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(command: cli::Command, logbook: Logbook) -> anyhow::Result<std::process::ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("nearside-io")
        // Tasks between two looks at the sockets: some of them make a page, and a hit is not to wait for dozens of those.
        .event_interval(16)
        .on_thread_start(priority::answers_sockets)
        .on_thread_park(pause::before_sleep)
        .build()?;
    let code = runtime.block_on(async {
        match command {
            cli::Command::Audit(args) => commands::audit::run(args).await,
            cli::Command::Backup(args) => commands::backup::run(args).await,
            cli::Command::Build(args) => commands::build::run(&args),
            cli::Command::Cache(args) => commands::cache::run(args).await,
            cli::Command::Check(args) => commands::check::run(&args),
            cli::Command::Dev(args) => commands::dev::run(args, logbook).await,
            cli::Command::Halt(args) => commands::canary::halt(args).await,
            cli::Command::Health(args) => commands::health::run(args).await,
            cli::Command::Host(args) => commands::host::run(*args, logbook).await,
            cli::Command::Key(args) => commands::key::run(args),
            cli::Command::Logs(args) => commands::logs::run(args).await,
            cli::Command::New(args) => commands::new::run(&args),
            cli::Command::Origin(args) => commands::origin::run(args, logbook).await,
            cli::Command::Outbox(args) => commands::outbox::run(args).await,
            cli::Command::Promote(args) => commands::canary::promote(args).await,
            cli::Command::Push(args) => commands::push::run(args).await,
            cli::Command::Queries(args) => commands::queries::run(args).await,
            cli::Command::Releases(args) => commands::releases::run(args).await,
            cli::Command::Restore(args) => commands::restore::run(args).await,
            cli::Command::Resume(args) => commands::rollback::resume(args).await,
            cli::Command::Rollback(args) => commands::rollback::run(args).await,
            cli::Command::Snapshot(args) => commands::snapshot::run(args).await,
            cli::Command::Tasks(args) => commands::tasks::run(args).await,
            cli::Command::Test(args) => commands::test::run(args, logbook).await,
            cli::Command::Token(args) => commands::token::run(args).await,
            cli::Command::Top(args) => commands::top::run(args).await,
            cli::Command::Status(args) => commands::status::run(args).await,
        }
    });
    // Work that outlived its grace period is not waited for any longer.
    runtime.shutdown_background();
    code
}

/// What is asked for goes to stderr; the logbook keeps its own choice.
fn log(filter: &str, logbook: &Logbook) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(cli::DEFAULT_LOG));
    tracing_subscriber::registry().with(StderrLog::new().with_filter(filter)).with(logbook.layer()).init();
}

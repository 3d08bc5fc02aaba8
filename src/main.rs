//! `nearside`: one binary for the node, the origin, and the people who use them.

mod cli;
mod commands;
mod settings;

use std::io::IsTerminal;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    log_to_stderr(cli.log.as_deref().unwrap_or(DEFAULT_LOG));
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nearside: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(command: cli::Command) -> anyhow::Result<std::process::ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("nearside-io").build()?;
    let code = runtime.block_on(async {
        match command {
            cli::Command::Build(args) => commands::build::run(&args),
            cli::Command::Check(args) => commands::check::run(&args),
            cli::Command::Host(args) => commands::host::run(args).await,
            cli::Command::New(args) => commands::new::run(&args),
            cli::Command::Origin(args) => commands::origin::run(args).await,
            cli::Command::Push(args) => commands::push::run(args).await,
            cli::Command::Status(args) => commands::status::run(args).await,
        }
    });
    // Work that outlived its grace period is not waited for any longer.
    runtime.shutdown_background();
    code
}

const DEFAULT_LOG: &str = "info,wasmtime=warn,wasmtime_wasi_http=error,cranelift=warn,hyper=warn";

fn log_to_stderr(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(DEFAULT_LOG));
    // Colours are for people: a log in a file is searched.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).compact().init();
}

//! `nearside dev`: the development server, from its flags to Ctrl-C.

use std::process::{Command, ExitCode, Stdio};

use nearside_host::logbook::Logbook;
use nearside_local::dev::{Dev, Options};

use crate::cli::DevArgs;

pub async fn run(args: DevArgs, logbook: Logbook) -> anyhow::Result<ExitCode> {
    let stop = super::shutdown()?;
    let DevArgs { app, listen, open, reset, seed, data } = args;
    let dev = Dev::start(Options { app: app.folder, listen, data, reset, seed }, logbook).await?;
    let url = format!("http://{}", dev.address());
    println!("serving {url}");
    if open {
        open_browser(&url);
    }
    dev.run(stop()).await?;
    Ok(ExitCode::SUCCESS)
}

fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started =
        Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        // Waited for, so that nothing is left of it.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => eprintln!("note: no browser opens, `{program}`: {error}"),
    }
}

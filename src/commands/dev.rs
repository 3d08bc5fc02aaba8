//! `nearside dev`: the development server, from its flags to Ctrl-C.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use clap::Args;
use nearside_host::logbook::Logbook;
use nearside_local::dev::{Dev, Options};

use crate::commands::build::AppArgs;

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

//! `nearside build`: runs the app's own build command, then looks for what it should have made.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};
use clap::Args;
use nearside_host::archive::Archive;
use nearside_protocol::app::{self, App, Build};

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

pub fn run(args: &AppArgs) -> anyhow::Result<ExitCode> {
    let manifest = args.folder.join(app::FILE_NAME);
    let text = std::fs::read_to_string(&manifest).with_context(|| format!("{} cannot be read", manifest.display()))?;
    let app = App::parse(&text)?;
    if let Some(Build { command, .. }) = &app.build {
        eprintln!("{}: {command}", app.name);
        let status = Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(&args.folder)
            .status()
            .context("`sh` does not start")?;
        if !status.success() {
            bail!("the build command of `{}` failed: {status}", app.name);
        }
    }
    let packed = Archive::collect(&args.folder)?.with_encoded().pack()?;
    println!(
        "{}: {} components, {} KiB packed, version {}",
        app.name,
        app.components.len(),
        packed.len().div_ceil(1024),
        Archive::digest(&packed).short()
    );
    Ok(ExitCode::SUCCESS)
}

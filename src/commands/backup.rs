//! `nearside backup`: a copy of the origin's data that can be trusted.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use nearside_origin::{
    backup::{self, Chosen},
    bucket::Bucket,
    config::Config,
};

use crate::places::OriginFolder;

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

pub async fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let config = config(&args.origin)?;
    let chosen = Chosen { keys: args.with_keys, blobs: !args.without_blobs };
    let dest = args.dest;
    let work = move || {
        // Only a folder that is there: asking for it must not make one.
        anyhow::ensure!(config.data.is_dir(), "{} is not there", config.data.display());
        let bucket = bucket(&config)?;
        Ok((backup::back_up(&config.data, &bucket, &dest, chosen)?, dest))
    };
    let (made, dest) = tokio::task::spawn_blocking(work).await.context("the backup panicked")??;
    for (name, app) in &made.manifest.apps {
        let release = app.release.map_or("no release".to_owned(), |release| format!("release {release}"));
        println!("{name}: up to commit {} of epoch {}, {release}", app.commit, app.epoch);
    }
    made.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    if args.with_keys {
        eprintln!("warning: it holds the signing key, the token and the apps' secrets: keep it as you keep those");
    }
    let bytes: u64 = made.manifest.files.values().map(|file| file.bytes).sum();
    println!("{}: {} files, {bytes} bytes, verified", dest.display(), made.manifest.files.len());
    Ok(ExitCode::SUCCESS)
}

/// As the origin would read it.
pub fn config(folder: &OriginFolder) -> anyhow::Result<Config> {
    let mut config = match &folder.config {
        Some(file) => Config::read(file)?,
        None => Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), "nearside-origin".into()),
    };
    if let Some(data) = &folder.data {
        config.data.clone_from(data);
    }
    Ok(config)
}

fn bucket(config: &Config) -> anyhow::Result<Bucket> {
    Ok(match &config.objects {
        Some(objects) => Bucket::open(objects)?,
        None => Bucket::folder(&config.data.join(Path::new("objects")))?,
    })
}

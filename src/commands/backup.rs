//! `nearside backup`: a copy of the origin's data that can be trusted.

use std::{net::SocketAddr, path::Path, process::ExitCode};

use anyhow::Context;
use nearside_origin::{
    backup::{self, Chosen},
    bucket::Bucket,
    config::Config,
};

use crate::cli::{BackupArgs, OriginFolder};

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

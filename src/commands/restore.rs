//! `nearside restore`: a backup put back, in a new epoch.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use nearside_origin::{
    bucket::Bucket,
    config::Config,
    restore::{self, Known, Report},
};
use nearside_protocol::status::NodeStatus;

use crate::places::NodeAccess;

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
    #[command(flatten)]
    pub access: NodeAccess,
    /// Begin an epoch above this one
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    pub epoch_above: u64,
}

pub async fn run(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let mut epoch = args.epoch_above;
    for url in &args.nodes {
        let status: NodeStatus =
            super::node_client(url, &args.access)?.get_json("/status").await.with_context(|| {
                format!("the node {url} cannot be asked which epoch it serves; leave it out to go on without")
            })?;
        epoch = status.apps.values().map(|app| app.release.epoch).chain([epoch]).max().unwrap_or(epoch);
    }
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let objects = config.and_then(|config| config.objects);
    let (from, into) = (args.from, args.into);
    let work = move || {
        let bucket = objects.as_ref().map(Bucket::open).transpose()?;
        Ok::<_, anyhow::Error>((restore::restore(&from, &into, Known { bucket, epoch })?, into))
    };
    let (report, into) = tokio::task::spawn_blocking(work).await.context("the restore panicked")??;
    show(&report);
    println!("{}: ready for `nearside origin --data`", into.display());
    Ok(ExitCode::SUCCESS)
}

fn show(report: &Report) {
    for app in &report.apps {
        let (mark, name) = (&app.mark, &app.app);
        let Some(last) = mark.ended.last() else { continue };
        println!(
            "{name}: restored up to commit {} of epoch {}; it goes on as epoch {}",
            last.commit, last.epoch, mark.epoch
        );
        println!(
            "  a visitor whose receipt is of an earlier epoch is answered, and told by Nearside-Behind that the page may \
             lack their own last write"
        );
    }
    report.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
}

//! `nearside restore`: a backup put back, in a new epoch.

use std::process::ExitCode;

use anyhow::Context;
use nearside_host::origin_client::OriginClient;
use nearside_origin::{
    bucket::Bucket,
    config::Config,
    restore::{self, Known, Report},
};
use nearside_protocol::status::NodeStatus;

use crate::cli::RestoreArgs;

pub async fn run(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let mut epoch = args.epoch_above;
    for url in &args.nodes {
        let status: NodeStatus = OriginClient::new(url, None)?.get_json("/status").await.with_context(|| {
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

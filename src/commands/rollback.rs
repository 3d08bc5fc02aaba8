//! `nearside rollback` and `nearside resume`: old content published again, and the end of that.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use http::Method;
use nearside_host::origin_client::{bytes, whole};
use nearside_protocol::{
    limits,
    release::ReleaseId,
    wire::{Pushed, Rollback},
};

use crate::places::OriginAccess;

/// Publishes what came since a rollback, and goes on publishing
///
/// Ends the hold that `nearside rollback` began.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside resume --app packages --token-file origin-data/token")]
pub struct ResumeArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Publishes the content of an older release again
///
/// Its pages, its app, its variables and secrets become the next release: nodes never go to a lower number. Without
/// RELEASE, that is the one before the content that is served now. From then on nothing is published by itself, and pushes
/// are refused, until `nearside resume` or a push with --resume. Writes are committed all the while, by the commands of
/// the version that was pushed last; visitors see them after that.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside rollback --app packages --token-file origin-data/token
  nearside rollback 1.42 --app packages --token-file origin-data/token")]
pub struct RollbackArgs {
    /// The release to go back to, as `nearside releases` names it
    pub release: Option<ReleaseId>,
    /// The app
    #[arg(long)]
    pub app: String,
    /// Halt a canary that runs first
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// A delta to a release from long ago takes a while to make.
const PATIENCE: Duration = Duration::from_secs(600);

pub async fn run(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let body = serde_json::to_vec(&Rollback { release: args.release, replace: args.replace })?;
    post(&args.origin, &format!("/v1/apps/{}/rollback", args.app), body).await
}

pub async fn resume(args: ResumeArgs) -> anyhow::Result<ExitCode> {
    post(&args.origin, &format!("/v1/apps/{}/resume", args.app), Vec::new()).await
}

pub(super) async fn post(access: &OriginAccess, path: &str, body: Vec<u8>) -> anyhow::Result<ExitCode> {
    let origin = super::origin_client(access)?;
    let request = origin.request(Method::POST, path).body(bytes(body))?;
    let response = origin.send(request, PATIENCE).await?;
    let pushed: Pushed = serde_json::from_slice(&whole(response, limits::MANIFEST_BYTES).await?)?;
    super::print_pushed(&pushed);
    Ok(ExitCode::SUCCESS)
}

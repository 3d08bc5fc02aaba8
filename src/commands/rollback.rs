//! `nearside rollback` and `nearside resume`: old content published again, and the end of that.

use std::{process::ExitCode, time::Duration};

use http::Method;
use nearside_host::origin_client::{bytes, whole};
use nearside_protocol::{
    limits,
    wire::{Pushed, Rollback},
};

use crate::cli::{OriginAccess, ResumeArgs, RollbackArgs};

/// A delta to a release from long ago takes a while to make.
const PATIENCE: Duration = Duration::from_secs(600);

pub async fn run(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let body = serde_json::to_vec(&Rollback { release: args.release })?;
    post(&args.origin, &format!("/v1/apps/{}/rollback", args.app), body).await
}

pub async fn resume(args: ResumeArgs) -> anyhow::Result<ExitCode> {
    post(&args.origin, &format!("/v1/apps/{}/resume", args.app), Vec::new()).await
}

async fn post(access: &OriginAccess, path: &str, body: Vec<u8>) -> anyhow::Result<ExitCode> {
    let origin = super::origin_client(access)?;
    let request = origin.request(Method::POST, path).body(bytes(body))?;
    let response = origin.send(request, PATIENCE).await?;
    let pushed: Pushed = serde_json::from_slice(&whole(response, limits::MANIFEST_BYTES).await?)?;
    super::print_pushed(&pushed);
    Ok(ExitCode::SUCCESS)
}

//! `nearside audit`: the origin compares a read database with one made anew, now.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use http::Method;
use nearside_host::origin_client::{bytes, whole};
use nearside_protocol::{limits, status::Audited};

use crate::places::OriginAccess;

/// Compares an app's read database with one made anew
///
/// The origin does the same once a day, and logs an error and says so in `nearside status` when they differ; this does it
/// now. It works on copies, at the lowest priority, and holds up neither writes nor releases. Exits with 1 when they differ.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside audit --app packages --token-file origin-data/token")]
pub struct AuditArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// It waits for others that are under way.
const PATIENCE: Duration = limits::AUDIT_WORK.saturating_mul(2);

pub async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let origin = super::origin_client(&args.origin)?;
    let request = origin.request(Method::POST, &format!("/v1/apps/{}/audit", args.app)).body(bytes(Vec::new()))?;
    let response = origin.send(request, PATIENCE).await?;
    let audited: Audited = serde_json::from_slice(&whole(response, limits::MANIFEST_BYTES).await?)?;
    println!("{}", told(&audited));
    Ok(if audited.is_same() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn told(audited: &Audited) -> String {
    let Audited { commit, tables, rows, took_ms, .. } = audited;
    match (&audited.difference, &audited.failure) {
        (Some(difference), _) => format!("AUDIT at commit {commit}: the read database differs: {difference}"),
        (None, Some(failure)) => format!("AUDIT failed: {failure}"),
        (None, None) => {
            format!("audited at commit {commit}: {tables} tables, {rows} rows, no difference, {took_ms} ms")
        }
    }
}

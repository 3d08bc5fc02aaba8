//! `nearside health`: whether a process answers, for whoever starts it again when it does not.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use nearside_host::{
    credential::Credential,
    origin_client::{ClientError, OriginClient},
};
use nearside_protocol::limits;

use crate::{places::OriginTls, settings::origin_tls};

/// Asks a node or the origin how it is: ends with 0 when it is well, with 1 and the reason when not
///
/// For health checks where there is no curl. A node is ready when it has a release that is not too old and is not leaving; it, and
/// the origin, are alive when they answer at all. No token is needed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside health                                     # is the node here ready?
  nearside health http://127.0.0.1:7600 --live        # does the origin answer?")]
pub struct HealthArgs {
    /// A node's admin address, or the origin
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub url: String,
    /// Ask whether it answers at all, not whether visitors may be sent there
    #[arg(long)]
    pub live: bool,
    #[command(flatten)]
    pub tls: OriginTls,
}

pub async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.live { "/livez" } else { "/readyz" };
    let client = OriginClient::by(&args.url, Credential::default(), &origin_tls(&args.tls)?)?;
    let told = match client.get(path, limits::NODE_WORDS_BYTES * 2).await {
        Err(ClientError::Refused(problem)) => bail!("{}", problem.detail.unwrap_or(problem.title)),
        told => told?,
    };
    println!("{}", String::from_utf8_lossy(&told).trim());
    Ok(ExitCode::SUCCESS)
}

//! `nearside outbox`: writes a node has taken while its origin was away.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use nearside_host::{
    origin_client::{OriginClient, bytes},
    outbox::{OutboxPage, Settled, Written},
};
use nearside_protocol::{limits, write::Outcome};

use crate::{age::age, places::NodeAccess};

/// Shows the writes a node has taken while its origin was away
///
/// A node takes commands that are declared `deferrable` on its own disk when the origin does not answer, and delivers
/// them in their order, each once. Nothing here has to be done by hand: this shows what waits and what became of the rest.
/// After them come writes that were sent and not answered, whose outcome the node is finding out.
#[derive(Args)]
#[command(after_help = "Examples:
  nearside outbox list
  nearside outbox list --all --node http://127.0.0.1:8091
  nearside outbox export > writes.ndjson
  nearside outbox retry")]
pub struct OutboxArgs {
    /// The node's admin address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", global = true)]
    pub node: String,
    #[command(flatten)]
    pub access: NodeAccess,
    #[command(subcommand)]
    pub command: OutboxCommand,
}

#[derive(Subcommand)]
pub enum OutboxCommand {
    /// What waits, old to new
    List {
        /// What was settled, too
        #[arg(long)]
        all: bool,
    },
    /// Everything with its payload, a JSON object a line
    Export,
    /// Tries to deliver at once
    Retry,
}

pub async fn run(args: OutboxArgs) -> anyhow::Result<ExitCode> {
    let node = super::node_client(&args.node, &args.access)?;
    match args.command {
        OutboxCommand::List { all } => list(&node, all).await?,
        OutboxCommand::Export => export(&node).await?,
        OutboxCommand::Retry => {
            let request = node.request(Method::POST, "/outbox/retry").body(bytes(""))?;
            node.send(request, limits::OUTBOUND_CONNECT * 2).await?;
            println!("the node tries again now");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(node: &OriginClient, all: bool) -> anyhow::Result<()> {
    let mut waiting = 0;
    let mut settled = 0;
    each(node, |written| {
        match &written.settled {
            None => waiting += 1,
            Some(_) => settled += 1,
        }
        if all || written.settled.is_none() {
            let Written { app, n, command, payload, key, accepted_at_ms, .. } = written;
            let at = age(*accepted_at_ms);
            println!("{app} {n}  {command}  {} bytes  taken {at} ago  key {key}  {}", payload.len(), state(written));
        }
    })
    .await?;
    println!("{waiting} waiting, {settled} settled in the last {} h", limits::OUTBOX_SETTLED_KEPT.as_secs() / 3_600);
    Ok(())
}

/// Everything, a JSON object a line.
async fn export(node: &OriginClient) -> anyhow::Result<()> {
    each(node, |written| println!("{}", serde_json::to_string(written).expect("BUG: a write is plain data"))).await
}

async fn each(node: &OriginClient, mut show: impl FnMut(&Written)) -> anyhow::Result<()> {
    let mut path = "/outbox".to_owned();
    loop {
        let page: OutboxPage = serde_json::from_slice(&node.get(&path, limits::OUTBOX_PAGE_BYTES).await?)?;
        page.writes.iter().for_each(&mut show);
        match page.next {
            Some(next) => path = format!("/outbox?{next}"),
            None => return Ok(()),
        }
    }
}

fn state(written: &Written) -> String {
    match &written.settled {
        None if written.is_unsure => "unsure: sent and not answered; the node is finding out".into(),
        None => "waiting".into(),
        Some(Settled::Forgotten) if written.is_unsure => "unknown: nobody knows any more whether it was applied".into(),
        Some(Settled::As(Outcome::Closed)) => "not taken: it had not arrived, and was closed".into(),
        Some(Settled::Forgotten) => "settled".into(),
        Some(Settled::As(Outcome::Applied { receipt, .. })) => format!("applied {receipt}"),
        Some(Settled::As(Outcome::Rejected { message })) => format!("rejected: {message}"),
        Some(Settled::As(Outcome::KeyConflict)) => "refused: its key was used for something else".into(),
        Some(Settled::As(Outcome::Failed { message } | Outcome::Invalid { message } | Outcome::Retry { message })) => {
            format!("failed: {message}")
        }
    }
}

//! `nearside releases`: what the origin keeps of an app, and where each is served.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use nearside_host::origin_client::ClientError;
use nearside_protocol::{
    release::ReleaseId,
    status::NodeStatus,
    wire::{ReleaseInfo, Releases},
};

use super::canary;
use crate::{
    age::age,
    places::{NodeAccess, OriginAccess},
};

/// Lists the releases of an app that the origin keeps
///
/// New to old: number, age, what it holds when that is not new (rolled back to another, tried out at some nodes, or the same as another), the app's
/// digest, pages and size of the database, the delta from the release before, the base that was newest, the key that signed
/// it, and the nodes that serve it now, as far as they are named.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside releases --app packages --token-file origin-data/token --node http://127.0.0.1:8081")]
pub struct ReleasesArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    /// A node's admin address; may be given several times
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    #[command(flatten)]
    pub access: NodeAccess,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub origin: OriginAccess,
}

const HEADINGS: [&str; 10] =
    ["release", "age", "content", "app", "pages", "database", "delta", "base", "signed by", "live"];

pub async fn run(args: ReleasesArgs) -> anyhow::Result<ExitCode> {
    let origin = super::origin_client(&args.origin)?;
    let found: Releases = origin.get_json(&format!("/v1/apps/{}/releases", args.app)).await?;
    let mut live: BTreeMap<ReleaseId, Vec<String>> = BTreeMap::new();
    let mut silent = Vec::new();
    for url in &args.nodes {
        let status: Result<NodeStatus, ClientError> = super::node_client(url, &args.access)?.get_json("/status").await;
        match status {
            Ok(node) => {
                if let Some(app) = node.apps.get(&args.app) {
                    live.entry(app.release).or_default().push(node.node);
                }
            }
            Err(error) => silent.push(format!("node {url}: {error}")),
        }
    }
    if args.json {
        let live: BTreeMap<String, &Vec<String>> = live.iter().map(|(id, nodes)| (id.to_string(), nodes)).collect();
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "releases": found, "live": live }))?);
    } else {
        show(&found, &live);
    }
    silent.iter().for_each(|line| eprintln!("{line}"));
    Ok(if silent.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(found: &Releases, live: &BTreeMap<ReleaseId, Vec<String>>) {
    if let Some(held) = found.held {
        println!(
            "held {} since the rollback to {}: `nearside resume` goes on",
            age(held.since_ms),
            held.rolled_back_to
        );
    }
    for line in found.canary.iter().flat_map(canary::lines) {
        println!("{line}");
    }
    let nodes = |release| live.get(&release).map(|nodes| nodes.join(" ")).unwrap_or_default();
    let rows = found.releases.iter().map(|info| row(info, nodes(info.release)));
    let rows: Vec<[String; 10]> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    if let Some(release) = live.keys().find(|live| found.releases.iter().all(|info| info.release != **live)) {
        println!("a node serves {release}, which is not kept here");
    }
}

fn row(info: &ReleaseInfo, live: String) -> [String; 10] {
    let content = match (&info.candidate, info.rolled_back_to, info.same_as) {
        (Some(candidate), ..) => format!("tried out at {}", candidate.nodes.join(", ")),
        (None, Some(to), _) => format!("rolled back to {to}"),
        (None, None, Some(same)) => format!("same as {same}"),
        (None, None, None) => "new".to_owned(),
    };
    let delta = match (info.delta_pages, info.delta_bytes) {
        (Some(pages), Some(bytes)) => format!("{} in {pages} pages", size(bytes)),
        _ => "none".to_owned(),
    };
    let base = info.base.as_ref().map_or("none".to_owned(), |base| format!("{} of {}", size(base.bytes), base.release));
    [
        info.release.to_string(),
        age(info.created_at_ms),
        content,
        info.app_digest.short(),
        info.page_count.to_string(),
        size(info.database_bytes),
        delta,
        base,
        info.key.to_string(),
        live,
    ]
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!([size(0), size(10_239), size(10_240), size(10_485_760)], ["0 B", "10239 B", "10 KiB", "10 MiB"]);
        assert_eq!(age(u64::MAX), "0 s");
    }
}

//! `nearside status`: what the origin and the nodes say of themselves.

use std::process::ExitCode;

use clap::Args;
use nearside_host::origin_client::ClientError;
use nearside_protocol::status::{AppCache, NodeStatus, OriginStatus};

use super::canary;
use crate::{
    fleet_table,
    places::{NodeAccess, OriginAccess},
};

/// Shows what the origin and nodes are doing
///
/// Asks the origin, and prints releases, writes, tasks, and a line for each node it hears of; `nearside top` follows them. Asks
/// each node named by its admin address, too, and prints its releases and cache; by
/// how much a release may be behind, what is being pulled, what was refused and why, and damaged pages. Exits with 1 when
/// one of them does not answer.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside status --token-file origin-data/token --node http://127.0.0.1:8081 --node http://127.0.0.1:8091")]
pub struct StatusArgs {
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

pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let origin: Result<OriginStatus, ClientError> = super::origin_client(&args.origin)?.get_json("/v1/status").await;
    let origin_client = super::origin_client(&args.origin)?;
    // An origin of an earlier version has none.
    let fleet = fleet_table::ask(&origin_client).await.ok();
    let mut nodes: Vec<(String, Result<NodeStatus, ClientError>)> = Vec::new();
    for url in &args.nodes {
        nodes.push((url.clone(), super::node_client(url, &args.access)?.get_json("/status").await));
    }
    let all_answer = origin.is_ok() && nodes.iter().all(|(_, node)| node.is_ok());
    if args.json {
        let nodes: Vec<_> = nodes.iter().map(|(_, node)| node.as_ref().ok()).collect();
        println!(
            "{}",
            serde_json::to_string_pretty(
                &serde_json::json!({ "origin": origin.ok(), "fleet": fleet, "nodes": nodes })
            )?
        );
    } else {
        show_origin(&args.origin.origin, &origin);
        if let Some(fleet) = &fleet {
            println!("fleet");
            fleet_table::table(fleet, None, false)
                .iter()
                .for_each(|line| println!("{}", format!("  {line}").trim_end()));
        }
        nodes.iter().for_each(|(url, node)| show_node(url, node));
    }
    Ok(if all_answer { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show_origin(url: &str, origin: &Result<OriginStatus, ClientError>) {
    let origin = match origin {
        Ok(origin) => origin,
        Err(error) => return println!("origin {url}: {error}"),
    };
    println!("origin {url}  version {}  up {}", origin.version, duration(origin.uptime_s));
    for (name, app) in &origin.apps {
        let release = app.release.map_or("none yet".to_owned(), |release| release.to_string());
        let tasks: Vec<String> = app.tasks.iter().map(|(state, count)| format!("{count} {state}")).collect();
        println!(
            "  {name}  release {release}  commit {} (read database at {})  {} MiB  tasks: {}",
            app.commit,
            app.applied_commit,
            app.page_count * 4 / 1024,
            if tasks.is_empty() { "none".into() } else { tasks.join(", ") }
        );
        if let Some(held) = app.held {
            println!("    held since the rollback to {}: `nearside resume --app {name}` goes on", held.rolled_back_to);
        }
        for line in app.canary.iter().flat_map(canary::lines) {
            println!("    {line}");
        }
        if let Some(backup) = &app.backed_up {
            println!("    backed up to commit {} of epoch {}", backup.commit, backup.epoch);
        }
        if let Some(audit) = &app.audit {
            println!("    {}", super::audit::told(audit));
        }
        if let Some(error) = &app.last_error {
            println!("    last error: {error}");
        }
    }
}

fn show_node(url: &str, node: &Result<NodeStatus, ClientError>) {
    let node = match node {
        Ok(node) => node,
        Err(error) => return println!("node {url}: {error}"),
    };
    println!("node {} {url}  version {}  up {}", node.node, node.version, duration(node.uptime_s));
    match &node.origin {
        None => println!("  no origin"),
        Some(link) => {
            let heard =
                link.heard_ms_ago.map_or("never heard".to_owned(), |ms| format!("heard {} ago", duration(ms / 1000)));
            println!(
                "  origin {}  {heard}{}",
                link.url,
                link.last_error.as_ref().map(|error| format!("  ({error})")).unwrap_or_default()
            );
        }
    }
    for (name, app) in &node.apps {
        let behind = app.behind_at_most_ms.map(|ms| format!("  at most {} behind", duration(ms.div_ceil(1_000))));
        println!(
            "  {name}  release {}  commit {}  app {}{}",
            app.release,
            app.applied_commit,
            app.app_digest.short(),
            behind.unwrap_or_default()
        );
        if let Some(refused) = &app.refused {
            println!("    refused: {refused}");
        }
    }
    for (name, pull) in &node.pulls {
        let left = pull.seconds_left.map_or("?".to_owned(), duration);
        let (bytes, of, rate) = (size(pull.bytes), size(pull.of_bytes), size(pull.bytes_per_s));
        println!("  pulling {name} {}: {bytes} of {of}, {rate}/s, {left} left", pull.release);
    }
    if !node.refusals.is_empty() {
        let counts: Vec<String> = node.refusals.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        println!("  refused since the start: {}", counts.join(", "));
        if let Some(last) = &node.last_refusal {
            println!(
                "    last: {}{}",
                last.app.as_ref().map(|app| format!("{app}: ")).unwrap_or_default(),
                last.message
            );
        }
    }
    let scrub = &node.scrub;
    if scrub.damaged_pages > 0 {
        let (damaged, repaired, waiting) = (scrub.damaged_pages, scrub.repaired_pages, scrub.waiting_pages);
        println!("  damaged pages: {damaged} found, {repaired} repaired, {waiting} waiting");
    }
    let (pulled, written) = (size(node.pulled_bytes), size(node.pages_written_bytes));
    println!("  pulled {pulled}, wrote {written} of pages, hashed {} pages again", scrub.checked_pages);
    let counts: Vec<String> = node
        .requests
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(result, count)| format!("{result} {count}"))
        .collect();
    println!("  requests: {}", if counts.is_empty() { "none".into() } else { counts.join(", ") });
    println!("  cache: {} responses, {} KiB", node.cache_entries, node.cache_bytes / 1024);
    for (name, app) in node.apps.iter().filter(|(_, app)| app.cache.entries + app.cache.evictions > 0) {
        let AppCache { bytes, entries, evictions } = app.cache;
        println!("    {name}: {entries} responses, {}, {evictions} gave way", size(bytes));
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

//! `nearside cache`: what a node keeps, why, and taking it away.

use std::process::ExitCode;

use anyhow::anyhow;
use http::Method;
use nearside_host::origin_client::{OriginClient, bytes, whole};
use nearside_protocol::{
    cache_report::{Explained, ExplainedResponse, Purged, Stored, StoredResponse},
    limits,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::cli::{CacheArgs, CacheCommand, CacheNode};

pub async fn run(args: CacheArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        CacheCommand::List { app, by, limit, json, node } => {
            let query = [("app", app), ("by", Some(by.name().to_owned())), ("limit", Some(limit.to_string()))];
            let stored: Stored = ask(&node, Method::GET, "/cache", &query).await?;
            show(json, &stored, list)?;
        }
        CacheCommand::Explain { url, app, json, node } => {
            let query = [("app", app), ("url", Some(url))];
            let found: Explained = ask(&node, Method::GET, "/cache/explain", &query).await?;
            show(json, &found, explain)?;
        }
        CacheCommand::Purge { prefix, app, json, node } => {
            let query = [("app", app), ("prefix", Some(prefix))];
            let purged: Purged = ask(&node, Method::DELETE, "/cache", &query).await?;
            show(json, &purged, |purged| println!("{} responses purged", purged.purged))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the node's admin address.
async fn ask<T: DeserializeOwned>(
    node: &CacheNode,
    method: Method,
    path: &str,
    query: &[(&str, Option<String>)],
) -> anyhow::Result<T> {
    let client = OriginClient::new(&node.node, None)
        .map_err(|_| anyhow!("`{}` is not an address: `http://host:port` expected", node.node))?;
    let mut asked = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        if let Some(value) = value {
            asked.append_pair(name, value);
        }
    }
    let request = client.request(method, &format!("{path}?{}", asked.finish())).body(bytes(""))?;
    let answer = client.send(request, limits::OUTBOUND_CONNECT * 2).await?;
    Ok(serde_json::from_slice(&whole(answer, limits::CACHE_REPORT_BYTES).await?)?)
}

fn show<T: Serialize>(json: bool, found: &T, print: impl Fn(&T)) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(found)?);
    } else {
        print(found);
    }
    Ok(())
}

fn list(stored: &Stored) {
    println!(
        "{:>7} {:>9} {:>9} {:>6} {:>5}  {:<9} {:<28} address",
        "hits", "bytes", "took", "pages", "asked", "release", "how"
    );
    for one in &stored.responses {
        println!(
            "{:>7} {:>9} {:>9} {:>6} {:>5}  {:<9} {:<28} {} {}{}",
            one.hits,
            one.bytes,
            milliseconds(one.took_us),
            counted(one.pages),
            counted(one.questions),
            one.release,
            how(one),
            one.app,
            one.target,
            headers(one),
        );
    }
    println!("{} of {}", stored.responses.len(), stored.of);
}

fn explain(found: &Explained) {
    println!("{}: {} of route {}, release {}", found.app, found.target, found.route, found.release);
    match &found.not_stored {
        Some(why) => println!("nothing is kept: the last one rendered could not be ({why})"),
        None if found.responses.is_empty() => println!("nothing is kept: it will be rendered when it is asked for"),
        None => found.responses.iter().for_each(explain_one),
    }
}

fn explain_one(found: &ExplainedResponse) {
    let one = &found.response;
    println!(
        "{}{}: {} bytes, rendered on release {} in {}, {} s ago; {} hits lately",
        one.status,
        headers(one),
        one.bytes,
        one.release,
        milliseconds(one.took_us),
        one.age_ms / 1_000,
        one.hits
    );
    println!("  how it came to be: {}", how(one));
    match one.pages {
        None => println!("  read more than {} pages", limits::READ_SET_PAGES),
        Some(count) => println!("  read {count} pages: {}", numbers(&found.pages, count)),
    }
    match one.questions {
        None => println!("  asked too much to ask it again"),
        Some(_) => found.questions.iter().for_each(|asked| {
            println!("  asked {}({})", asked.query, asked.parameters.join(", "));
        }),
    }
    if !found.changed_pages.is_empty() {
        println!("  changed since: {}", numbers(&found.changed_pages, found.changed_pages.len()));
    }
    if let Some(query) = &found.changed_query {
        println!("  `{query}` answers otherwise now");
    }
    let becomes = if found.is_kept { "is answered from the cache" } else { "will be rendered" };
    println!("  now: {becomes} ({})", found.verdict);
}

fn how(one: &StoredResponse) -> String {
    let because = match &one.changed_query {
        Some(query) => format!("{} of {query}", one.because),
        None => one.because.clone(),
    };
    format!("{}: {because}", one.by)
}

fn headers(one: &StoredResponse) -> String {
    one.headers.iter().map(|(name, value)| format!(" [{name}: {value}]")).collect()
}

fn counted(count: Option<usize>) -> String {
    count.map_or("many".to_owned(), |count| count.to_string())
}

fn milliseconds(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1_000.0)
}

fn numbers(first: &[u32], of: usize) -> String {
    let shown: Vec<String> = first.iter().map(u32::to_string).collect();
    let more = if of > first.len() { " ..." } else { "" };
    format!("{}{more}", shown.join(" "))
}

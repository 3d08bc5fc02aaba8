//! `nearside cache`: what a node keeps, why, and taking it away.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use nearside_host::origin_client::{bytes, whole};
use nearside_protocol::{
    cache_report::{Explained, ExplainedResponse, Purged, Stored, StoredResponse},
    limits,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::places::NodeAccess;

/// Shows what a node keeps in its cache, and why
///
/// Asks the node's admin address. `list` shows the responses that answered most lately, or the largest, or those that took
/// longest. `explain` tells of one address what is kept, what it was computed from, why it was rendered, and what would
/// become of it now. `purge` takes away what is kept of paths that begin so; nobody needs to, because what a push makes
/// wrong is not answered any more. docs/cache.md has the words.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside cache list --by took --limit 50
  nearside cache explain http://packages.localhost:8080/package/nginx
  nearside cache purge /search --app packages --node http://127.0.0.1:8091")]
pub struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Subcommand)]
pub enum CacheCommand {
    /// Lists stored responses
    List {
        /// Of this app only
        #[arg(long)]
        app: Option<String>,
        /// What to begin with most of
        #[arg(long, value_enum, default_value_t = CacheOrder::Hits)]
        by: CacheOrder,
        /// How many, 1000 at most
        #[arg(long, value_name = "N", default_value_t = nearside_protocol::limits::CACHE_LISTED_UNASKED)]
        limit: usize,
        #[command(flatten)]
        from: CacheNode,
    },
    /// Tells why an address was rendered, or is kept
    Explain {
        /// http://host/path?query, as a visitor asks for it; or /path?query
        url: String,
        /// The app, where the address does not tell
        #[arg(long)]
        app: Option<String>,
        #[command(flatten)]
        from: CacheNode,
    },
    /// Takes stored responses away, and says how many
    Purge {
        /// Where their paths begin; `/` is all of them
        #[arg(value_name = "PATH-PREFIX")]
        prefix: String,
        /// Of this app only
        #[arg(long)]
        app: Option<String>,
        #[command(flatten)]
        from: CacheNode,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CacheOrder {
    Hits,
    Bytes,
    Took,
}

impl CacheOrder {
    pub fn name(self) -> &'static str {
        match self {
            CacheOrder::Hits => "hits",
            CacheOrder::Bytes => "bytes",
            CacheOrder::Took => "took",
        }
    }
}

#[derive(Args)]
pub struct CacheNode {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// The node's admin address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub node: String,
    #[command(flatten)]
    pub access: NodeAccess,
}

pub async fn run(args: CacheArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        CacheCommand::List { app, by, limit, from } => {
            let query = [("app", app), ("by", Some(by.name().to_owned())), ("limit", Some(limit.to_string()))];
            let stored: Stored = ask(&from, Method::GET, "/cache", &query).await?;
            show(from.json, &stored, list)?;
        }
        CacheCommand::Explain { url, app, from } => {
            let query = [("app", app), ("url", Some(url))];
            let found: Explained = ask(&from, Method::GET, "/cache/explain", &query).await?;
            show(from.json, &found, explain)?;
        }
        CacheCommand::Purge { prefix, app, from } => {
            let query = [("app", app), ("prefix", Some(prefix))];
            let purged: Purged = ask(&from, Method::DELETE, "/cache", &query).await?;
            show(from.json, &purged, |purged| println!("{} responses purged", purged.purged))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the node's admin address.
async fn ask<T: DeserializeOwned>(
    from: &CacheNode,
    method: Method,
    path: &str,
    query: &[(&str, Option<String>)],
) -> anyhow::Result<T> {
    let client = super::node_client(&from.node, &from.access)
        .map_err(|_| anyhow!("`{}` is not an address: `http://host:port` expected", from.node))?;
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

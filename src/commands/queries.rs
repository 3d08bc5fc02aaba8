//! `nearside queries`: what an app's named queries cost at its nodes, and which index would help.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use http::{Method, header};
use nearside_host::origin_client::{OriginClient, bytes, whole};
use nearside_protocol::{
    limits,
    query_report::{Advice, Advise, Advised, Measured, Parameter, Queries, QueryShown, Tally, Work},
    status::OriginStatus,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::places::OriginAccess;

/// Shows what an app's queries cost at its nodes, and which index would help
///
/// Lists the named queries, worst first, with SQLite's plan for each and with what requests lead to: renders, queries and rows.
/// `explain` tells all of one query. `advise` tries indexes on a copy of the release, with parameters sampled at the nodes, and
/// proposes one where the query then reads at most half the pages. docs/queries.md has the words.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  nearside queries --app packages --by pages --token-file origin-data/token
  nearside queries explain by-maintainer --app packages
  nearside queries advise --app packages
  nearside queries advise by-maintainer --app packages --parameters '[\"Ada\"]'"
)]
pub struct QueriesArgs {
    #[command(subcommand)]
    pub command: Option<QueriesCommand>,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Subcommand)]
pub enum QueriesCommand {
    /// Tells all of one query: its text, plan, counts and sampled parameters
    Explain {
        /// Its name in queries.sql
        query: String,
        #[command(flatten)]
        over: Over,
        #[command(flatten)]
        of: QueriesOf,
    },
    /// Tries indexes on a copy of the release, and proposes those that help
    Advise {
        /// Its name in queries.sql; those that cost most unless named
        query: Option<String>,
        /// Instead of what was sampled at the nodes: a JSON array of numbers, texts and nulls, in the order of ?1, ?2 …
        #[arg(long, value_name = "JSON", requires = "query")]
        parameters: Option<String>,
        #[command(flatten)]
        of: QueriesOf,
    },
}

#[derive(Args)]
pub struct ListArgs {
    /// What to begin with most of
    #[arg(long, value_enum, default_value_t = QueriesOrder::Time)]
    pub by: QueriesOrder,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    #[command(flatten)]
    pub over: Over,
    #[command(flatten)]
    pub of: QueriesOf,
}

/// Of when, and where.
#[derive(Args)]
pub struct Over {
    /// Since nodes serve this version of the app, or the last hour of that
    #[arg(long, value_enum, default_value_t = Since::Version)]
    pub since: Since,
    /// At this node only, by its name
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
}

#[derive(Args)]
pub struct QueriesOf {
    /// The app; needed where the origin has several
    #[arg(long)]
    pub app: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub origin: OriginAccess,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Since {
    Version,
    Hour,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum QueriesOrder {
    /// All its runs together
    Time,
    /// Pages its runs read, together
    Pages,
    /// Rows they gave
    Rows,
    Runs,
    /// The time that one run in a hundred exceeds
    P99,
    /// Rows stepped over in full scans
    Scanned,
}

impl QueriesOrder {
    fn measure(self, query: &QueryShown) -> u64 {
        let all = total(query);
        match self {
            QueriesOrder::Time => all.time_ns,
            QueriesOrder::Pages => all.pages,
            QueriesOrder::Rows => all.rows,
            QueriesOrder::Runs => all.runs,
            QueriesOrder::P99 => all.time_ns_of(0.99).unwrap_or(0),
            QueriesOrder::Scanned => all.scanned_rows,
        }
    }
}

pub async fn run(args: QueriesArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        None => {
            let ListArgs { by, limit, over, of } = args.list;
            let mut found = gathered(&of, &over).await?;
            found.queries.sort_by_key(|query| std::cmp::Reverse(by.measure(query)));
            found.queries.truncate(limit);
            print(of.json, &found, list)?;
        }
        Some(QueriesCommand::Explain { query, over, of }) => {
            let mut found = gathered(&of, &over).await?;
            let known: Vec<String> = found.queries.iter().map(|query| query.name.clone()).collect();
            found.queries.retain(|one| one.name == query);
            if found.queries.is_empty() {
                bail!("`{}` has no query `{query}`; there are {}", found.app, known.join(", "));
            }
            print(of.json, &found, explain)?;
        }
        Some(QueriesCommand::Advise { query, parameters, of }) => {
            let parameters = parameters.as_deref().map(parameters_in).transpose()?;
            let (origin, app) = asked(&of).await?;
            let body = serde_json::to_vec(&Advise { query, parameters })?;
            let request = origin
                .request(Method::POST, &format!("/v1/apps/{app}/queries/advise"))
                .header(header::CONTENT_TYPE, "application/json")
                .body(bytes(body))?;
            let advice: Advice = answered(&origin, request, limits::ADVICE_WAIT).await?;
            print(of.json, &advice, advise)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn gathered(of: &QueriesOf, over: &Over) -> anyhow::Result<Queries> {
    let (origin, app) = asked(of).await?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("window", if matches!(over.since, Since::Hour) { "hour" } else { "version" });
    over.node.iter().for_each(|node| _ = query.append_pair("node", node));
    let request = origin.request(Method::GET, &format!("/v1/apps/{app}/queries?{}", query.finish())).body(bytes(""))?;
    answered(&origin, request, limits::OUTBOUND_CONNECT * 4).await
}

async fn answered<T: DeserializeOwned>(
    origin: &OriginClient,
    request: http::Request<nearside_host::origin_client::ClientBody>,
    wait: std::time::Duration,
) -> anyhow::Result<T> {
    let answer = origin.send(request, wait).await?;
    Ok(serde_json::from_slice(&whole(answer, limits::QUERIES_SHOWN_BYTES).await?)?)
}

/// The origin, and the app: the one that is named, or the only one.
async fn asked(of: &QueriesOf) -> anyhow::Result<(OriginClient, String)> {
    let origin = super::origin_client(&of.origin)?;
    if let Some(app) = &of.app {
        return Ok((origin, app.clone()));
    }
    let status: OriginStatus = origin.get_json("/v1/status").await?;
    let apps: Vec<String> = status.apps.into_keys().collect();
    match &apps[..] {
        [] => bail!("the origin has no app yet: push one first"),
        [one] => Ok((origin, one.clone())),
        several => bail!("say which app by --app: the origin has {}", several.join(", ")),
    }
}

fn parameters_in(text: &str) -> anyhow::Result<Vec<Parameter>> {
    use serde_json::Value;
    let wrong =
        || anyhow!("--parameters is a JSON array of numbers, texts and nulls, like '[\"Ada\", 20]', not `{text}`");
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| wrong())?;
    let parameter = |value: Value| match value {
        Value::Null => Ok(Parameter::Null),
        Value::String(text) => Ok(Parameter::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Parameter::Integer(integer)),
            (None, Some(real)) => Ok(Parameter::Real(real)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    values.into_iter().map(parameter).collect()
}

fn print<T: Serialize>(json: bool, found: &T, text: impl Fn(&T)) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(found)?);
    } else {
        text(found);
    }
    Ok(())
}

// --- The list -------------------------------------------------------------------------------------------------------

fn list(found: &Queries) {
    heading(found);
    if found.nodes.is_empty() {
        return;
    }
    let time_of_all: u64 = found.queries.iter().map(|query| total(query).time_ns).sum();
    println!(
        "\n{:>8} {:>6} {:>7} {:>9} {:>9} {:>8} {:>8} {:>8} {:>9}  query",
        "runs", "time", "renders", "a run", "p99", "rows", "pages", "before", "scanned"
    );
    for query in &found.queries {
        row(query, &found.work, time_of_all);
    }
    println!("\n`nearside queries advise --app {}` tries which indexes would help", found.app);
}

/// Who has told what, and what a request leads to.
fn heading(found: &Queries) {
    println!("{} on release {}", found.app, found.release);
    if found.nodes.is_empty() {
        println!("no node has told anything of this version yet: nodes do within some seconds of a request");
        return;
    }
    for node in &found.nodes {
        println!(
            "  {}: heard {} s ago, counting for {} s",
            node.node,
            node.heard_ms_ago / 1_000,
            node.counting_for_ms / 1_000
        );
    }
    let work = &found.work;
    let all = found.queries.iter().fold(Tally::default(), |mut all, query| {
        all.add(&total(query));
        all
    });
    println!(
        "{} requests led to {} renders ({} of parts, {} ahead), {} looks whether a page stands, {} queries and {} rows",
        work.requests,
        work.all_renders(),
        work.included_renders,
        work.ahead_renders,
        work.asked_again,
        all.runs,
        all.rows
    );
    println!(
        "a request: {} renders, {} queries, {} rows",
        each(work.all_renders(), work.requests),
        each(all.runs, work.requests),
        each(all.rows, work.requests)
    );
}

const PLAN_MARGIN: &str = "         ";

fn row(query: &QueryShown, work: &Work, time_of_all: u64) {
    let all = total(query);
    let before = query.before.as_ref().map_or(String::new(), |before| each(before.pages, before.runs));
    println!(
        "{:>8} {:>6} {:>7} {:>9} {:>9} {:>8} {:>8} {:>8} {:>9}  {}",
        all.runs,
        share(all.time_ns, time_of_all),
        share(query.counts.renders, work.all_renders()),
        time(all.time_ns.checked_div(all.runs)),
        time(all.time_ns_of(0.99)),
        each(all.rows, all.runs),
        each(all.pages, all.runs),
        before,
        each(all.scanned_rows, all.runs),
        query.name
    );
    // What did not run costs nothing, whatever its plan.
    if all.runs > 0 {
        query.plan.lines().for_each(|line| println!("{PLAN_MARGIN}{line}"));
        query.costly.iter().for_each(|what| println!("{PLAN_MARGIN}! {what}"));
    }
}

// --- One query ------------------------------------------------------------------------------------------------------

fn explain(found: &Queries) {
    for query in &found.queries {
        println!("{} of {}, queries.sql:{}, release {}", query.name, found.app, query.line, found.release);
        query.sql.trim_end().lines().for_each(|line| println!("  {line}"));
        println!("plan");
        query.plan.lines().for_each(|line| println!("  {line}"));
        query.costly.iter().for_each(|what| println!("  ! {what}"));
        let renders = share(query.counts.renders, found.work.all_renders());
        println!("ran in {} of {} renders ({renders})", query.counts.renders, found.work.all_renders());
        tally("for pages", &query.counts.rendering);
        tally("asked again", &query.counts.again);
        if let Some(before) = &query.before {
            tally("for pages, with the version before", before);
        }
        if query.samples.is_empty() {
            println!("no parameters are known");
        }
        for sample in &query.samples {
            let parameters: Vec<String> = sample.parameters.iter().map(parameter).collect();
            println!("sampled ({}): {} fetches, {}", parameters.join(", "), sample.fetches, time(Some(sample.time_ns)));
        }
    }
}

fn tally(what: &str, tally: &Tally) {
    if tally.runs == 0 {
        return;
    }
    let mean = |sum: u64| each(sum, tally.runs);
    println!(
        "{what}: {} runs, {} failed; time {} a run, p50 {}, p99 {}",
        tally.runs,
        tally.failed,
        time(tally.time_ns.checked_div(tally.runs)),
        time(tally.time_ns_of(0.5)),
        time(tally.time_ns_of(0.99)),
    );
    println!(
        "  a run: {} rows, {} pages, {} fetches, {} rows scanned, {} sorts, {} rows indexed, {} steps",
        mean(tally.rows),
        mean(tally.pages),
        mean(tally.fetches),
        mean(tally.scanned_rows),
        mean(tally.sorts),
        mean(tally.indexed_rows),
        mean(tally.steps)
    );
}

/// What is shown of one text.
const SHOWN_CHARS: usize = 80;

fn parameter(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Null => "NULL".to_owned(),
        Parameter::Integer(integer) => integer.to_string(),
        Parameter::Real(real) => format!("{real:?}"),
        Parameter::Text(text) => format!("'{}'", text.chars().take(SHOWN_CHARS).collect::<String>()),
        Parameter::Blob(digits) => format!("{} bytes", digits.len() / 2),
    }
}

// --- Indexes --------------------------------------------------------------------------------------------------------

fn advise(advice: &Advice) {
    if advice.advised.is_empty() && advice.without_samples.is_empty() {
        println!(
            "no query of {} that is not accepted by `-- allow: scan` reads {} pages a run or more",
            advice.app,
            limits::ADVICE_PAGES_LEAST
        );
    }
    advice.advised.iter().for_each(|found| advised(found, advice));
    for query in &advice.without_samples {
        println!("{query}: no parameters are known; give them: nearside queries advise {query} --parameters '[…]'");
    }
}

fn advised(found: &Advised, advice: &Advice) {
    println!("{} on a copy of release {}", found.query, advice.release);
    println!("  now     {}", measured(&found.before));
    match &found.index {
        None => println!("  no index was found with which it reads half the pages"),
        Some(index) => {
            println!("  then    {}", measured(&index.after));
            println!("  add to {}:", advice.place);
            println!("    {};", index.sql);
            println!("  the index takes {} pages, and was made in {} ms", index.index_pages, index.made_in_ms);
            println!("  plan now");
            found.plan.lines().for_each(|line| println!("    {line}"));
            println!("  plan then");
            index.plan.lines().for_each(|line| println!("    {line}"));
        }
    }
    for tried in &found.tried {
        let after = tried.after.as_ref().map_or(String::new(), |after| format!(" ({})", measured(after)));
        println!("  tried {}: {}{after}", tried.sql, tried.why_not);
    }
}

fn measured(one: &Measured) -> String {
    format!(
        "{:>10}, {:>9.1} pages, {:>9.1} fetches, {:.1} rows a run",
        time(Some((one.time_us * 1_000.0) as u64)),
        one.pages,
        one.fetches,
        one.rows
    )
}

// --- Numbers --------------------------------------------------------------------------------------------------------

fn total(query: &QueryShown) -> Tally {
    let mut all = query.counts.rendering.clone();
    all.add(&query.counts.again);
    all
}

fn each(sum: u64, of: u64) -> String {
    if of == 0 {
        return String::new();
    }
    let each = sum as f64 / of as f64;
    if each >= 100.0 || each == each.trunc() { format!("{each:.0}") } else { format!("{each:.2}") }
}

fn share(part: u64, of: u64) -> String {
    if of == 0 { String::new() } else { format!("{:.1}%", part as f64 * 100.0 / of as f64) }
}

fn time(ns: Option<u64>) -> String {
    match ns {
        None => String::new(),
        Some(ns @ 0..1_000_000) => format!("{:.1} us", ns as f64 / 1e3),
        Some(ns @ 1_000_000..1_000_000_000) => format!("{:.2} ms", ns as f64 / 1e6),
        Some(ns) => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbers_texts_and_nulls() {
        let found = parameters_in("[\"Ada\", 20, 1.5, null]").unwrap();
        let expected = [Parameter::Text("Ada".into()), Parameter::Integer(20), Parameter::Real(1.5), Parameter::Null];
        assert_eq!(found, expected);
        for wrong in ["Ada", "{}", "[true]", "[[1]]", ""] {
            assert!(parameters_in(wrong).unwrap_err().to_string().contains("JSON array"), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([each(10, 0), each(7, 2), each(15_000, 3), each(1, 3)], ["", "3.50", "5000", "0.33"]);
        assert_eq!([time(None), time(Some(1_500)), time(Some(2_500_000))], ["", "1.5 us", "2.50 ms"]);
        assert_eq!(share(1, 8), "12.5%");
    }
}

//! What named queries cost at the nodes, and which index would help.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use http::{Response, StatusCode};
use hyper::body::Incoming;
use nearside_host::database::Database;
use nearside_protocol::{
    app::DatabaseSource,
    limits,
    queries::{self as named, Allow, Query},
    query_report::{Advice, Advise, Counted, Parameter, Queries, QueryCounts, QueryShown, Tally, Window},
};
use tokio::sync::Semaphore;

use super::{answered, json, not_running};
use crate::{
    api_error::ApiError,
    body::{self, Body},
    check::{self, Plan},
    gathered::View,
    site::{Released, Site},
    trial::{self, Subject, TrialError},
};

/// One trial at a time, of all apps: it copies a database, and its times would be wrong beside another.
static ONE: Semaphore = Semaphore::const_new(1);

/// A node tells what it has counted.
pub(super) async fn take(site: &Site, body: Incoming) -> Result<Response<Body>, ApiError> {
    let body = body::whole(body, limits::QUERIES_REPORT_BYTES).await?;
    let counted: Counted = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is what a node has counted; {error}")))?;
    site.gathered.take(counted, Instant::now()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let mut taken = answered(super::TEXT, "");
    *taken.status_mut() = StatusCode::NO_CONTENT;
    Ok(taken)
}

pub(super) async fn list(site: &Arc<Site>, query: Option<&str>) -> Result<Response<Body>, ApiError> {
    let (window, node) = asked(query.unwrap_or_default())?;
    Ok(json(&report(site, window, node).await?))
}

pub(crate) async fn report(site: &Arc<Site>, window: Window, node: Option<String>) -> Result<Queries, ApiError> {
    let released = released(site).await?;
    let fingerprint = released.manifest.fingerprint;
    let view = site.gathered.view(&fingerprint, window, node.as_deref(), Instant::now());
    if let Some(node) = node.filter(|_| view.nodes.is_empty()) {
        let known: Vec<String> = site.gathered.nodes().into_iter().collect();
        let known = if known.is_empty() { "none has".to_owned() } else { format!("heard of: {}", known.join(", ")) };
        let why =
            format!("no node `{node}` has told anything of the version of `{}` that is released; {known}", site.name());
        return Err(ApiError::not_found(why));
    }
    let app = site.name().to_owned();
    let shown = tokio::task::spawn_blocking(move || shown(app, &released, window, view)).await;
    shown.map_err(|_| stopping())?
}

/// `?window=version|hour&node=NAME`
fn asked(query: &str) -> Result<(Window, Option<String>), ApiError> {
    let (mut window, mut node) = (Window::default(), None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "window" => {
                window = match &*value {
                    "version" => Window::Version,
                    "hour" => Window::Hour,
                    _ => return Err(ApiError::bad_request(format!("`window` is version or hour, not `{value}`"))),
                }
            }
            "node" => node = Some(value.into_owned()),
            _ => return Err(ApiError::bad_request(format!("unknown parameter `{name}`; there are window, node"))),
        }
    }
    Ok((window, node))
}

/// Plans are made on the release itself, as nodes have it.
fn shown(app: String, released: &Released, window: Window, mut view: View) -> Result<Queries, ApiError> {
    let database = Database::of(released.table.clone()).map_err(fault)?;
    let mut reader = database.reader().map_err(fault)?;
    let mut one = |query: &Query| {
        let (plan, costly) = reader.trusted(|connection| {
            let plan = Plan::of(connection, &query.sql).map(|plan| plan.to_string());
            (plan.unwrap_or_else(|error| format!("{error}\n")), check::costly(connection, query))
        });
        QueryShown {
            name: query.name.clone(),
            line: query.statement_line(),
            sql: query.sql.clone(),
            counts: view.counts.queries.remove(&query.name).unwrap_or_default(),
            before: view.before.remove(&query.name).filter(|tally| tally.runs > 0),
            plan,
            costly,
            samples: view.samples.remove(&query.name).unwrap_or_default(),
        }
    };
    let queries = queries_of(released)?.values().map(&mut one).collect();
    let (release, nodes, work) = (released.manifest.release, view.nodes, view.counts.work);
    Ok(Queries { app, release, window, nodes, work, queries })
}

/// What to find indexes for.
pub(super) async fn wanted(body: Incoming) -> Result<Advise, ApiError> {
    let body = body::whole(body, limits::HEADS_BYTES).await?;
    match body.is_empty() {
        true => Ok(Advise::default()),
        false => serde_json::from_slice(&body).map_err(|error| {
            ApiError::bad_request(format!("the body is {{\"query\": name, \"parameters\": […]}}, or empty; {error}"))
        }),
    }
}

pub(crate) async fn advise(site: &Arc<Site>, wanted: Advise) -> Result<Advice, ApiError> {
    let released = released(site).await?;
    let view = site.gathered.view(&released.manifest.fingerprint, Window::Version, None, Instant::now());
    let (subjects, without_samples) = subjects(site.name(), &released, &view, wanted)?;
    let place = match released.version.archive.app.database {
        DatabaseSource::Mirrored => "snapshot.sql",
        DatabaseSource::Pushed => "what makes the database file that is pushed",
    };

    let one = ONE.acquire().await.map_err(|_| stopping())?;
    let (answer, reply) = tokio::sync::oneshot::channel();
    let (folder, table) = (site.folder().to_owned(), released.table.clone());
    let work = move || {
        // The thread is this trial's alone. Where it is not allowed, it is only less polite.
        let _ = rustix::process::setpriority_process(None, 19);
        let _ = answer.send(trial::run(&folder, &table, &subjects));
        // It goes on though whoever asked goes away, and the next one waits for its end.
        drop(one);
    };
    std::thread::Builder::new().name("nearside-trial".into()).spawn(work).map_err(fault)?;
    let advised = reply.await.unwrap_or(Err(TrialError::Stopping))?;
    for found in &advised {
        let index = found.index.as_ref().map(|index| index.sql.as_str());
        tracing::info!(app = site.name(), query = %found.query, index, "an operator has asked for an index");
    }
    let (app, release) = (site.name().to_owned(), released.manifest.release);
    Ok(Advice { app, release, place: place.to_owned(), advised, without_samples })
}

/// The one that is named, or those that cost most, with what they are tried with; and those that nothing is known to try
/// with.
fn subjects(
    app: &str,
    released: &Released,
    view: &View,
    wanted: Advise,
) -> Result<(Vec<Subject>, Vec<String>), ApiError> {
    let queries = queries_of(released)?;
    let sampled = |query: &Query| -> Option<Vec<Vec<Parameter>>> {
        let samples = view.samples.get(&query.name)?;
        Some(samples.iter().map(|sample| sample.parameters.clone()).collect())
    };
    let subject = |query: &Query, sets: Vec<Vec<Parameter>>| -> Result<Subject, ApiError> {
        let set = |set: &Vec<Parameter>| set.iter().map(trial::value).collect::<Result<Vec<_>, _>>();
        let parameters = sets.iter().map(set).collect::<Result<_, _>>()?;
        Ok(Subject { query: query.name.clone(), sql: query.sql.clone(), parameters })
    };
    match (wanted.query, wanted.parameters) {
        (Some(name), given) => {
            let query = queries.get(&name).ok_or_else(|| unknown(app, &name, queries.keys()))?;
            let sets = match given {
                Some(given) => vec![given],
                None => sampled(query).ok_or_else(|| no_samples(app, &name))?,
            };
            Ok((vec![subject(query, sets)?], Vec::new()))
        }
        (None, Some(_)) => Err(ApiError::bad_request("parameters are of one query: name it")),
        (None, None) => {
            if view.nodes.is_empty() {
                let why = format!(
                    "no node has told yet what queries of `{app}` cost: nodes do within some seconds of a request"
                );
                return Err(ApiError::new(StatusCode::CONFLICT, why));
            }
            let cost = |query: &Query| view.counts.queries.get(&query.name).map(total).unwrap_or_default();
            let reads_much = |query: &&Query| {
                let Tally { runs, pages, .. } = cost(query);
                runs > 0 && pages / runs >= limits::ADVICE_PAGES_LEAST && !query.allows(Allow::Scan)
            };
            let mut worst: Vec<&Query> = queries.values().filter(reads_much).collect();
            worst.sort_by_key(|query| std::cmp::Reverse(cost(query).time_ns));
            worst.truncate(limits::ADVICE_QUERIES);
            let (with, without): (Vec<&Query>, Vec<&Query>) = worst.iter().partition(|query| sampled(query).is_some());
            let subjects = with.iter().map(|query| subject(query, sampled(query).unwrap_or_default()));
            Ok((subjects.collect::<Result<_, _>>()?, without.iter().map(|query| query.name.clone()).collect()))
        }
    }
}

fn total(counts: &QueryCounts) -> Tally {
    let mut all = counts.rendering.clone();
    all.add(&counts.again);
    all
}

fn queries_of(released: &Released) -> Result<BTreeMap<String, Query>, ApiError> {
    let text = released.version.archive.text(named::FILE_NAME).map_err(fault)?;
    named::parse(&text).map_err(fault)
}

async fn released(site: &Arc<Site>) -> Result<Released, ApiError> {
    let of = site.clone();
    let released = tokio::task::spawn_blocking(move || of.released()).await.map_err(|_| stopping())?;
    released.map_err(fault)?.ok_or_else(|| match site.running() {
        Some(_) => ApiError::new(StatusCode::CONFLICT, format!("nothing of `{}` is released yet", site.name())),
        None => not_running(site.name()),
    })
}

fn unknown<'a>(app: &str, name: &str, known: impl Iterator<Item = &'a String>) -> ApiError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("there are {}", known.join(", ")) };
    ApiError::not_found(format!("`{app}` has no query `{name}`; {known}"))
}

fn no_samples(app: &str, name: &str) -> ApiError {
    let why = format!(
        "no parameters of `{name}` are known: it has not run for a page of `{app}` yet, or only for routes that see cookies, \
         headers or addresses, of which none are kept; give them by --parameters"
    );
    ApiError::new(StatusCode::CONFLICT, why)
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the origin is stopping")
}

fn fault(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

impl From<TrialError> for ApiError {
    fn from(error: TrialError) -> ApiError {
        let status = match &error {
            TrialError::Query { .. } | TrialError::Blob(_) => StatusCode::UNPROCESSABLE_ENTITY,
            TrialError::TooLarge { .. } => StatusCode::CONFLICT,
            TrialError::TooLong | TrialError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            TrialError::Io { .. } | TrialError::Pages(_) | TrialError::Database(_) | TrialError::Sqlite(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        ApiError::new(status, error.to_string())
    }
}

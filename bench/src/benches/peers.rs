//! One component that knows nothing of Nearside, as its compiler left it, served by a node and by the runtimes of others; a
//! worker of workerd that makes the same page; and raw hyper sending it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::hit::is_hit;
use super::stage::{Stage, programs};
use crate::args::Run;
use crate::connection::fetch;
use crate::contender::{Answers, Case};
use crate::request::Request;
use crate::runtime::serve::{self, Serves};
use crate::runtime::{spin, workerd};

const NAME: &str = "page";
const HOST: &str = "page.localhost";
const CASE: &str = "page";
const NO_CACHE: Option<u32> = Some(0);

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage = Stage::new(
        "A page of 8 KiB made for each request by one component, built with Rust's standard library for wasi:http and by \
         nobody's SDK, in the runtimes that serve such components.",
    )?;
    let component = component()?;
    let app = app(&args.root, &component, stage.scratch())?;
    stage.start_app_keeping(&app, NAME, NO_CACHE).await?;
    let fresh = Request::get(HOST, "/", &[]);
    let page = fetch(stage.cluster()?.address, &fresh).await?;
    fresh.verify(&page)?;
    let status = page.header("cache-status").unwrap_or_default();
    ensure!(!is_hit(status), "the node answers from its cache although it is off: Cache-Status is {status:?}");

    let mut contenders =
        vec![stage.nearside("a node with its cache off: a fresh instance for each request", vec![fresh.clone()])?];
    for (name, started) in [
        ("serve", serve::start(Serves::Default, &component, stage.scratch()).await),
        ("serve tuned", serve::start(Serves::Tuned, &component, stage.scratch()).await),
        ("spin", spin::start(&component, stage.scratch()).await),
        ("workerd", workerd::start(&args.root.join("bench/peers/page.mjs"), stage.scratch()).await),
    ] {
        contenders.extend(stage.runtime(CASE, name, started, std::slice::from_ref(&fresh))?);
    }
    let mut reused =
        stage.nearside("the node by a route that reuses its instances", vec![Request::get(HOST, "/again", &[])])?;
    reused.name = "reused";
    contenders.push(reused);
    let reusing = serve::start(Serves::Reusing, &component, stage.scratch()).await;
    contenders.extend(stage.runtime(CASE, "serve reusing", reusing, std::slice::from_ref(&fresh))?);
    contenders.push(stage.serve_raw("hyper", "the same bytes, which are there already", vec![fresh], &page).await?);
    stage.cases.push(Case {
        name: CASE,
        about: "GET of one page, nothing cached.".to_owned(),
        limit: "hyper",
        answers: Answers::Same,
        contenders,
    });
    Ok(stage)
}

/// What `scripts/bench` has built.
fn component() -> Result<PathBuf> {
    let path = programs()?.join("../peers/wasm32-wasip2/release/nearside_bench_component.wasm");
    path.canonicalize().with_context(|| format!("{} is not there: scripts/bench builds it", path.display()))
}

/// A folder that can be pushed.
fn app(root: &Path, component: &Path, scratch: &Path) -> Result<PathBuf> {
    let app = scratch.join("app");
    fs::create_dir_all(&app).context("making an app's folder")?;
    fs::copy(root.join("bench/peers/nearside.toml"), app.join("nearside.toml")).context("copying the manifest")?;
    fs::copy(component, app.join("component.wasm")).context("copying the component")?;
    Ok(app)
}

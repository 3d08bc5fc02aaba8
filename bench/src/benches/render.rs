//! A page that is not cached: every request renders. Beside it the same statements and page rendered natively, and raw
//! hyper sending a page of the usual size.

use anyhow::{Context, Result, ensure};

use super::hit::is_hit;
use super::search::native;
use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::catalogue;
use crate::connection::fetch;
use crate::contender::{Answers, Case};
use crate::limits::RENDER_PAGES;
use crate::request::{Request, percent_encode};
use crate::response::Response;

/// How many pages are looked at to find one of the usual size.
const PAGES_LOOKED_AT: usize = 101;

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage = Stage::new("Package pages rendered for each request, beside native rendering and raw hyper.")?;
    let catalogue = stage.start_nearside(args, Some(0)).await?;
    let names = catalogue::names(&catalogue, RENDER_PAGES)?;
    let release = stage.release_file().await?;
    let arguments = native("serve-package", &release, &args.root);
    let about_nearside = "a node with its cache off: a fresh instance for each request";
    let about_native = "hyper and rusqlite: the same statements on the same release, rendered in the same process";

    let pages = requests(&names, "text/html");
    let usual = usual_page(&stage, &pages).await?;
    let nearside = stage.nearside(about_nearside, pages.clone())?;
    let native = stage.serve("native", about_native, pages.clone(), &arguments).await?;
    let hyper = stage.serve_raw("hyper", "one page of the usual size, fixed", pages, &usual).await?;
    stage.cases.push(Case {
        name: "html",
        about: format!("GET of {} different package pages in turn, nothing cached.", names.len()),
        limit: "native",
        answers: Answers::Differ {
            why: "hyper sends one page to everyone, and native renders markup of its own from the same rows."
                .to_owned(),
        },
        contenders: vec![nearside, native, hyper],
    });

    let documents = requests(&names, "application/json");
    let nearside = stage.nearside(about_nearside, documents.clone())?;
    let native = stage.serve("native", about_native, documents, &arguments).await?;
    stage.cases.push(Case {
        name: "json",
        about: "The same packages as JSON.".to_owned(),
        limit: "native",
        answers: Answers::Same,
        contenders: vec![nearside, native],
    });
    Ok(stage)
}

fn requests(names: &[String], accept: &str) -> Vec<Request> {
    let target = |name: &String| format!("/package/{}", percent_encode(name));
    names.iter().map(|name| Request::get(HOST, &target(name), &[("Accept", accept)])).collect()
}

/// A page of median size among the first; also makes sure that nothing is cached.
async fn usual_page(stage: &Stage, requests: &[Request]) -> Result<Response> {
    let address = stage.cluster()?.address;
    let mut pages = Vec::new();
    for request in requests.iter().take(PAGES_LOOKED_AT) {
        let response = fetch(address, request).await?;
        request.verify(&response)?;
        pages.push(response);
    }
    let again = fetch(address, &requests[0]).await?;
    let status = again.header("cache-status").unwrap_or_default();
    ensure!(!is_hit(status), "the node answers from its cache although it is off: Cache-Status is {status:?}");
    pages.sort_by_key(|page| page.body_bytes);
    let middle = pages.len() / 2;
    pages.into_iter().nth(middle).context("BUG: no page looked at")
}

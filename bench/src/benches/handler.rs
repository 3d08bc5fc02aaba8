//! A page that needs no data, so that what is measured is a fresh instance and the way there and back. Beside it the same
//! handler on a route that reuses its instances, and raw hyper sending the same bytes.

use anyhow::{Result, ensure};

use super::hit::is_hit;
use super::stage::Stage;
use crate::args::Run;
use crate::connection::fetch;
use crate::contender::{Answers, Case};
use crate::request::Request;

const APP: &str = "modules/probe";
const NAME: &str = "probe";
const HOST: &str = "probe.localhost";
const NO_CACHE: Option<u32> = Some(0);

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage = Stage::new("A page of 8 KiB that needs no data, made for each request.")?;
    stage.start_app_keeping(&args.root.join(APP), NAME, NO_CACHE).await?;
    let fresh = vec![Request::get(HOST, "/plain", &[])];
    let again = vec![Request::get(HOST, "/plain-again", &[])];
    let page = fetch(stage.cluster()?.address, &fresh[0]).await?;
    fresh[0].verify(&page)?;
    let status = page.header("cache-status").unwrap_or_default();
    ensure!(!is_hit(status), "the node answers from its cache although it is off: Cache-Status is {status:?}");

    let nearside = stage.nearside("a node with its cache off: a fresh instance for each request", fresh.clone())?;
    let mut reused = stage.nearside("the same, by a route that reuses its instances", again)?;
    reused.name = "reused";
    let hyper = stage.serve_raw("hyper", "the same bytes, which are there already", fresh, &page).await?;
    stage.cases.push(Case {
        name: "plain",
        about: "GET of one page, nothing cached.".to_owned(),
        limit: "hyper",
        answers: Answers::Same,
        contenders: vec![nearside, reused, hyper],
    });
    Ok(stage)
}

//! A cached page. The limit is raw hyper sending the very same bytes and headers: what the cache adds is all that
//! differs.

use anyhow::{Context, Result, ensure};

use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::catalogue;
use crate::connection::fetch;
use crate::contender::{Answers, Case};
use crate::request::{Request, percent_encode};
use crate::response::Response;

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage = Stage::new("A package page from a node's cache, beside raw hyper sending the same bytes.")?;
    let catalogue = stage.start_nearside(args, None).await?;
    let names = catalogue::names(&catalogue, 1)?;
    let target = format!("/package/{}", percent_encode(&names[0]));
    let accept = ("Accept", "text/html");

    let page = Request::get(HOST, &target, &[accept]);
    let response = cached(&stage, &page).await?;
    let tag = response.header("etag").context("the page has no ETag")?.to_owned();
    let nearside = stage.nearside("a node answering from its cache", vec![page.clone()])?;
    let hyper = stage.serve_raw("hyper", "the same bytes and headers, fixed", vec![page], &response).await?;
    stage.cases.push(Case {
        name: "page",
        about: format!("GET of one package page of {} bytes, again and again.", response.body_bytes),
        limit: "hyper",
        answers: Answers::Same,
        contenders: vec![nearside, hyper],
    });

    let revalidation = Request::get(HOST, &target, &[accept, ("If-None-Match", &tag)]).expecting(304);
    let nearside = stage.nearside("a node that knows the page has not changed", vec![revalidation.clone()])?;
    let about = "the same headers, fixed; it compares the tag";
    let hyper = stage.serve_raw("hyper", about, vec![revalidation], &response).await?;
    stage.cases.push(Case {
        name: "not modified",
        about: "The same page, asked for with the ETag it has.".to_owned(),
        limit: "hyper",
        answers: Answers::Same,
        contenders: vec![nearside, hyper],
    });
    Ok(stage)
}

/// The second answer, which must say that it is a hit.
async fn cached(stage: &Stage, page: &Request) -> Result<Response> {
    let address = stage.cluster()?.address;
    let first = fetch(address, page).await?;
    page.verify(&first)?;
    let second = fetch(address, page).await?;
    page.verify(&second)?;
    let status = second.header("cache-status").unwrap_or_default();
    ensure!(is_hit(status), "GET {} a second time is no hit: its Cache-Status is {status:?}", page.target);
    Ok(second)
}

/// RFC 9211: the parameter `hit` of a list member.
pub(super) fn is_hit(cache_status: &str) -> bool {
    cache_status.split([';', ',']).any(|parameter| parameter.trim() == "hit")
}

#[cfg(test)]
mod tests {
    use super::is_hit;

    #[test]
    fn a_hit_says_so() {
        assert!(is_hit("a; hit"));
        assert!(is_hit("a;hit;ttl=3"));
        assert!(!is_hit("a; fwd=miss; stored"));
        assert!(!is_hit("hit-server; fwd=miss"));
        assert!(!is_hit(""));
    }
}

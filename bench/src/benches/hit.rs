//! A cached page. The limit is raw hyper sending the very same bytes and headers: what the cache adds is all that
//! differs. Beside it the caches that others put in front of their sites.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::catalogue;
use crate::connection::fetch;
use crate::contender::{Answers, Case, Contender};
use crate::limits::{ENCODED_TIMEOUT, HIT_PAGE_BYTES, HIT_PAGES_LOOKED_AT};
use crate::nearside::POLL;
use crate::request::{Request, Requests, percent_encode};
use crate::response::Response;

const ACCEPT: (&str, &str) = ("Accept", "text/html");
const CONTENDERS: [&str; 4] = ["nearside", "nginx", "varnish", "hyper"];

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage = Stage::new(
        "A package page from a node's cache, beside raw hyper, nginx and Varnish sending the same bytes: the two caches \
         have it from raw hyper, with the headers a node sends.",
    )?;
    let catalogue = stage.start_nearside(args, None).await?;
    let target = eight_kib(&stage, &catalogue::names(&catalogue, HIT_PAGES_LOOKED_AT)?).await?;

    let page = Request::get(HOST, &target, &[ACCEPT]);
    let response = cached(&stage, &page).await?;
    let tag = response.header("etag").context("the page has no ETag")?.to_owned();
    let about = format!("GET of one package page of {} bytes, again and again.", response.body_bytes);
    let limit = "the same bytes and headers, fixed";
    let hyper = stage.serve_raw("hyper", limit, vec![page.clone()], &response).await?;
    let upstream = hyper.address;
    let page = [page];
    let [nginx, varnish] = stage.serve_cached("page", upstream, &page).await?;
    let nearside = stage.nearside("a node answering from its cache", page.to_vec())?;
    add(&mut stage, "page", about, [nearside, nginx, varnish, hyper]);

    // The same processes, asked otherwise.
    let revalidation = [Request::get(HOST, &target, &[ACCEPT, ("If-None-Match", &tag)]).expecting(304)];
    let contenders: Vec<Contender> =
        stage.cases[0].contenders.iter().map(|of| asked(of, &revalidation)).collect::<Result<_>>()?;
    let contenders = contenders.try_into().ok().context("BUG: a case of four")?;
    add(&mut stage, "not modified", "The same page, asked for with the ETag it has.".to_owned(), contenders);

    let page = Request::get(HOST, &target, &[ACCEPT, ("Accept-Encoding", "br")]);
    let about = "The same page for a client that takes brotli.";
    let response = in_brotli(&stage, &page).await?;
    if response.header("content-encoding") != Some("br") {
        let why = "the node answers a client that takes brotli with the page as it stands";
        stage.skip("brotli", about, &CONTENDERS, why);
        return Ok(stage);
    }
    let about = format!("{about} {} bytes.", response.body_bytes);
    let hyper = stage.serve_raw("hyper", limit, vec![page.clone()], &response).await?;
    let upstream = hyper.address;
    let page = [page];
    let [nginx, varnish] = stage.serve_cached("brotli", upstream, &page).await?;
    let nearside = stage.nearside("a node answering from its cache", page.to_vec())?;
    add(&mut stage, "brotli", about, [nearside, nginx, varnish, hyper]);
    Ok(stage)
}

fn add(stage: &mut Stage, name: &'static str, about: String, contenders: [Contender; 4]) {
    let contenders = contenders.into();
    stage.cases.push(Case { name, about, limit: "hyper", answers: Answers::Same, contenders });
}

fn asked(contender: &Contender, requests: &[Request]) -> Result<Contender> {
    let requests = Arc::new(Requests::new(requests.to_vec())?);
    Ok(Contender { requests, about: contender.about.clone(), ..*contender })
}

/// The package page whose size is nearest to 8 KiB.
async fn eight_kib(stage: &Stage, names: &[String]) -> Result<String> {
    let address = stage.cluster()?.address;
    let mut nearest = None;
    for name in names {
        let target = format!("/package/{}", percent_encode(name));
        let page = Request::get(HOST, &target, &[ACCEPT]);
        let response = fetch(address, &page).await?;
        page.verify(&response)?;
        let off = response.body_bytes.abs_diff(HIT_PAGE_BYTES);
        if nearest.as_ref().is_none_or(|(least, _)| off < *least) {
            nearest = Some((off, target));
        }
    }
    nearest.map(|(_, target)| target).context("the catalogue has no packages")
}

/// The page in brotli, or as it stands if it stays that way: a node may encode it in the background.
async fn in_brotli(stage: &Stage, page: &Request) -> Result<Response> {
    let deadline = Instant::now() + ENCODED_TIMEOUT;
    loop {
        let response = cached(stage, page).await?;
        if response.header("content-encoding") == Some("br") || Instant::now() > deadline {
            return Ok(response);
        }
        tokio::time::sleep(POLL).await;
    }
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

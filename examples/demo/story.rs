//! The story, driven: each step with its time, and the first thing that is not as promised ends it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::{
    http::Answer,
    site::{Node, Ports, Site},
};

/// A review posted at one node is at every other within this.
const EVERYWHERE: Duration = Duration::from_secs(2);
const WEBHOOK: Duration = Duration::from_secs(5);
/// Deferred writes are delivered within this, once their origin is back: nodes ask again after some seconds at most.
const DELIVERED: Duration = Duration::from_secs(15);
/// Posted at A, shown at A to its author: the pause a person does not take for one.
const AT_ONCE: Duration = Duration::from_millis(500);

pub fn check(catalogue: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut site = step("an origin and two nodes start, with the catalogue", || Site::start(catalogue, Ports::Free))?;
    let package = step("search at a finds packages", || {
        let found = ok(site.a.get("/search?q=editor", &[("Accept", "application/json")])?, "search")?;
        first_name(&found.text()).context("search found nothing")
    })?;
    for (name, node) in [("a", &site.a), ("b", &site.b)] {
        browse(name, node, &package)?;
    }
    review(&site, &package)?;
    without_origin(&mut site, &package)?;
    step("everything stops", || site.stop())?;
    println!("  the whole story in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn browse(name: &str, node: &Node, package: &str) -> anyhow::Result<()> {
    let home = step(&format!("home at {name}"), || ok(node.get("/", &[])?, "home"))?;
    let home = home.text();
    let section = between(&home, "href=\"/section/", "\"").context("home links to no section")?;
    let pages = [
        ("a section", format!("/section/{section}")),
        ("a package", format!("/package/{package}")),
        ("a search", "/search?q=image+view*".to_owned()),
    ];
    for (what, path) in pages {
        step(&format!("{what} at {name}"), || ok(node.get(&path, &[])?, what))?;
        let again = step(&format!("{what} at {name}, again"), || ok(node.get(&path, &[])?, what))?;
        ensure!(again.cache() == "nearside; hit", "{path} was not answered from the cache: {}", again.cache());
        let etag = again.header("etag").to_owned();
        let unchanged = node.get(&path, &[("If-None-Match", &etag)])?;
        ensure!(unchanged.status == 304, "{path} with its own ETag answered {}", unchanged.status);
    }
    Ok(())
}

fn review(site: &Site, package: &str) -> anyhow::Result<()> {
    let words = format!("Found it in time for tea, {}", std::process::id());
    let form = format!("author=Ada&rating=5&body={}", words.replace(' ', "+").replace(',', "%2C"));
    let page = format!("/package/{package}");
    let posted = Instant::now();
    let answer = step("a review is posted at a", || {
        let answer = site.a.post(&format!("{page}/reviews"), &[], &form)?;
        ensure!(answer.status == 303, "the post answered {}: {}", answer.status, answer.text());
        Ok(answer)
    })?;
    let receipt = answer.header("nearside-receipt").to_owned();
    ensure!(!receipt.is_empty(), "the write has no receipt");

    let cookie = format!("nearside-receipt={receipt}");
    step("its author sees it at a", || {
        let own = Instant::now();
        let mine = ok(site.a.get(&page, &[("Cookie", &cookie)])?, "the package's page")?;
        ensure!(mine.text().contains(&words), "the page does not show it; cache-status: {}", mine.cache());
        ensure!(own.elapsed() < AT_ONCE, "it took {} ms", own.elapsed().as_millis());
        Ok(())
    })?;
    step("everyone sees it at b", || {
        while !site.b.get(&page, &[])?.text().contains(&words) {
            ensure!(posted.elapsed() < EVERYWHERE, "not within {} s", EVERYWHERE.as_secs());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    })?;
    println!("  {:>8.1} ms  from the post to the page at b", posted.elapsed().as_secs_f64() * 1e3);
    step("the webhook task is delivered, signed", || {
        site.sink.wait_for(package, WEBHOOK).map(|_| ()).with_context(|| format!("not within {} s", WEBHOOK.as_secs()))
    })?;
    let wrong = site.a.post(&format!("{page}/reviews"), &[], "author=Ada&rating=9&body=x")?;
    ensure!(wrong.status == 422, "a rating of 9 answered {}", wrong.status);
    Ok(())
}

fn without_origin(site: &mut Site, package: &str) -> anyhow::Result<()> {
    step("the origin is killed with -9", || site.origin.kill())?;
    for (name, node) in [("a", &site.a), ("b", &site.b)] {
        step(&format!("{name} still answers"), || {
            ok(node.get(&format!("/package/{package}"), &[])?, "a package")?;
            ok(node.get("/search?q=never+asked+before", &[])?, "a search")
        })?;
    }
    let ticket = step("a review is saved all the same", || {
        let form = "author=Ada&rating=5&body=Written+in+the+dark";
        let answer = site.a.post(&format!("/package/{package}/reviews"), &[("Accept", "application/json")], form)?;
        ensure!(answer.status == 202, "it answered {}: {}", answer.status, answer.text());
        ensure!(!answer.header("retry-after").is_empty(), "without Retry-After");
        Ok(answer.header("location").to_owned())
    })?;
    step("the origin starts again, and gets it", || {
        site.start_origin_again()?;
        until(DELIVERED, "the review to be applied", || {
            let answer = ok(site.a.get(&ticket, &[("Accept", "application/json")])?, "what became of it")?;
            Ok(answer.text().contains("\"applied\"").then_some(()))
        })
    })?;
    step("it is shown at b", || {
        until(EVERYWHERE, "the review at b", || {
            let page = ok(site.b.get(&format!("/package/{package}"), &[])?, "a package")?;
            Ok(page.text().contains("Written in the dark").then_some(()))
        })
    })
}

/// Asks until there is something, or it has taken too long.
fn until(within: Duration, what: &str, mut look: impl FnMut() -> anyhow::Result<Option<()>>) -> anyhow::Result<()> {
    let started = Instant::now();
    while look()?.is_none() {
        ensure!(started.elapsed() < within, "waited {} s for {what}", within.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn step<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let started = Instant::now();
    let result = work().with_context(|| what.to_owned())?;
    println!("  {:>8.1} ms  {what}", started.elapsed().as_secs_f64() * 1e3);
    Ok(result)
}

fn ok(answer: Answer, what: &str) -> anyhow::Result<Answer> {
    ensure!(answer.status == 200, "{what} answered {}: {}", answer.status, answer.text());
    Ok(answer)
}

/// The first package's name in a JSON answer to a search.
fn first_name(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let lists = value.as_object()?.values().filter_map(|field| field.as_array());
    let mut names = lists.filter_map(|list| list.first()?.get("name")?.as_str());
    names.next().map(str::to_owned)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let length = text[start..].find(after)?;
    Some(&text[start..start + length])
}

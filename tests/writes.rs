//! Writes while processes die: what was acknowledged - applied, or saved for later - is there once, in its order.
//!
//! `NEARSIDE_KILLS` says how often each is killed; a few times when it is not set. Their clocks jump, too, by up to sixty days
//! either way, where `NEARSIDE_FAKETIME` names libfaketime's library.

mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use support::{
    Site, eventually,
    http::{self, Answer},
    module, packages, process,
};

const KILLS_UNASKED: usize = 3;
const CLIENTS: usize = 16;

fn kills() -> usize {
    std::env::var("NEARSIDE_KILLS")
        .ok()
        .map_or(KILLS_UNASKED, |count| count.parse().expect("NEARSIDE_KILLS is a number"))
}

fn site(nodes: &[&str]) -> Site {
    let site = Site::start(&[&module("packages")], nodes);
    let catalogue = packages::catalogue(site.folder.path(), &["saw"]);
    let release = site.origin.push_data(&catalogue, "packages").release();
    site.nodes.iter().for_each(|node| node.wait_for(release, "packages"));
    site
}

fn post(node: SocketAddr, author: &str, body: &str, headers: &[(&str, &str)]) -> std::io::Result<Answer> {
    let form = format!("author={author}&rating=5&body={body}");
    let form_type = ("Content-Type", "application/x-www-form-urlencoded");
    let headers = [&[form_type], headers].concat();
    http::request(node, packages::SITE, "POST", "/package/saw/reviews", &headers, &form)
}

/// Bodies of the reviews in the write store, by author, in the order in which they were applied.
fn reviews(site: &Site) -> BTreeMap<String, Vec<String>> {
    let store = rusqlite::Connection::open(site.origin.data().join("apps/packages/store.db")).unwrap();
    let mut statement = store.prepare("SELECT author, body FROM review ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (author, body) in rows.map(Result::<(String, String), _>::unwrap) {
        all.entry(author).or_default().push(body);
    }
    all
}

/// However much waits: the origin gets it as fast as it applies it.
fn drained(site: &Site) {
    let waiting = || site.nodes[0].status()["outbox"]["waiting_writes"].as_u64().unwrap();
    let mut before = waiting();
    while before > 0 {
        before = eventually("the outbox gets emptier", || Some(waiting()).filter(|now| *now < before));
    }
}

#[test]
fn a_write_is_saved_while_the_origin_is_away_and_applied_once_when_it_is_back() {
    let mut site = site(&["a"]);
    let a = site.nodes[0].address;
    site.origin.process.kill();

    let keyed = [("Idempotency-Key", "one"), ("Accept", "application/json")];
    let saved = post(a, "Ada", "first", &keyed).unwrap();
    assert_eq!(saved.status, 202, "{saved:?}");
    let location = saved.header("location").to_owned();
    assert!(location.starts_with("/_write/") && saved.header("retry-after") == "5", "{saved:?}");
    assert_eq!(saved.header("nearside-receipt"), "", "nothing is applied yet");
    let told: Value = serde_json::from_slice(&saved.body).unwrap();
    assert_eq!((told["state"].as_str(), told["status"].as_str()), (Some("waiting"), Some(&*location)));
    assert_eq!(post(a, "Ada", "first", &keyed).unwrap().header("location"), location, "sent again: the same one");
    assert_eq!(post(a, "Ada", "other", &keyed).unwrap().status, 422, "the key stands for something else");
    let person = post(a, "Ada", "second", &[("Accept", "text/html")]).unwrap();
    assert!(person.status == 202 && person.text().contains("will appear soon"), "{person:?}");
    let second = person.header("location").to_owned();
    // For a package nobody knows: only the origin can say so.
    let refused = http::request(
        a,
        packages::SITE,
        "POST",
        "/package/nonesuch/reviews",
        &[("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded")],
        "author=Ada&rating=5&body=x",
    );
    let refused = refused.unwrap().header("location").to_owned();

    let state = |node: SocketAddr, path: &str| -> Value {
        let answer = http::request(node, packages::SITE, "GET", path, &[("Accept", "application/json")], "").unwrap();
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    };
    assert_eq!(state(a, &location)["state"], "waiting");
    let unknown = http::request(a, packages::SITE, "GET", "/_write/0123", &[], "").unwrap();
    assert_eq!(unknown.status, 404);
    let listed = process::run(&["outbox", "list", "--node", &format!("http://{}", site.nodes[0].admin)]);
    listed.went_well();
    assert!(listed.out.contains("3 waiting, 0 settled"), "{}", listed.out);
    assert_eq!(site.nodes[0].status()["outbox"]["waiting_writes"], 3);

    // What was acknowledged outlives its node.
    site.nodes[0].process.kill();
    site.nodes[0].start_again(Some(&site.origin));
    let a = site.nodes[0].address;
    assert_eq!(state(a, &location)["state"], "waiting");
    site.origin.start_again("");
    process::run(&["outbox", "retry", "--node", &format!("http://{}", site.nodes[0].admin)]).went_well();
    eventually("the last one is settled", || (state(a, &refused)["state"] != "waiting").then_some(()));
    assert_eq!(state(a, &refused)["state"], "rejected");
    assert_eq!(state(a, &refused)["message"], "There is no package called nonesuch.");
    let applied = state(a, &location);
    assert_eq!(applied["state"], "applied", "{applied}");
    assert!(applied["reply"]["review_id"].is_i64() && applied["receipt"].is_string(), "{applied}");
    assert_eq!(reviews(&site)["Ada"], ["first", "second"]);
    // Whoever asks what became of it sees it from then on.
    let seen = http::request(a, packages::SITE, "GET", &second, &[("Accept", "text/html")], "").unwrap();
    assert!(seen.text().contains("taken in") && !seen.header("nearside-receipt").is_empty(), "{seen:?}");
    let cookie = format!("nearside-receipt={}", seen.header("nearside-receipt"));
    let page = http::request(a, packages::SITE, "GET", "/package/saw", &[("Cookie", &cookie)], "").unwrap();
    assert!(page.text().contains("second"), "{page:?}");
    // The key is the origin's to know, too.
    assert_eq!(post(a, "Ada", "first", &keyed).unwrap().status, 303);
    assert_eq!(reviews(&site)["Ada"], ["first", "second"]);
}

#[test]
fn who_would_rather_not_wait_is_told_where_to_look() {
    let site = site(&["a"]);
    let a = site.nodes[0].address;
    let saved =
        post(a, "Ada", "later", &[("Prefer", "respond-async, wait=10"), ("Accept", "application/json")]).unwrap();
    assert_eq!(saved.status, 202, "{saved:?}");
    eventually("it is applied", || (reviews(&site).get("Ada")?.as_slice() == ["later"]).then_some(()));
}

#[test]
fn no_acknowledged_write_is_lost_or_done_twice_whoever_dies() {
    let mut site = site(&["a"]);
    let address = Arc::new(Mutex::new(site.nodes[0].address));
    let done = Arc::new(AtomicBool::new(false));
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (address, done, counts) = (address.clone(), done.clone(), counts.clone());
            std::thread::spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    let (author, body) = (format!("client{client}"), format!("{number}"));
                    let key = format!("{author}-{body}");
                    // As a client does it that wants it done once: the same again until it is acknowledged.
                    let acknowledged = loop {
                        let node = *address.lock().unwrap();
                        match post(node, &author, &body, &[("Idempotency-Key", &key), ("Accept", "application/json")]) {
                            Ok(answer) if matches!(answer.status, 202 | 303) => break answer.status,
                            // Cut off in the middle: nothing is known.
                            Ok(answer) => assert!(matches!(answer.status, 0 | 503), "{answer:?}"),
                            Err(_) => {}
                        }
                        std::thread::sleep(Duration::from_millis(10));
                    };
                    counts[usize::from(acknowledged == 202)].fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
                number
            })
        })
        .collect();

    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut moment = |most_ms: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(seed % most_ms));
    };
    let mut jumps = 0;
    for turn in 0..kills() {
        // Some while they work, some while they are down.
        let hours = [1_440, -1_440, 0, 73, -5][turn % 5];
        jumps += usize::from(site.origin.process.set_clock(hours));
        moment(300);
        site.origin.process.kill();
        moment(300);
        jumps += usize::from(site.nodes[0].process.set_clock(-hours));
        site.nodes[0].process.kill();
        site.nodes[0].start_again(Some(&site.origin));
        *address.lock().unwrap() = site.nodes[0].address;
        moment(200);
        site.origin.start_again("");
        moment(400);
        if kills() > 1 {
            // Also while the origin is there, and deliveries are under way.
            site.nodes[0].process.kill();
            site.nodes[0].start_again(Some(&site.origin));
            *address.lock().unwrap() = site.nodes[0].address;
        }
    }
    done.store(true, Ordering::Relaxed);
    let numbers: Vec<usize> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    drained(&site);
    let reviews = reviews(&site);
    for (client, written) in numbers.iter().enumerate() {
        let expected: Vec<String> = (0..*written).map(|number| number.to_string()).collect();
        assert_eq!(reviews.get(&format!("client{client}")).cloned().unwrap_or_default(), expected, "client {client}");
    }
    let [applied, saved] = [&counts[0], &counts[1]].map(|count| count.load(Ordering::Relaxed));
    assert!(applied > 0 && saved > 0, "{applied} applied, {saved} saved: the kills met too little");
    println!(
        "{} kills of the origin, {} of the node, {jumps} jumps of their clocks: {applied} writes acknowledged as applied and {saved} as saved, each there once and in order",
        kills(),
        2 * kills()
    );
}

//! A write that was sent and not answered, of a command that may not wait: whoever wrote it is told where it will be told
//! what became of it, and that is told in the end: applied, once, or not taken, for good.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::Value;
use support::{
    Node, Origin, desk, eventually,
    http::{self, Answer},
    mirror::{Fate, Mirror},
    process,
};

/// A desk at a node whose origin is behind somebody who loses things.
struct Lossy {
    origin: Origin,
    mirror: Mirror,
    node: Node,
    folder: tempfile::TempDir,
}

impl Lossy {
    fn start() -> Lossy {
        let folder = tempfile::tempdir().unwrap();
        let app = desk::app(&folder.path().join("app"));
        let origin = Origin::start(folder.path(), "");
        origin.push(app.path()).went_well();
        let mirror = Mirror::of(origin.address);
        let node = at(folder.path(), &mirror, &origin);
        node.wait_for_apps(1);
        Lossy { origin, mirror, node, folder }
    }

    /// A bump whose request meets `fate`, and every question after it too, until the mirror is told otherwise.
    fn bump(&self, key: &str, accept: &str, mut fate: impl FnMut(bool) -> Fate + Send + 'static) -> Answer {
        self.mirror.chooses(move |path| match path {
            "/v1/apps/desk/commands/bump" => fate(true),
            "/v1/apps/desk/unsure" => fate(false),
            _ => Fate::Passes,
        });
        desk::write(self.node.address, "bump", "{}", &[("Idempotency-Key", key), ("Accept", accept)]).unwrap()
    }

    /// It is killed, and starts again on what its disk has. Its clock moved meanwhile, if it says so.
    fn node_again(&mut self, later_s: u64) {
        self.node.process.kill();
        let outbox = rusqlite::Connection::open(self.node.data().join("outbox.db")).unwrap();
        outbox.execute("UPDATE unsure SET accepted_at_ms = accepted_at_ms - ?1", [later_s * 1_000]).unwrap();
        drop(outbox);
        self.node = at(self.folder.path(), &self.mirror, &self.origin);
        self.node.wait_for_apps(1);
    }

    fn look(&self, path: &str, accept: &str) -> Answer {
        let answer = http::request(self.node.address, desk::SITE, "GET", path, &[("Accept", accept)], "").unwrap();
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
        answer
    }

    fn state(&self, path: &str) -> Value {
        serde_json::from_slice(&self.look(path, "application/json").body).unwrap()
    }

    fn known(&self, path: &str) -> Value {
        eventually("it is found out", || Some(self.state(path)).filter(|state| state["state"] != "unsure"))
    }

    fn unsure(&self) -> u64 {
        self.node.status()["outbox"]["unsure_writes"].as_u64().unwrap()
    }
}

fn at(folder: &std::path::Path, mirror: &Mirror, origin: &Origin) -> Node {
    Node::start_at(folder, "a", &format!("http://{}", mirror.address), &origin.token_file())
}

/// 202, and where it is told; nothing that says it is saved.
fn unsure(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header("retry-after")), (202, "5"), "{answer:?}");
    let location = answer.header("location").to_owned();
    assert!(location.starts_with("/_write/"), "{answer:?}");
    assert_eq!(answer.header("link"), format!("<{location}>; rel=\"monitor\""));
    assert_eq!(answer.header("nearside-receipt"), "");
    match answer.header("content-type") {
        "application/json" => {
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(told, serde_json::json!({ "state": "unsure", "status": location }));
        }
        _ => {
            let page = answer.text();
            assert!(page.contains("We do not know yet") && page.contains(&format!("url={location}")), "{page}");
            assert!(!page.contains("aved"), "{page}");
        }
    }
    location
}

#[test]
fn an_answer_that_was_lost_is_found_though_the_node_dies() {
    let mut lossy = Lossy::start();
    // It is done, and nobody hears of it; nor of what is asked afterwards.
    let path = unsure(&lossy.bump("lost-answer", "text/html", |first| match first {
        true => Fate::AnswerIsLost,
        false => Fate::IsLost,
    }));
    eventually("it is applied", || (desk::numbers(&lossy.origin) == (1, 1)).then_some(()));
    assert_eq!(lossy.state(&path)["state"], "unsure");
    assert!(lossy.look(&path, "text/html").text().contains("http-equiv=refresh"));
    assert_eq!(lossy.unsure(), 1);
    let listed = process::run(&["outbox", "list", "--node", &format!("http://{}", lossy.node.admin)]);
    listed.went_well();
    assert!(listed.out.contains("unsure: sent and not answered") && listed.out.contains("1 waiting"), "{listed:?}");

    lossy.node_again(0);
    assert_eq!(lossy.state(&path)["state"], "unsure");
    lossy.mirror.passes_everything();
    let known = lossy.known(&path);
    assert_eq!((known["state"].as_str(), known["reply"]["n"].as_i64()), (Some("applied"), Some(1)), "{known}");
    let seen = lossy.look(&path, "text/html");
    assert!(seen.text().contains("taken in") && !seen.header("nearside-receipt").is_empty(), "{seen:?}");
    assert_eq!((desk::numbers(&lossy.origin), lossy.unsure()), ((1, 1), 0));
    // The key is the origin's to know, for whoever sends it again.
    let again = desk::write(lossy.node.address, "bump", "{}", &[("Idempotency-Key", "lost-answer")]).unwrap();
    assert_eq!((again.status, again.text().as_str()), (200, "{\"n\":1}"), "{again:?}");
}

#[test]
fn a_request_that_was_lost_is_applied_once_however_late_it_comes_after_all() {
    let lossy = Lossy::start();
    let now = Arc::new(AtomicBool::new(false));
    let held = now.clone();
    let path = unsure(&lossy.bump("late", "application/json", move |first| match first {
        true => Fate::IsLate(held.clone()),
        false => Fate::Passes,
    }));
    let known = lossy.known(&path);
    assert_eq!((known["state"].as_str(), known["reply"]["n"].as_i64()), (Some("applied"), Some(1)), "{known}");
    // Now the first one arrives as well.
    now.store(true, Ordering::Release);
    arrived_late(&lossy, &now, "late", "applied");
    assert_eq!(desk::numbers(&lossy.origin), (1, 1));
}

#[test]
fn what_nobody_counts_on_any_more_is_not_taken_for_good() {
    let mut lossy = Lossy::start();
    let now = Arc::new(AtomicBool::new(false));
    let held = now.clone();
    let path = unsure(&lossy.bump("given-up", "application/json", move |first| match first {
        true => Fate::IsLate(held.clone()),
        false => Fate::IsLost,
    }));
    lossy.node_again(601);
    assert_eq!(lossy.state(&path)["state"], "unsure", "only the origin can say");
    lossy.mirror.passes_everything();
    assert_eq!(lossy.known(&path), serde_json::json!({ "state": "not-taken" }));
    assert!(lossy.look(&path, "text/html").text().contains("send it again"));
    now.store(true, Ordering::Release);
    arrived_late(&lossy, &now, "given-up", "closed");
    assert_eq!(desk::numbers(&lossy.origin), (0, 0), "the copy that came late changed nothing");
    // Under a key of its own it is another write.
    let other = desk::write(lossy.node.address, "bump", "{}", &[("Idempotency-Key", "anew")]).unwrap();
    assert_eq!((other.status, desk::numbers(&lossy.origin)), (200, (1, 1)), "{other:?}");
}

/// The late copy has been answered, and what is recorded under its key is what was before.
fn arrived_late(lossy: &Lossy, late: &AtomicBool, key: &str, outcome: &str) {
    eventually("the late one arrives", || (!late.load(Ordering::Acquire)).then_some(()));
    let recorded = desk::recorded(&lossy.origin, key);
    assert!(recorded.len() == 1 && recorded[0].contains(outcome), "{recorded:?}");
}

#[test]
fn what_was_never_sent_is_refused_and_what_came_to_nothing_says_so() {
    let mut lossy = Lossy::start();
    // Asked at first, it is unsure; asked again, the app says no.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    lossy.mirror.chooses(move |path| match path {
        "/v1/apps/desk/commands/reject" => Fate::IsLost,
        "/v1/apps/desk/unsure" if count.fetch_add(1, Ordering::Relaxed) == 0 => Fate::AnswerIsLost,
        _ => Fate::Passes,
    });
    let path = unsure(&desk::write(lossy.node.address, "reject", "{}", &[("Idempotency-Key", "no")]).unwrap());
    let known = lossy.known(&path);
    assert_eq!((known["state"].as_str(), known["message"].as_str()), (Some("rejected"), Some("asked to reject")));
    assert!(asked.load(Ordering::Relaxed) > 1);
    assert_eq!(desk::numbers(&lossy.origin), (0, 0));

    // The origin is known to be away: nobody listens there.
    lossy.origin.process.kill();
    lossy.node.process.kill();
    lossy.node = Node::start(lossy.folder.path(), "a", Some(&lossy.origin));
    let refused = desk::write(lossy.node.address, "bump", "{}", &[("Idempotency-Key", "unsent")]).unwrap();
    assert_eq!((refused.status, refused.header("location")), (503, ""), "{refused:?}");
    assert!(refused.header("retry-after").parse::<u32>().is_ok(), "{refused:?}");
    assert_eq!((lossy.unsure(), refused.header("content-type")), (0, "application/problem+json"));
}

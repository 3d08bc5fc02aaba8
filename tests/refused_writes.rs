//! Each write that cannot be is refused with its status and its reason, to whoever sent it or to the operator, and leaves
//! nothing half done.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use support::{
    Node, Origin, desk, eventually,
    http::{self, Answer},
    mirror::{Fate, Mirror},
    process,
};

/// Who finds the reason.
enum Reason {
    /// Whoever wrote, in the problem document.
    Told(&'static str),
    /// The operator, in the node's log or the origin's.
    Logged(&'static str),
}

use Reason::{Logged, Told};

struct Desk {
    origin: Origin,
    mirror: Mirror,
    node: Node,
    app: support::App,
    folder: tempfile::TempDir,
}

impl Desk {
    fn start() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let app = desk::app(&folder.path().join("app"));
        let origin = Origin::start(folder.path(), "");
        origin.push(app.path()).went_well();
        let mirror = Mirror::of(origin.address);
        let url = format!("http://{}", mirror.address);
        let node = Node::start_at(folder.path(), "a", &url, &origin.token_file());
        node.wait_for_apps(1);
        Desk { origin, mirror, node, app, folder }
    }

    /// As often as a busy machine says that it did not get to it.
    fn write(&self, command: &str, payload: &str, key: &str) -> Answer {
        eventually(&format!("{command} is answered"), || {
            let answer = desk::write(self.node.address, command, payload, &[("Idempotency-Key", key)]).unwrap();
            (answer.status != 202).then_some(answer)
        })
    }

    fn refused(&self, answer: &Answer, status: u16, reason: Reason) {
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{answer:?}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(answer.header("nearside-receipt"), "");
        match reason {
            Told(words) => assert!(problem["detail"].as_str().is_some_and(|told| told.contains(words)), "{problem}"),
            Logged(words) => {
                let logs = || self.node.process.log_text() + &self.origin.process.log_text();
                eventually(&format!("`{words}` is in the log"), || logs().contains(words).then_some(()));
            }
        }
    }
}

#[test]
fn each_write_that_cannot_be_is_refused_with_its_reason_and_leaves_nothing_half_done() {
    let desk = Desk::start();
    assert_eq!(desk.write("bump", r#"{"by":2}"#, "first").status, 200);
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(300 << 10));
    let long = "k".repeat(129);
    let refusals = [
        ("nowhere", "{}", "1", 500, Logged("origin: unknown name: nowhere")),
        ("bump", r#"{"by":0}"#, "2", 422, Logged("invalid payload: the payload does not fit the schema: at /by: 0")),
        ("bump", "{by:", "3", 422, Logged("invalid payload: the payload is not JSON")),
        ("bump", &large, "4", 413, Told("At most 262144 bytes")),
        ("bump", r#"{"by":3}"#, "first", 422, Told("This key was used before for something else.")),
        ("reject", r#"{"by":2}"#, "first", 422, Told("This key was used before for something else.")),
        ("reject", "{}", "5", 400, Told("asked to reject")),
        ("trap", "{}", "6", 500, Logged("it trapped")),
        ("bump", r#"{"by":13}"#, "7", 500, Logged("not by thirteen")),
        ("bump", "{}", &long, 400, Told("Idempotency-Key takes 1 to 128 visible ASCII characters.")),
        ("bump", "{}", "two words", 400, Told("Idempotency-Key takes 1 to 128 visible ASCII characters.")),
    ];
    for (command, payload, key, status, reason) in refusals {
        let answer = desk.write(command, payload, key);
        desk.refused(&answer, status, reason);
        assert_eq!(desk::numbers(&desk.origin), (2, 2), "after {command} {}", &payload[..payload.len().min(40)]);
    }
    // What is final is answered the same again; what may pass, and what never came to the origin, is not recorded.
    for (key, recorded) in [("1", 0), ("2", 0), ("4", 0), ("first", 1), ("5", 1), ("6", 1), ("7", 1)] {
        assert_eq!(desk::recorded(&desk.origin, key).len(), recorded, "{key}");
    }
    desk.refused(&desk.write("trap", "{}", "6"), 500, Logged("it trapped"));
    assert_eq!(desk.write("bump", r#"{"by":2}"#, "first").text(), r#"{"n":2}"#, "the first answer, as ever");
    assert_eq!(desk.write("bump", "{}", "last").text(), r#"{"n":3}"#);
    assert_eq!(desk::numbers(&desk.origin), (3, 3));
}

#[test]
fn a_key_that_is_being_worked_on_is_not_worked_on_twice() {
    let desk = Desk::start();
    let node = desk.node.address;
    let (arrived, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    // The first is under way until the second was answered, unless the machine is so busy that it was given up before.
    let met = eventually("a second request meets the first", || {
        arrived.store(false, Ordering::Release);
        go.store(false, Ordering::Release);
        let (sees, held) = (arrived.clone(), go.clone());
        desk.mirror.chooses(move |path| match path {
            "/v1/apps/desk/commands/bump" if !sees.swap(true, Ordering::AcqRel) => Fate::IsLate(held.clone()),
            _ => Fate::Passes,
        });
        let bump = move || desk::write(node, "bump", "{}", &[("Idempotency-Key", "twice")]).unwrap();
        let first = std::thread::spawn(bump);
        eventually("the first is under way", || arrived.load(Ordering::Acquire).then_some(()));
        let second = bump();
        go.store(true, Ordering::Release);
        first.join().unwrap();
        (second.status == 409).then_some(second)
    });
    desk.refused(&met, 409, Told("is being worked on"));
    assert_eq!(met.header("retry-after"), "1");
    desk.mirror.passes_everything();
    assert_eq!(desk.write("bump", "{}", "twice").text(), r#"{"n":1}"#, "both are one");
    assert_eq!(desk::numbers(&desk.origin), (1, 1));
}

#[test]
fn a_payload_that_fits_at_the_node_only_is_refused_by_the_origin() {
    let desk = Desk::start();
    // The origin has the next version; the node does not hear of it.
    let lost = Arc::new(AtomicBool::new(false));
    let noted = lost.clone();
    desk.mirror.chooses(move |path| match path {
        "/v1/heads" => {
            noted.store(true, Ordering::Release);
            Fate::IsLost
        }
        _ => Fate::Passes,
    });
    eventually("its question after news is lost", || lost.load(Ordering::Acquire).then_some(()));
    let served = desk.node.release("desk");
    desk.app.replace("schemas/bump.json", "\"maximum\": 1000", "\"maximum\": 10");
    desk.origin.push(desk.app.path()).went_well();
    let answer = desk.write("bump", r#"{"by":11}"#, "other-version");
    desk.refused(&answer, 422, Logged("at /by: 11 is greater than the maximum of 10"));
    assert_eq!(desk::numbers(&desk.origin), (0, 0));
    assert_eq!(desk::recorded(&desk.origin, "other-version"), Vec::<String>::new());
    assert_eq!(desk.write("bump", r#"{"by":10}"#, "fits").text(), r#"{"n":10}"#);
    assert_eq!(desk.node.release("desk"), served);
}

/// What would fail the same at every try is final, or it would hold up all that was deferred behind it.
#[test]
fn a_deferred_write_that_a_trigger_refuses_holds_up_nothing() {
    let desk = Desk::start();
    desk.app.replace(
        "nearside.toml",
        "schema = \"schemas/bump.json\"",
        "schema = \"schemas/bump.json\"\ndeferrable = true",
    );
    let version = desk.origin.push(desk.app.path()).release();
    desk.node.wait_for(version, "desk");
    let bumps = [r#"{"by":13}"#, r#"{"by":2}"#].map(|payload| {
        let saved = desk::write(desk.node.address, "bump", payload, &[("Prefer", "respond-async")]).unwrap();
        assert_eq!(saved.status, 202, "{saved:?}");
        saved.header("location").to_owned()
    });
    let state = |location: &str| {
        let asked = [("Accept", "application/json")];
        let answer = http::request(desk.node.address, desk::SITE, "GET", location, &asked, "").unwrap();
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        told["state"].as_str().map(str::to_owned).filter(|state| state != "waiting")
    };
    assert_eq!(eventually("the first is settled", || state(&bumps[0])), "failed");
    assert_eq!(eventually("the second is settled", || state(&bumps[1])), "applied");
    assert_eq!(desk::numbers(&desk.origin), (2, 2));
}

/// A command has no network: who imports it is told when the app is checked, and each request is refused.
#[test]
fn a_command_that_could_call_the_network_is_told_so_before_it_runs() {
    let desk = Desk::start();
    let broken = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken/component-http-in-a-command");
    let calls = wat::parse_file(broken.join("commands.wat")).unwrap();
    let app = desk.app.copy_to(&desk.folder.path().join("calls"));
    app.write("probe_commands.wasm", calls);
    let checked = process::run(&["check", process::text(app.path())]);
    let told = format!("{}{}", checked.out, checked.err);
    assert!(told.contains("component-http-denied") && told.contains("each is refused"), "{told}");
    let version = desk.origin.push(app.path()).release();
    desk.node.wait_for(version, "desk");
    desk.refused(&desk.write("bump", "{}", "calls"), 500, Logged("it trapped"));
    assert_eq!(desk::numbers(&desk.origin), (0, 0));
    let page = http::request(desk.node.address, desk::SITE, "POST", "/write/bump", &[("Idempotency-Key", "k k")], "{}");
    assert_eq!(page.unwrap().status, 400);
}

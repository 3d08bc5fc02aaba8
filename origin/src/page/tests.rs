use std::path::Path;

use http_body_util::BodyExt;
use nearside_host::{engine::Engine, logbook::Logbook};
use nearside_protocol::{
    fleet::{Health, Window},
    heartbeat::{AppBeat, Declared, Heartbeat, Load, OutboxBeat, Totals},
    release::ReleaseId,
    status::Held,
    token::{Adding, Role},
    wire::{ReleaseInfo, Releases},
};
use tokio::{net::TcpListener, sync::oneshot};

use super::*;
use crate::config::Config;

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

struct Running {
    origin: Arc<Origin>,
    address: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

async fn start(folder: &Path) -> Running {
    let config = Config::new("127.0.0.1:0".parse().unwrap(), folder.join("data"));
    std::fs::create_dir_all(folder.join("compiled")).unwrap();
    let engine = Engine::start(&folder.join("compiled")).unwrap();
    let origin = Origin::open(config, engine, Logbook::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = origin.clone();
    let served = tokio::spawn(async move { serving.serve(listener, async move { drop(stopped.await) }).await });
    Running { origin, address, stop, served }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Running {
    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(body.to_owned()).unwrap()).await.unwrap();
        let (parts, mut body) = response.into_parts();
        let is_stream = parts.headers[header::CONTENT_TYPE] == "text/event-stream";
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
            if is_stream {
                break;
            }
        }
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// The cookie of a session.
    async fn sign_in(&self, who: &str) -> String {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("who", who)
            .append_pair("token", self.origin.token())
            .finish();
        let answer = self.ask(Method::POST, "/fleet/in", &[OWN], &body).await;
        assert_eq!((answer.status, &answer.headers["location"]), (303, &HeaderValue::from_static("/fleet")));
        answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }
}

fn beat(node: &str) -> Heartbeat {
    Heartbeat {
        node: node.into(),
        process: "1".into(),
        declared: Declared { place: Some(HOSTILE.into()), public: Some("javascript:alert(1)".into()), admin: None },
        version: HOSTILE.into(),
        uptime_ms: 1,
        unready: Some(HOSTILE.into()),
        apps: [(
            HOSTILE.to_owned(),
            AppBeat {
                release: ReleaseId { epoch: 1, seq: 1 },
                behind_at_most_ms: Some(1),
                refused: Some(HOSTILE.into()),
                pulled_permille: Some(60_000),
                served: None,
                refusal: None,
            },
        )]
        .into(),
        load: Load::default(),
        totals: Totals { results: [(HOSTILE.to_owned(), 3)].into(), ..Totals::default() },
        outbox: Some(OutboxBeat {
            waiting_writes: 1,
            unsure_writes: u64::MAX,
            oldest_at_ms: Some(0),
            closed: Some(HOSTILE.into()),
        }),
    }
}

#[tokio::test]
async fn only_who_shows_the_token_sees_it_and_only_the_page_itself_posts() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let door = running.ask(Method::GET, "/fleet", &[], "").await;
    assert!(door.status == 200 && door.text.contains("Your token"));
    assert!(!door.text.contains("id=\"nodes\""));
    for (name, words) in
        [("content-security-policy", "default-src 'none'"), ("x-frame-options", "DENY"), ("cache-control", "no-store")]
    {
        assert!(door.headers[name].to_str().unwrap().contains(words), "{:?}", door.headers);
    }
    assert_eq!(running.ask(Method::GET, "/", &[], "").await.headers["location"], "/fleet");
    assert_eq!(running.ask(Method::GET, "/fleet/events", &[], "").await.status, 401);
    assert_eq!(running.ask(Method::GET, "/fleet/nowhere", &[], "").await.status, 404);
    assert_eq!(running.ask(Method::DELETE, "/fleet", &[], "").await.status, 405);
    assert_eq!(running.ask(Method::GET, "/fleet/page.css", &[], "").await.status, 200);

    let wrong = running.ask(Method::POST, "/fleet/in", &[OWN], "who=Eve%3Cb%3E&token=0123456789abcdef").await;
    assert!(wrong.status == 403 && wrong.text.contains("not this origin's token"));
    assert!(!wrong.headers.contains_key("set-cookie") && !wrong.text.contains("Eve<b>"));
    let right = format!("who=Ada&token={}", running.origin.token());
    let own = format!("http://{}", running.address);
    for (headers, status) in [
        (&[][..], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "none")], 403),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", own.as_str())], 303),
        (&[OWN], 303),
    ] {
        assert_eq!(running.ask(Method::POST, "/fleet/in", headers, &right).await.status, status, "{headers:?}");
    }

    let cookie = running.sign_in("Ada").await;
    let session = ("cookie", cookie.as_str());
    let page = running.ask(Method::GET, "/fleet", &[session], "").await;
    assert!(page.text.contains("id=\"nodes\"") && page.text.contains("Ada"), "{}", page.text);
    let json = ("accept", "application/json");
    let form = "deed=forget_node&node=nobody";
    assert_eq!(running.ask(Method::POST, "/fleet/do", &[OWN], form).await.status, 401);
    assert_eq!(
        running.ask(Method::POST, "/fleet/do", &[session, ("sec-fetch-site", "cross-site")], form).await.status,
        403
    );
    let done = running.ask(Method::POST, "/fleet/do", &[session, OWN, json], form).await;
    assert!(done.status == 200 && done.text.contains("nothing is forgotten"), "{}", done.text);
    let refused = running.ask(Method::POST, "/fleet/do", &[session, OWN, json], "deed=resume&app=shop").await;
    assert!(refused.status == 404 && refused.text.contains("no app `shop` here"), "{}", refused.text);

    // Without a script: back to the page, which says what came of it.
    let done = running.ask(Method::POST, "/fleet/do", &[session, OWN], form).await;
    let place = done.headers["location"].to_str().unwrap().to_owned();
    assert!(done.status == 303 && place.starts_with("/fleet?told="), "{place}");
    let page = running.ask(Method::GET, &place, &[session], "").await;
    assert!(page.text.contains("aria-live=\"polite\" class=\"ill\"><b>Ada</b> forgot the node"), "{}", page.text);

    let out = running.ask(Method::POST, "/fleet/out", &[session, OWN], "").await;
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    running.stop().await;
}

#[tokio::test]
async fn what_nodes_and_operators_say_is_text_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    running.origin.nodes.take(beat(HOSTILE), std::time::Instant::now()).unwrap();
    let cookie = running.sign_in(HOSTILE).await;
    let session = ("cookie", cookie.as_str());
    for (path, is_page) in [("/fleet", true), ("/fleet/events", false)] {
        let answer = running.ask(Method::GET, path, &[session], "").await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text.contains("<img") && !answer.text.contains("href=\"javascript:"), "{}", answer.text);
        assert!(answer.text.contains("&lt;img src=x"), "{}", answer.text);
        assert_eq!(answer.text.contains("<!DOCTYPE html>"), is_page);
        assert_eq!(answer.headers["content-security-policy"], POLICY);
    }
    // Whoever follows does not hold up the origin's end.
    tokio::time::timeout(std::time::Duration::from_secs(20), running.stop()).await.unwrap();
}

#[test]
fn concerns_are_told_the_gravest_first() {
    use super::{
        concerns::{Weight, concerns},
        facts::{AppFacts, Facts},
    };
    let window = |answers, server_errors| Window { seconds: 60, answers, server_errors, ..Window::default() };
    let node = |name: &str, health, minute| nearside_protocol::fleet::Node {
        node: name.into(),
        declared: Declared::default(),
        health,
        heard_at_ms: None,
        told: None,
        minute,
        hour: Window::default(),
        trend: Vec::new(),
    };
    let canary: nearside_protocol::canary::Canary = serde_json::from_value(serde_json::json!({
        "release": "1.4", "app_digest": Digest::of(b"app"), "is_data": false, "since_ms": 1, "nodes": ["<a>"],
        "rules": {"requests": 200, "for_s": 300}, "canaries": {"requests": 18, "server_errors": 9, "times": []},
        "rest": {"requests": 0, "server_errors": 0, "times": []},
        "stands": {"state": "halted", "at_ms": 5_000, "why": {"errors": {"canaries": 0.5, "rest": 0.0, "errors": 9}}}
    }))
    .unwrap();
    let held = Held { rolled_back_to: ReleaseId { epoch: 1, seq: 3 }, since_ms: 0 };
    let status: nearside_protocol::status::OriginApp = serde_json::from_value(serde_json::json!({
        "release": null, "app_digest": null, "commit": 0, "applied_commit": 0, "page_count": 0, "tasks": {}, "last_error": null
    }))
    .unwrap();
    let kind = nearside_protocol::task_report::Kind { dead: 2, is_declared: true, ..Default::default() };
    let facts = Facts {
        fleet: nearside_protocol::fleet::Fleet {
            version: "1".into(),
            uptime_s: 1,
            now_ms: 65_000,
            heads: Default::default(),
            candidates: Default::default(),
            nodes: vec![
                node("well", Health::Serving, window(10_000, 1)),
                node("failing", Health::Serving, window(100, 6)),
                node("silent", Health::Silent { since_ms: 5_000 }, Window::default()),
            ],
            minute: Window::default(),
            hour: Window::default(),
            trend: Vec::new(),
            trend_step_s: 10,
        },
        apps: vec![AppFacts {
            name: "shop".into(),
            status,
            releases: Releases { held: Some(held), canary: Some(canary), releases: Vec::<ReleaseInfo>::new() },
            kinds: [("mail".to_owned(), kind)].into(),
            dead: Vec::new(),
            queries: Default::default(),
            advice: None,
        }],
        actions: Vec::new(),
    };
    let told: Vec<(Weight, String)> = concerns(&facts)
        .into_iter()
        .map(|concern| (concern.weight, format!("{} {}", concern.of, concern.text)))
        .collect();
    let expected = [
        (Weight::Grave, "failing 0.10 server errors a second, 6.0 % of its answers in the last minute"),
        (Weight::Grave, "silent silent for 60 s"),
        (
            Weight::Warning,
            "shop the canary at <a> was halted 60 s ago: 9 server errors: 50.0 % of its answers, and 0 % of the rest's",
        ),
        (Weight::Warning, "shop 2 dead letters of mail"),
        (Weight::Note, "shop releases are held since the rollback to 1.3, for 65 s"),
    ];
    assert_eq!(told, expected.map(|(weight, text)| (weight, text.to_owned())));
}

#[tokio::test]
async fn a_named_token_signs_in_and_does_what_its_role_may_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let add = |name: &str, role: Role, text: &str| {
        let adding = Adding { name: name.into(), role, digest: Digest::of(text.as_bytes()), expires_at_ms: None };
        running.origin.tokens.add(adding).unwrap().id
    };
    let (reader, ci) = (add("looks", Role::Reader, "a-reader"), add("ci", Role::Publisher, "a-publisher"));
    let sign_in = async |token: &str| {
        let answer = running.ask(Method::POST, "/fleet/in", &[OWN], &format!("who=Ada&token={token}")).await;
        assert_eq!(answer.status, 303);
        answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let json = ("accept", "application/json");
    for (token, role, rollback, retry) in [("a-reader", "reader", 403, 403), ("a-publisher", "publisher", 404, 403)] {
        let cookie = sign_in(token).await;
        let session = ("cookie", cookie.as_str());
        let page = running.ask(Method::GET, "/fleet", &[session], "").await;
        assert!(page.text.contains(&format!("<body data-role=\"{role}\">")), "{}", page.text);
        let done = async |form| running.ask(Method::POST, "/fleet/do", &[session, OWN, json], form).await;
        assert_eq!(done("deed=rollback&app=shop&release=1.1").await.status, rollback, "{role}");
        let refused = done("deed=retry_tasks&app=shop&kind=mail").await;
        assert_eq!(refused.status, retry, "{role}");
        assert!(refused.text.contains("\"roles\":[\"operator\"]"), "{}", refused.text);
        let newest = running.origin.newest_actions(1).await.unwrap().remove(0);
        assert_eq!((newest.deed, newest.went_well), (Deed::RetryTasks, false));
        assert_eq!(newest.token.as_deref(), Some(if role == "reader" { "looks" } else { "ci" }));
    }
    let cookie = sign_in("a-reader").await;
    let session = ("cookie", cookie.as_str());
    running.origin.tokens.remove(&ci).unwrap();
    assert_eq!(running.ask(Method::GET, "/fleet/events", &[session], "").await.status, 200, "another one's is gone");
    running.origin.tokens.remove(&reader).unwrap();
    assert_eq!(running.ask(Method::GET, "/fleet/events", &[session], "").await.status, 401);
    assert!(!running.ask(Method::GET, "/fleet", &[session], "").await.text.contains("id=\"nodes\""));
    running.stop().await;
}

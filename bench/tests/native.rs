//! The native contenders answer the app's searches and pages from a release made of the app's own schema, and the load
//! generator loads them: everything a bench does but the node.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside_bench::connection::fetch;
use nearside_bench::contender::{Answers, Case, Checked, Contender, check};
use nearside_bench::process::Process;
use nearside_bench::receiver::Receiver;
use nearside_bench::report::Settings;
use nearside_bench::request::{Request, Requests};
use nearside_bench::value::Metric;
use nearside_bench::{cpu, load, run};
use rusqlite::{Connection, params};
use tempfile::TempDir;

const PACKAGES: i64 = 200;

fn app() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/packages")
}

fn release(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("release.db");
    let connection = Connection::open(&path).unwrap();
    nearside_search::register(&connection).unwrap();
    connection.execute_batch(&std::fs::read_to_string(app().join("snapshot.sql")).unwrap()).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 1..=PACKAGES {
        let (name, section) = (format!("tool-{id}"), ["net", "math"][id as usize % 2]);
        let rest = "'a <sharp> tool', 1, '[\"role::tool\"]', 'Ann', NULL";
        let columns = "id, name, version, section, summary, size_bytes, tags, maintainer, homepage, description";
        connection
            .execute(
                &format!("INSERT INTO package ({columns}) VALUES (?1, ?2, '1.0', ?3, {rest}, ?4)"),
                params![id, name, section, format!("described at length, number{id}")],
            )
            .unwrap();
        let target = format!("tool-{}", id / 2 + 1);
        connection.execute("INSERT INTO dependency (package, target) VALUES (?1, ?2)", params![name, target]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    path
}

async fn serve(directory: &TempDir, server: &'static str, targets: &[&str]) -> (Process, Contender) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearside-bench"));
    command.args([server, "--exit-with-stdin", "--db"]).arg(release(directory));
    command.arg("--app").arg(app());
    let mut process = Process::spawn(server, command, directory.path()).unwrap();
    let address = process.listening().await.unwrap();
    let requests = targets.iter().map(|target| Request::get("packages.localhost", target, &[])).collect();
    let requests = Arc::new(Requests::new(requests).unwrap());
    let contender = Contender { name: server, about: String::new(), process: process.id(), address, requests };
    (process, contender)
}

#[tokio::test]
async fn a_search_finds_and_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (_process, contender) =
        serve(&directory, "serve-search", &["/search?q=number7%20", "/search?q=sharp%20tool"]).await;
    let answer = fetch(contender.address, &contender.requests.all()[0]).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["total"], 1);
    assert_eq!(answer["results"][0]["name"], "tool-7");
    assert_eq!(answer["results"][0]["summary"], "a <sharp> tool");
    let answer = fetch(contender.address, &contender.requests.all()[1]).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((&answer["total"], answer["results"].as_array().unwrap().len()), (&PACKAGES.into(), 20));
    assert_eq!(answer["tags"][0]["value"], "role::tool");
}

#[tokio::test]
async fn a_page_is_rendered_and_a_wrong_name_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (_process, contender) = serve(&directory, "serve-package", &["/package/tool-5", "/package/none"]).await;
    let page = fetch(contender.address, &contender.requests.all()[0]).await.unwrap();
    let text = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(
        text.contains("a &lt;sharp&gt; tool") && text.contains("<a class=\"name\" href=\"/package/tool-3\">"),
        "{text}"
    );
    assert_eq!(fetch(contender.address, &contender.requests.all()[1]).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_case_runs_and_a_failing_one_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let targets = ["/package/tool-5", "/package/tool-6"];
    let (_one, one) = serve(&directory, "serve-package", &targets).await;
    let other_directory = tempfile::tempdir().unwrap();
    let (_other, other) = serve(&other_directory, "serve-package", &targets).await;
    let other = Contender { name: "other", ..other };
    let mut case = Case {
        name: "page",
        about: String::new(),
        limit: "other",
        answers: Answers::Same,
        contenders: vec![one, other],
    };
    let settings = Settings { rounds: 2, seconds: 0.2, connections: 4, load_threads: 2 };
    let (report, samples) = run::run(&mut case, &settings).await.unwrap();
    let load = report.load.unwrap();
    assert!(matches!(load.answers, Checked::Same { requests: 2, .. }));
    assert_eq!(samples.len(), 4);
    assert!(samples.iter().all(|sample| sample.values[&Metric::Throughput] > 0.0 && sample.open_requests.unwrap() > 0));
    assert!(samples.iter().all(|sample| sample.values[&Metric::LatencyP50] <= sample.values[&Metric::LatencyP99]));

    let missing = vec![Request::get("packages.localhost", "/package/none", &[])];
    case.contenders[1].requests = Arc::new(Requests::new(missing).unwrap());
    let error = format!("{:#}", run::run(&mut case, &settings).await.unwrap_err());
    assert!(error.contains("checking other") && error.contains("GET /package/none answered 404, not 200"), "{error}");
}

#[tokio::test]
async fn different_bodies_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let (_one, one) = serve(&directory, "serve-package", &["/package/tool-5"]).await;
    let (name, about, requests) = ("other", String::new(), vec![Request::get("h", "/package/tool-6", &[])]);
    let requests = Arc::new(Requests::new(requests).unwrap());
    let other = Contender { name, about, process: one.process, address: one.address, requests };
    let mut case = Case {
        name: "page",
        about: String::new(),
        limit: "other",
        answers: Answers::Same,
        contenders: vec![one, other],
    };
    let error = check(&mut case).await.unwrap_err().to_string();
    assert!(error.contains("answer GET /package/tool-5 differently"), "{error}");
}

#[tokio::test]
async fn a_server_that_dies_under_load_fails_the_phase() {
    let directory = tempfile::tempdir().unwrap();
    let (process, contender) = serve(&directory, "serve-package", &["/package/tool-5"]).await;
    let requests = contender.requests.clone();
    let plan =
        load::Plan { address: contender.address, requests, connections: 4, threads: 1, judging: load::Judging::Strict };
    let dying = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(process);
    };
    let (loaded, ()) = tokio::join!(load::closed(&plan, Duration::from_secs(5)), dying);
    assert!(format!("{:#}", loaded.unwrap_err()).contains("GET /package/tool-5"));
    assert!(cpu::microseconds(contender.process).is_err());
}

#[tokio::test]
async fn the_plain_site_shows_a_review_and_has_told_of_it_before_it_answers() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Duration::from_millis(50)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearside-bench"));
    command.args(["serve-site", "--exit-with-stdin", "--db"]).arg(release(&directory)).arg("--app").arg(app());
    command.args(["--webhook", &format!("http://{}/reviews", receiver.address)]);
    let mut process = Process::spawn("site", command, directory.path()).unwrap();
    let address = process.listening().await.unwrap();
    for target in ["/", "/sections", "/section/math?page=2", "/package/tool-5", "/search?q=sharp%20tool"] {
        let page = fetch(address, &Request::get("h", target, &[])).await.unwrap();
        assert!(page.status == 200 && page.body().ends_with(b"</html>"), "{target}: {}", page.status);
    }
    for target in ["/section/none", "/package/none", "/none"] {
        assert_eq!(fetch(address, &Request::get("h", target, &[])).await.unwrap().status, 404, "{target}");
    }
    let form = |body: &str| {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        Request::with_body("POST", "h", "/package/tool-5/reviews", &headers, body.as_bytes())
    };
    let refused = fetch(address, &form("author=Ann&rating=9&body=Good")).await.unwrap();
    assert_eq!((refused.status, receiver.told()), (422, 0));
    let began = Instant::now();
    let posted = form("author=Ann&rating=5&body=Good+all+in+all").showing("Good all in all".to_owned());
    let answer = fetch(address, &posted).await.unwrap();
    assert_eq!((answer.status, receiver.told()), (303, 1));
    assert!(began.elapsed() >= Duration::from_millis(50));
    let page = fetch(address, &posted.following(&answer).unwrap()).await.unwrap();
    let text = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(text.contains("Good all in all") && text.contains("5.0 of 5, from"), "{text}");
}

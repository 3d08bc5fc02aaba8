//! Test files of an app, run.

mod support;

use std::{fs, path::Path};

use nearside_host::logbook::Logbook;
use nearside_local::suite::{self, Options, Outcome, Summary};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

async fn run(app: &Path, filter: Option<&str>, update: bool, logbook: &Logbook) -> Summary {
    let options = Options { app: app.to_owned(), filter: filter.map(str::to_owned), update };
    let mut told = Vec::new();
    let summary = suite::run(&options, logbook.clone(), |report| told.push(report.file.clone())).await.unwrap();
    assert_eq!(told, summary.files.iter().map(|report| report.file.clone()).collect::<Vec<_>>());
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_run_each_for_itself_and_told_in_order() {
    let logbook = Logbook::new();
    tracing_subscriber::registry().with(logbook.layer()).init();
    let folder = tempfile::tempdir().unwrap();
    let app = support::probe(folder.path());
    let write = |file: &str, text: &str| {
        fs::create_dir_all(app.join(file).parent().unwrap()).unwrap();
        fs::write(app.join(file), text).unwrap();
    };
    write("tests/seed.sql", "UPDATE \"left\" SET n = 7; UPDATE \"right\" SET n = 7;");
    // Each begins with the seed, whatever the others have written.
    let bumps =
        "POST /bump\nHTTP 200\n[Asserts]\nbody contains \"{\\\"n\\\":8}\"\n\nGET {{host}}/pair\nHTTP 200\n`8 8\n`";
    let bumps = bumps.replace("`8 8\n`", "```\n8 8\n```\n");
    write("tests/a.hurl", &bumps);
    write("tests/deep/b.hurl", &bumps);
    write(
        "tests/c.hurl",
        "GET /hello\nHTTP 200\n[Asserts]\nbody == \"goodbye\"\nstatus == 201\n\nGET /trap\nHTTP 200\n",
    );
    write("tests/d.hurl", "GET /trap\nAccept: application/json\nHTTP 200\n");
    write("tests/e.hurl", "GET /hello\nHTTP 200\n[Asserts]\nxpath \"//a\" exists\n");
    write("tests/f.hurl", "GET https://elsewhere.example/\nHTTP *\n");
    write("tests/g.hurl", "GET /hello\nHTTP 200\nfile,snapshots/hello.txt;\n");

    let summary = run(&app, None, false, &logbook).await;
    let outcomes: Vec<_> = summary.files.iter().map(|report| (report.file.as_str(), report.outcome)).collect();
    use Outcome::{Error, Failed, Passed};
    let expected = [
        ("tests/a.hurl", Passed),
        ("tests/c.hurl", Failed),
        ("tests/d.hurl", Failed),
        ("tests/deep/b.hurl", Passed),
        ("tests/e.hurl", Error),
        ("tests/f.hurl", Failed),
        ("tests/g.hurl", Failed),
    ];
    assert_eq!(outcomes, expected, "{summary:#?}");
    assert_eq!((summary.passed, summary.failed, summary.is_good()), (2, 5, false));
    let report = |name: &str| summary.files.iter().find(|report| report.file.ends_with(name)).unwrap();

    // All that is wrong with an answer, and nothing after it.
    let c = report("c.hurl");
    let lines: Vec<_> = c.failures.iter().map(|failure| (failure.line, failure.why.as_str())).collect();
    assert_eq!(lines, [(4, "expected: \"goodbye\"\nactual:   \"hello\\n\""), (5, "expected: 201\nactual:   200")]);
    assert_eq!((c.requests, c.request.as_deref()), (1, Some("GET /hello")));
    // What the guest and its host said meanwhile.
    assert!(report("d.hurl").log.join("\n").contains("trap"), "{:?}", report("d.hurl"));
    let e = &report("e.hurl").failures[0];
    assert!((e.line, e.column) == (4, 1) && e.why.contains("`xpath` is not supported"), "{e:?}");
    assert!(report("f.hurl").failures[0].why.contains("another site"), "{summary:#?}");
    assert!(report("g.hurl").failures[0].why.contains("--update"), "{summary:#?}");

    let updated = run(&app, Some("g.hurl"), true, &logbook).await;
    assert_eq!(
        (updated.files.len(), updated.files[0].updated.as_slice()),
        (1, &["tests/snapshots/hello.txt".to_owned()][..])
    );
    assert!(run(&app, Some("g.hurl"), false, &logbook).await.is_good());
    assert_eq!(fs::read_to_string(app.join("tests/snapshots/hello.txt")).unwrap(), "hello\n");
}

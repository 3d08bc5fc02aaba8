//! `nearside dev`: what is served goes on being served, whatever is written meanwhile.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use support::{
    App, PATIENCE, eventually,
    http::{self, Answer},
    probe,
    process::{Process, text},
};

const SITE: &str = "probe.localhost";

/// Builds in no time: the components are there, and a file says whether they are broken.
const BUILD: &str = "if [ -f broken ]; then cat broken >&2; exit 1; fi\ncp built/*.wasm .\n";

fn app(folder: &Path) -> App {
    let app = App::copy("probe", &folder.join("app"));
    app.write("build.sh", BUILD);
    for component in ["probe_handlers.wasm", "probe_commands.wasm", "probe_tasks.wasm"] {
        app.write(&format!("built/{component}"), std::fs::read(app.path().join(component)).unwrap());
        std::fs::remove_file(app.path().join(component)).unwrap();
    }
    let manifest = app.read("nearside.toml");
    let command = manifest.lines().find(|line| line.starts_with("command = \"cargo")).unwrap().to_owned();
    app.replace("nearside.toml", &command, "command = \"sh build.sh\"");
    app
}

struct Dev {
    process: Process,
    address: SocketAddr,
}

impl Dev {
    fn start(app: &App, more: &[&str]) -> Dev {
        let log = app.path().with_extension("log");
        let arguments = [&["dev", text(app.path()), "--listen", "127.0.0.1:0"], more].concat();
        let mut process = Process::start(&log, &arguments);
        let address = process.address().unwrap_or_else(|| panic!("it does not start:\n{}", process.log_text()));
        Dev { process, address }
    }

    fn get(&self, path: &str, accept: &str) -> Answer {
        http::request(self.address, SITE, "GET", path, &[("Accept", accept)], "").unwrap()
    }

    fn serves(&self, version: &str) {
        eventually(version, || Some(self.get("/version", "*/*")).filter(|answer| answer.text() == version));
    }

    /// SIGINT, as Ctrl-C sends it.
    fn interrupt(mut self) {
        let started = Instant::now();
        self.process.interrupt();
        let status = self.process.end();
        assert!(status.success(), "{status}: {}", self.process.log_text());
        assert!(started.elapsed() < Duration::from_secs(4), "it took {:?}", started.elapsed());
    }
}

/// What an open page hears.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(address: SocketAddr) -> Events {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /_nearside/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        Events(BufReader::new(stream))
    }

    /// The next state of which this is true.
    fn until(&mut self, what: &str, is: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the events ended before: {what}");
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let state: serde_json::Value = serde_json::from_str(data).unwrap();
            if is(&state) {
                return state;
            }
        }
    }

    fn trouble(&mut self, title: &str) -> String {
        let state = self.until(title, |state| state["trouble"]["title"] == title);
        let text = state["trouble"]["text"].as_array().unwrap().iter().map(|span| span["text"].as_str().unwrap());
        text.collect::<String>() + state["trouble"]["hint"].as_str().unwrap_or_default()
    }

    fn is_well(&mut self) {
        self.until("all is well", |state| state["trouble"].is_null() && state["version"] != "");
    }
}

/// A visitor who never stops asking, and whom nothing may happen to.
struct Visitor {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    asking: JoinHandle<()>,
}

impl Visitor {
    fn start(address: SocketAddr) -> Visitor {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stops, count) = (stop.clone(), asked.clone());
        let asking = std::thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                let answer = http::request(address, SITE, "GET", "/version", &[], "").unwrap();
                assert_eq!((answer.status, answer.broken), (200, false), "{answer:?}");
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        Visitor { stop, asked, asking }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().unwrap();
        assert!(self.asked.load(Ordering::Relaxed) > 50);
    }
}

#[test]
fn what_is_served_stays_until_something_better_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path());
    let dev = Dev::start(&app, &[]);
    dev.serves("probe 1 0\n");
    let mut events = Events::open(dev.address);
    events.is_well();
    let visitor = Visitor::start(dev.address);
    let bumped = probe::bump(dev.address);

    app.write("broken", "\x1b[31merror\x1b[0m: the build says no\n");
    let told = events.trouble("The build failed");
    assert_eq!(told, "error: the build says no");
    assert!(dev.get("/version", "*/*").text().starts_with("probe 1 "));

    app.patch("built/probe_handlers.wasm", "probe 1", "probe 2");
    std::fs::remove_file(app.path().join("broken")).unwrap();
    events.is_well();
    dev.serves(&format!("probe 2 {}\n", bumped.n));

    // What needs no build, and is wrong.
    let queries = app.read("queries.sql");
    app.write("queries.sql", format!("{queries}\n-- name: odd\nSELEC 1;\n"));
    let line = queries.lines().count() + 3;
    let told = events.trouble("The check found a fault");
    assert!(told.starts_with(&format!("queries.sql:{line}: query `odd` ")), "{told}");
    app.write("queries.sql", queries);
    events.is_well();

    let migration = app.read("migrations/0001_pair.sql");
    app.write("migrations/0001_pair.sql", format!("{migration}\n-- again\n"));
    let told = events.trouble("The migrations do not run");
    assert!(told.contains("it has changed since it ran") && told.contains("nearside dev --reset"), "{told}");
    app.write("migrations/0001_pair.sql", migration);
    events.is_well();

    visitor.stop();
    dev.interrupt();
}

#[test]
fn data_is_kept_until_it_is_reset() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path());
    app.write("seed.sql", "UPDATE \"left\" SET n = 70;\nUPDATE \"right\" SET n = 70;\n");
    let seed = text(&app.path().join("seed.sql")).to_owned();
    let dev = Dev::start(&app, &["--seed", &seed]);
    dev.serves("probe 1 70\n");
    let bumped = probe::bump(dev.address);
    assert_eq!(bumped.n, 71);
    dev.interrupt();

    let dev = Dev::start(&app, &["--seed", &seed]);
    dev.serves("probe 1 71\n");
    dev.interrupt();

    app.write("seed.sql", "UPDATE \"left\" SET n = 5;\nUPDATE \"write\" SET n = 5;\n");
    let dev = Dev::start(&app, &["--reset", "--seed", &seed]);
    let told = Events::open(dev.address).trouble("The seed does not run");
    assert!(told.contains("seed.sql:2: no such table: write"), "{told}");
    dev.serves("probe 1 0\n");
    app.write("seed.sql", "UPDATE \"left\" SET n = 5;\nUPDATE \"right\" SET n = 5;\n");
    dev.serves("probe 1 5\n");
    dev.interrupt();
}

#[test]
fn a_page_that_fails_says_why_to_people_only() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path());
    let dev = Dev::start(&app, &[]);
    let waiting = dev.get("/version", "text/html");
    if waiting.status == 503 {
        assert!(waiting.text().contains("/_nearside/dev.js"), "{}", waiting.text());
    }
    dev.serves("probe 1 0\n");

    let page = dev.get("/trap", "text/html");
    let shown = page.text();
    assert_eq!((page.status, page.header("content-type")), (500, "text/html; charset=utf-8"));
    assert!(shown.contains("<h1>The handler failed: /trap</h1>") && shown.contains("unreachable"), "{shown}");
    assert!(shown.contains("src=\"/_nearside/dev.js\"") && shown.contains("role=alert"), "{shown}");
    let limit = dev.get("/loop", "text/html").text();
    assert!(limit.contains("A limit was reached: /loop"), "{limit}");
    let program = dev.get("/trap", "application/json");
    assert_eq!(program.header("content-type"), "application/problem+json");
    assert!(!program.text().contains("unreachable"), "{}", program.text());

    let script = dev.get("/_nearside/dev.js", "*/*");
    assert_eq!((script.status, script.header("content-type")), (200, "text/javascript; charset=utf-8"));
    assert_eq!(dev.get("/_nearside/nothing", "*/*").status, 404);
    // Whatever this machine is called, the one app there is answers.
    for host in ["localhost", "127.0.0.1:1", "[::1]"] {
        let answer = http::request(dev.address, host, "GET", "/hello", &[], "").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello\n"), "{host}");
    }
    let stranger = http::request(dev.address, "elsewhere.example", "GET", "/hello", &[], "").unwrap();
    assert_eq!(stranger.status, 404);
    dev.interrupt();
}

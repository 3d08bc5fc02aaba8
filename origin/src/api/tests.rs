use std::{fs, path::Path, time::Duration};

use http::Method;
use nearside_host::{
    archive::Archive,
    engine::Engine,
    logbook::Logbook,
    origin_client::{ClientError, OriginClient, bytes, whole},
};
use nearside_protocol::{
    heads::{Nonce, SignedHeads},
    key::PublicKey,
    release::{Manifest, ReleaseId, SignedManifest},
    status::OriginStatus,
    trust::TrustedKey,
    wire::{Difference, Heads, Pushed, Releases},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;
use crate::config::{AppConfig, Config};

mod releases;
mod tokens;

const MANIFEST: &str = "name = \"shop\"\nhosts = [\"shop.example\"]\n\n[mirror]\nitem = [\"id\", \"name\"]\n\n[data]\nitem = [\"name\"]\n\n[variables]\nHOOK = \"http://hook.example\"\n";
const MIGRATION: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, cost);";
const SNAPSHOT: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'unspeakable'));";
const QUERIES: &str = "-- name: all\nSELECT name FROM item;";

/// An origin on a socket, and a client that has its token.
struct Running {
    origin: Arc<Origin>,
    address: String,
    client: OriginClient,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

async fn start(data: &Path) -> Running {
    let settings = AppConfig { variables: [("HOOK".into(), "http://10.0.0.7".into())].into(), ..AppConfig::default() };
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: data.join("data"),
        token_file: None,
        certificates: None,
        client_ca: None,
        objects: None,
        traces: Default::default(),
        apps: [("shop".to_owned(), settings)].into(),
    };
    fs::create_dir_all(data.join("compiled")).unwrap();
    let origin = Origin::open(config, Engine::start(&data.join("compiled")).unwrap(), Logbook::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = OriginClient::new(&format!("http://{address}"), Some(origin.token().to_owned())).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = origin.clone();
    let served = tokio::spawn(async move {
        serving.serve(listener, async move { drop(stopped.await) }).await;
    });
    Running { origin, address, client, stop, served }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<::bytes::Bytes>) -> Result<Vec<u8>, ClientError> {
        let request = self.client.request(method, path).header(IDEMPOTENCY_KEY_HEADER, "k1").body(bytes(body));
        let response = self.client.send(request.unwrap(), WAIT).await?;
        Ok(whole(response, 64 << 20).await?.to_vec())
    }

    async fn push(&self, path: &str, body: Vec<u8>) -> Result<Pushed, ClientError> {
        self.send(Method::PUT, path, body).await.map(|answer| serde_json::from_slice(&answer).unwrap())
    }

    /// The problem a request is answered with: `status: detail`.
    async fn problem(&self, method: Method, path: &str, body: impl Into<::bytes::Bytes>) -> String {
        told(self.send(method, path, body).await)
    }

    async fn heads(&self, has: &Heads) -> Heads {
        let nonce = Nonce::from_bytes([7; 16]);
        let body = serde_json::to_vec(&serde_json::json!({ "nonce": nonce, "have": has })).unwrap();
        let answer = self.send(Method::POST, "/v1/heads", body).await.unwrap();
        let signed: SignedHeads = serde_json::from_slice(&answer).unwrap();
        signed.verify(&[TrustedKey::with_both(self.origin.key())], nonce).unwrap().heads
    }

    async fn status(&self) -> OriginStatus {
        serde_json::from_slice(&self.send(Method::GET, "/v1/status", "").await.unwrap()).unwrap()
    }

    async fn manifest(&self, release: ReleaseId) -> Manifest {
        let key: PublicKey =
            String::from_utf8(self.send(Method::GET, "/v1/key", "").await.unwrap()).unwrap().parse().unwrap();
        let path = format!("/v1/apps/shop/releases/{release}");
        let signed: SignedManifest = serde_json::from_slice(&self.send(Method::GET, &path, "").await.unwrap()).unwrap();
        signed.verify(&[TrustedKey::with_both(key)]).unwrap()
    }

    /// The names in a release, from the snapshot as a node pulls it.
    async fn names(&self, release: ReleaseId) -> Vec<String> {
        let manifest = self.manifest(release).await;
        let path = format!("/v1/apps/shop/snapshots/{}", manifest.root);
        let pulled = self.send(Method::GET, &path, "").await.unwrap();
        assert_eq!(pulled.len() as u64, manifest.database_bytes());
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), pulled).unwrap();
        let connection = crate::snapshot::open_immutable(file.path()).unwrap();
        let mut statement = connection.prepare("SELECT name FROM item ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

const WAIT: Duration = Duration::from_secs(30);

fn told(result: Result<Vec<u8>, ClientError>) -> String {
    match result {
        Err(ClientError::Refused(problem)) => format!("{}: {}", problem.status, problem.detail.unwrap_or_default()),
        Err(other) => panic!("{other}"),
        Ok(body) => panic!("taken: {}", String::from_utf8_lossy(&body)),
    }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Archive::collect(folder.path()).unwrap().pack().unwrap()
}

fn shop() -> Vec<(&'static str, &'static str)> {
    vec![
        ("nearside.toml", MANIFEST),
        ("migrations/1.sql", MIGRATION),
        ("snapshot.sql", SNAPSHOT),
        ("queries.sql", QUERIES),
    ]
}

fn shop_with(more: &[(&'static str, &'static str)]) -> Vec<u8> {
    let mut files = shop();
    files.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    files.extend(more);
    archive(&files)
}

fn data(names: &[&str]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection.execute_batch("CREATE TABLE item (name TEXT, cost)").unwrap();
    for name in names {
        connection.execute("INSERT INTO item VALUES (?1, 1)", [name]).unwrap();
    }
    drop(connection);
    fs::read(file.path()).unwrap()
}

/// A push's report without what the check warned of.
fn done(report: &[String]) -> Vec<&str> {
    report.iter().map(String::as_str).filter(|line| !line.contains(": warning: ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_and_its_data_are_pushed_pulled_and_come_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    let nothing = origin.status().await;
    assert!(nothing.apps.is_empty());

    let packed = archive(&shop());
    let pushed = origin.push("/v1/apps/shop/archive", packed.clone()).await.unwrap();
    let first = pushed.release.unwrap();
    assert_eq!(done(&pushed.report), ["migrations/1.sql: applied", "mirrors item"]);
    // It has named queries and a variable, and no component to use them: told, and pushed all the same.
    assert!(pushed.report[0].contains(": warning: ") && pushed.report[0].contains("[unused-variable]"));
    let manifest = origin.manifest(first).await;
    assert_eq!(manifest.variables["HOOK"], "http://10.0.0.7", "the operator's word goes");
    assert_eq!(
        origin.send(Method::GET, &format!("/v1/apps/shop/archives/{}", manifest.app_digest), "").await.unwrap(),
        packed
    );
    assert!(origin.names(first).await.is_empty());

    let pushed = origin.push("/v1/apps/shop/data", data(&["a", "b"])).await.unwrap();
    let second = pushed.release.unwrap();
    assert_eq!(pushed.report, ["item: 2 inserted, 0 updated, 0 deleted, 0 unchanged"]);
    assert_eq!(origin.names(second).await, ["a", "b"]);
    assert_eq!(
        origin.push("/v1/apps/shop/data", data(&["a", "b"])).await.unwrap().release,
        Some(second),
        "nothing new"
    );
    assert_eq!(origin.push("/v1/apps/shop/archive", packed).await.unwrap().release, Some(second));
    let third = origin.push("/v1/apps/shop/data", data(&["b", "c"])).await.unwrap().release.unwrap();
    assert_eq!(origin.manifest(third).await.parent, Some(second));
    origin.stop().await;

    let origin = start(folder.path()).await;
    assert_eq!(origin.heads(&Heads::new()).await, [("shop".to_owned(), third)].into());
    assert_eq!(origin.names(third).await, ["b", "c"]);
    let status = origin.status().await;
    let shop = &status.apps["shop"];
    assert_eq!((shop.release, shop.last_error.as_deref()), (Some(third), None));
    assert_eq!(shop.commit, shop.applied_commit);
    let fourth = origin.push("/v1/apps/shop/data", data(&["d"])).await.unwrap().release.unwrap();
    assert_eq!(origin.names(fourth).await, ["d"]);
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_and_what_runs_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    let head = origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap().release.unwrap();
    let head =
        origin.push("/v1/apps/shop/data", data(&["a", "unspeakables"])).await.unwrap().release.unwrap().max(head);

    let renamed = MANIFEST.replace("\"shop\"", "\"stall\"");
    let push = |body: Vec<u8>| origin.problem(Method::PUT, "/v1/apps/shop/archive", body);
    for (packed, expected) in [
        (b"nonsense".to_vec(), "422: the archive cannot be read"),
        (
            shop_with(&[("nearside.toml", Box::leak(renamed.into_boxed_str()))]),
            "422: the archive is of the app `stall`, and was pushed to `shop`",
        ),
        (
            shop_with(&[("queries.sql", "-- name: all\nSELECT nam FROM item;")]),
            "422: queries.sql:2: error: query `all` does not fit snapshot.sql: no such column: nam",
        ),
        (
            shop_with(&[("migrations/2.sql", "CREATE TABLE extra (x);\nINSERT INTO item (name) VALUES ('a'), ('a');")]),
            "422: migrations/2.sql:2: error: the migration stops here: UNIQUE constraint failed: item.name",
        ),
        // On an empty store this goes well; on the rows there are, it does not.
        (
            shop_with(&[("migrations/2.sql", "INSERT INTO item (name) VALUES ('a');")]),
            "422: migrations/2.sql:1: UNIQUE constraint failed: item.name",
        ),
        (
            shop_with(&[("migrations/2.sql", "UPDATE item SET name = 'unspeakable' WHERE name = 'unspeakables';")]),
            "422: snapshot.sql does not take the rows there are: ",
        ),
        (
            shop_with(&[("migrations/1.sql", "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE);")]),
            "422: migrations/1.sql: it has changed since it ran",
        ),
    ] {
        let problem = push(packed).await;
        assert!(problem.starts_with(expected), "{problem}");
        assert_eq!(origin.heads(&Heads::new()).await["shop"], head);
    }
    let problem = origin.problem(Method::PUT, "/v1/apps/shop/data", b"not a database".to_vec()).await;
    assert!(problem.starts_with("422: the file is not a SQLite database"), "{problem}");
    let problem = origin.problem(Method::PUT, "/v1/apps/new/archive", b"nonsense".to_vec()).await;
    assert!(problem.starts_with("422: "), "{problem}");
    assert_eq!(origin.status().await.apps.len(), 1, "an app that never was is forgotten");
    assert!(!folder.path().join("data/apps/new").exists());
    assert_eq!(
        fs::read_dir(folder.path().join("data/apps/shop"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().contains("incoming"))
            .count(),
        0
    );

    // It goes on: data, and a version that is fine.
    origin.push("/v1/apps/shop/data", data(&["a"])).await.unwrap();
    let next = shop_with(&[
        ("migrations/2.sql", "ALTER TABLE item ADD COLUMN note;"),
        ("snapshot.sql", "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE more (x);"),
    ]);
    let pushed = origin.push("/v1/apps/shop/archive", next).await.unwrap();
    assert_eq!(done(&pushed.report), ["migrations/2.sql: applied"]);
    assert_eq!(origin.names(pushed.release.unwrap()).await, ["a"]);
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_start_can_be_pulled_and_pushed_again() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    let packed = archive(&shop());
    let head = origin.push("/v1/apps/shop/archive", packed.clone()).await.unwrap().release.unwrap();
    let digest = origin.manifest(head).await.app_digest;
    origin.stop().await;

    let path = folder.path().join(format!("data/objects/shop/archives/{digest}"));
    fs::write(&path, vec![0; packed.len()]).unwrap();
    let origin = start(folder.path()).await;
    let status = origin.status().await;
    let fault = status.apps["shop"].last_error.as_deref().unwrap_or_default();
    assert!(fault.contains("is not what its name says"), "{fault}");
    assert!(origin.names(head).await.is_empty());
    let problem = origin.problem(Method::POST, "/v1/apps/shop/commands/buy", "{}").await;
    assert!(problem.starts_with("503: `shop` is not running"), "{problem}");
    let problem = origin.problem(Method::PUT, "/v1/apps/shop/data", data(&["a"])).await;
    assert!(problem.starts_with("409: nothing runs here yet"), "{problem}");

    assert_eq!(origin.push("/v1/apps/shop/archive", packed).await.unwrap().release, Some(head));
    origin.push("/v1/apps/shop/data", data(&["a"])).await.unwrap();
    assert_eq!(origin.status().await.apps["shop"].last_error, None);
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_heads_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    let first = origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap().release.unwrap();
    let has: Heads = [("shop".to_owned(), first)].into();
    assert_eq!(origin.heads(&Heads::new()).await, has, "different at once");

    let waiting = tokio::time::timeout(Duration::from_millis(300), origin.heads(&has)).await;
    assert!(waiting.is_err(), "the same: it waits");
    let pushing = origin.push("/v1/apps/shop/data", data(&["a"]));
    let (woken, pushed) = tokio::join!(tokio::time::timeout(limits::LONG_POLL / 2, origin.heads(&has)), pushing);
    assert_eq!(woken.unwrap()["shop"], pushed.unwrap().release.unwrap());

    // A commit reaches the heads by itself, after the pause.
    let has = origin.heads(&Heads::new()).await;
    let file = folder.path().join("more.db");
    fs::write(&file, data(&["a", "b"])).unwrap();
    let writer = origin.origin.site("shop").unwrap().running().unwrap().writer.clone();
    writer.merge(&file).await.unwrap();
    drop(writer);
    let committed = std::time::Instant::now();
    let heads = tokio::time::timeout(limits::LONG_POLL / 2, origin.heads(&has)).await.unwrap();
    assert!(committed.elapsed() >= limits::PUBLISH_COMPANY / 2);
    assert_eq!(origin.names(heads["shop"]).await, ["a", "b"]);

    let started = std::time::Instant::now();
    let has = heads;
    let Running { client, stop, served, .. } = origin;
    let asked = serde_json::to_vec(&HeadsAsked {
        nonce: Nonce::from_bytes([8; 16]),
        have: has,
        node: None,
        candidates: Heads::new(),
    })
    .unwrap();
    let request = client.request(Method::POST, "/v1/heads").body(bytes(asked)).unwrap();
    let waiting = tokio::spawn(async move { client.send(request, WAIT).await.map(|response| response.status()) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), StatusCode::OK, "at the end, those who wait are answered");
    served.await.unwrap();
    assert!(started.elapsed() < limits::DRAIN, "and nothing is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_nonsense_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap();

    for token in [None, Some("".to_owned()), Some("0".repeat(64)), Some(format!("{}0", origin_token(folder.path())))] {
        let stranger = OriginClient::new(&format!("http://{}", origin.address), token).unwrap();
        for path in ["/v1/key", "/v1/status", "/v1/logs", "/v1/apps/shop/releases/1.1", "/nothing"] {
            let request = stranger.request(Method::GET, path).body(bytes("")).unwrap();
            let Err(ClientError::Refused(problem)) = stranger.send(request, WAIT).await else { panic!("{path}") };
            assert_eq!(problem.status, 401);
        }
    }
    let nobody = OriginClient::new(&format!("http://{}", origin.address), None).unwrap();
    assert_eq!(nobody.get("/livez", 64).await.unwrap(), "alive\n", "that it answers is no secret");
    let digest = Digest::of(b"");
    for (method, path, body, expected) in [
        (Method::GET, "/elsewhere", "", "404: there is nothing at this path"),
        (Method::GET, "/v1/logs?level=loud", "", "400: level `loud` is none of trace, debug, info, warn, error"),
        (Method::GET, "/v1/apps/none/releases/1.1", "", "404: no app `none` here: push it first"),
        (Method::PUT, "/v1/apps/none/data", "x", "404: no app `none` here"),
        (Method::POST, "/v1/apps/none/commands/buy", "{}", "404: no app `none` here"),
        (Method::PUT, "/v1/apps/No_ne/archive", "", "404: `No_ne` is not a name"),
        (Method::GET, "/v1/apps/shop/releases/9.9", "", "404: `shop` has no release 9.9"),
        (Method::GET, "/v1/apps/shop/releases/..%2Fx", "", "404: `..%2Fx` is not a release"),
        (Method::GET, &format!("/v1/apps/shop/snapshots/{digest}"), "", "404: `shop` has no snapshot af13"),
        (Method::GET, "/v1/apps/shop/archives/../../../token", "", "404: "),
        (Method::POST, "/v1/key", "", "405: this path takes GET"),
        (Method::POST, "/v1/heads", "[1]", "400: the body is {\"nonce\": 32 digits"),
        (Method::POST, "/v1/apps/shop/tasks/mail", "{}", "404: the app has no task `mail`"),
        (Method::GET, "/v1/apps/shop/render?target=%2Fx", "", "400: render needs a Nearside-Receipt"),
        (Method::GET, "/v1/apps/shop/render?target=x", "", "400: render needs ?target=/path"),
    ] {
        let problem = origin.problem(method.clone(), path, body.to_owned()).await;
        assert!(problem.starts_with(expected), "{method} {path}: {problem}");
    }
    let outcome = origin.send(Method::POST, "/v1/apps/shop/commands/buy", "{}").await.unwrap();
    assert!(matches!(serde_json::from_slice(&outcome).unwrap(), Outcome::Invalid { .. }));
    let request = origin.client.request(Method::POST, "/v1/apps/shop/commands/buy").body(bytes("{}")).unwrap();
    let problem = told(origin.client.send(request, WAIT).await.map(|_| Vec::new()));
    assert!(problem.starts_with("400: a write needs an Idempotency-Key"), "{problem}");
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap();
    let token = origin_token(folder.path());

    // Announced too large: answered before any of it is sent.
    let head = |path: &str, framing: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nhost: o\r\nauthorization: bearer {token}\r\nidempotency-key: k\r\n{framing}\r\n\r\n"
        )
    };
    let length = format!("content-length: {}", limits::APP_ARCHIVE_BYTES + 1);
    let answer = raw(&origin.address, head("/v1/apps/shop/archive", &length), b"").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("application/problem+json") && answer.contains("the body is over 67108864 bytes"),
        "{answer}"
    );

    // Not announced: cut off where the limit is.
    let payload = vec![b' '; limits::COMMAND_PAYLOAD_BYTES + 1];
    let chunked = [format!("{:x}\r\n", payload.len()).as_bytes(), &payload, b"\r\n0\r\n\r\n"].concat();
    let command = head("/v1/apps/shop/commands/buy", "transfer-encoding: chunked").replacen("PUT", "POST", 1);
    let answer = raw(&origin.address, command, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(origin.status().await.apps["shop"].last_error, None);
    origin.stop().await;
}

#[tokio::test]
async fn two_origins_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.path().join("data"),
        token_file: None,
        certificates: None,
        client_ca: None,
        objects: None,
        traces: Default::default(),
        apps: Default::default(),
    };
    let second = Origin::open(config, Engine::start(&folder.path().join("compiled")).unwrap(), Logbook::new()).await;
    assert!(second.is_err_and(|error| error.to_string().contains("another origin is running")));
    origin.stop().await;
}

fn origin_token(folder: &Path) -> String {
    fs::read_to_string(folder.join("data/token")).unwrap().trim().to_owned()
}

/// What comes back for these bytes, until the first pause.
async fn raw(address: &str, head: String, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The other side may have closed already: that is what is looked at.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_target_is_decoded_or_refused() {
    assert_eq!(target_in("target=%2Fsearch%3Fq%3Da%2Bb+c&x=1").as_deref(), Some("/search?q=a+b c"));
    for nonsense in ["", "target=", "target=x", "target=%2", "target=%zz", "target=%ff", "x=%2F"] {
        assert_eq!(target_in(nonsense), None, "{nonsense}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_stored_under_its_hash_and_given_back() {
    let data = tempfile::tempdir().unwrap();
    let running = start(data.path()).await;
    let digest = Digest::of(b"a picture");
    let path = format!("/v1/apps/shop/blobs/{digest}");
    assert!(running.problem(Method::PUT, &path, "a picture").await.contains("push it first"));
    running.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap();

    assert!(running.problem(Method::GET, &path, "").await.starts_with("404: `shop` has no blob"));
    for _ in 0..2 {
        assert!(running.send(Method::PUT, &path, "a picture").await.unwrap().is_empty());
    }
    assert_eq!(running.send(Method::GET, &path, "").await.unwrap(), b"a picture");
    let wrong = running.problem(Method::PUT, &path, "another picture").await;
    assert!(wrong.starts_with("422: its hash is"), "{wrong}");
    assert!(running.problem(Method::DELETE, &path, "").await.starts_with("405"));
    assert!(running.problem(Method::GET, "/v1/apps/shop/blobs/nonsense", "").await.starts_with("404"));

    running.stop().await;
    let running = start(data.path()).await;
    assert_eq!(running.send(Method::GET, &path, "").await.unwrap(), b"a picture", "after a start");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_do_not_name_one_host() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap();
    let named = |hosts: &str| {
        let manifest = MANIFEST.replace("\"shop\"", "\"stall\"").replace("[\"shop.example\"]", hosts);
        shop_with(&[("nearside.toml", Box::leak(manifest.into_boxed_str()))])
    };
    let both = named("[\"stall.example\", \"shop.example\"]");
    let problem = origin.problem(Method::PUT, "/v1/apps/stall/archive", both.clone()).await;
    assert!(problem.starts_with("409: `stall` names the host `shop.example`, and so does `shop`"), "{problem}");
    assert_eq!(origin.status().await.apps.len(), 1, "an app that never was is forgotten");
    origin.push("/v1/apps/stall/archive", named("[\"stall.example\"]")).await.unwrap();
    origin.stop().await;

    // After a start it is known still; and a name that is given up is free.
    let origin = start(folder.path()).await;
    let problem = origin.problem(Method::PUT, "/v1/apps/stall/archive", both.clone()).await;
    assert!(problem.starts_with("409: "), "{problem}");
    let elsewhere = MANIFEST.replace("shop.example", "elsewhere.example");
    let elsewhere = shop_with(&[("nearside.toml", Box::leak(elsewhere.into_boxed_str()))]);
    origin.push("/v1/apps/shop/archive", elsewhere).await.unwrap();
    origin.push("/v1/apps/stall/archive", both).await.unwrap();
    origin.stop().await;
}

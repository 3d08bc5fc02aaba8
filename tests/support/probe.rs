//! The probe app, as its visitors use it: two numbers that every write keeps equal.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    App, eventually,
    http::{self, Answer},
};

pub const SITE: &str = "probe.localhost";

/// The probe app, changed so that its two numbers can be pushed as data too.
pub fn taking_data(into: &Path) -> App {
    let app = App::copy("probe", into);
    app.append("nearside.toml", "\n[data]\nleft = [\"id\"]\nright = [\"id\"]\n");
    app
}

/// Such data: both numbers are `n`.
pub fn data(folder: &Path, n: i64) -> PathBuf {
    let file = folder.join(format!("{n}.db"));
    let database = rusqlite::Connection::open(&file).unwrap();
    let tables =
        "CREATE TABLE \"left\" (id INTEGER PRIMARY KEY, n); CREATE TABLE \"right\" (id INTEGER PRIMARY KEY, n);";
    database.execute_batch(tables).unwrap();
    database.execute("INSERT INTO \"left\" VALUES (1, ?1)", [n]).unwrap();
    database.execute("INSERT INTO \"right\" VALUES (1, ?1)", [n]).unwrap();
    file
}

/// A bump that was acknowledged.
#[derive(Clone, Debug)]
pub struct Bumped {
    /// What the numbers are since.
    pub n: i64,
    pub receipt: String,
}

impl Bumped {
    pub fn cookie(&self) -> String {
        format!("other=1; nearside-receipt={}", self.receipt)
    }
}

/// The same, if there is an answer.
pub fn try_get(node: SocketAddr, path: &str) -> io::Result<Answer> {
    http::request(node, SITE, "GET", path, &[], "")
}

pub fn get(node: SocketAddr, path: &str) -> Answer {
    http::request(node, SITE, "GET", path, &[], "").unwrap()
}

/// Submits a command; the answer says in words what became of it.
pub fn command(node: SocketAddr, name: &str, payload: &str, headers: &[(&str, &str)]) -> Answer {
    http::request(node, SITE, "POST", &format!("/command?name={name}"), headers, payload).unwrap()
}

/// A bump that must be taken at once.
pub fn bump(node: SocketAddr) -> Bumped {
    let answer = http::request(node, SITE, "POST", "/bump", &[], "").unwrap();
    read_bump(&answer).unwrap_or_else(|| panic!("not taken: {answer:?}"))
}

/// One attempt at a bump, under a key.
pub fn try_bump(node: SocketAddr, key: &str) -> io::Result<Answer> {
    http::request(node, SITE, "POST", "/bump", &[("Idempotency-Key", key)], "")
}

/// A bump as a client does it that wants it done once: again under the same key until it is acknowledged.
pub fn bump_once(node: SocketAddr, key: &str) -> Bumped {
    eventually("a bump is acknowledged", || try_bump(node, key).ok().as_ref().and_then(read_bump))
}

pub fn read_bump(answer: &Answer) -> Option<Bumped> {
    let text = answer.text();
    let reply = text.strip_prefix("applied ")?.split_once(' ')?.1;
    let reply: serde_json::Value = serde_json::from_str(reply).ok()?;
    Some(Bumped { n: reply["n"].as_i64()?, receipt: answer.header("nearside-receipt").to_owned() })
}

/// The two numbers, which must be equal.
pub fn pair(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    let (left, right) = text.trim().split_once(' ').unwrap_or_else(|| panic!("no pair: {text}"));
    assert_eq!(left, right, "torn: {answer:?}");
    left.parse().unwrap()
}

/// The two numbers as the one who holds this receipt is shown them.
pub fn own_pair(node: SocketAddr, bumped: &Bumped) -> i64 {
    let answer = http::request(node, SITE, "GET", "/pair", &[("Cookie", &bumped.cookie())], "").unwrap();
    assert_eq!(answer.header("nearside-behind"), "", "{answer:?}");
    pair(&answer)
}

//! A desk that takes writes: the probe's commands, none of them deferrable, behind a handler that answers as apps do, with a
//! status and a problem document.

use std::{io, net::SocketAddr, path::Path};

use super::{
    App, Origin,
    http::{self, Answer},
    module,
};

pub const SITE: &str = "desk.localhost";

const MANIFEST: &str = r#"
name = "desk"
hosts = ["desk.localhost"]

[components]
pages = "stacks_pages.wasm"
commands = "probe_commands.wasm"

[[routes]]
path = "/write/{command}"
methods = ["POST"]
component = "pages"

[commands.bump]
component = "commands"
schema = "schemas/bump.json"

[commands.trap]
component = "commands"
schema = "schemas/object.json"

[commands.loop]
component = "commands"
schema = "schemas/object.json"

[commands.reject]
component = "commands"
schema = "schemas/object.json"

[mirror]
left = ["id", "n"]
right = ["id", "n"]
"#;

/// A bump by 13 trips after the first of its two changes.
const TRIGGER: &str = "CREATE TRIGGER no_thirteen BEFORE UPDATE ON \"right\" WHEN new.n - old.n = 13
BEGIN
  SELECT RAISE(ABORT, 'not by thirteen');
END;
";

pub fn app(into: &Path) -> App {
    let pages = module("stacks").join("../target/wasm32-wasip2/release/stacks_pages.wasm");
    let app = App::copy("probe", into);
    std::fs::copy(pages, into.join("stacks_pages.wasm")).unwrap();
    std::fs::remove_file(into.join("queries.sql")).unwrap();
    app.write("nearside.toml", MANIFEST);
    app.write("migrations/0002_no_thirteen.sql", TRIGGER);
    app
}

pub fn write(node: SocketAddr, command: &str, payload: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    let headers = [&[("Accept", "application/json")], headers].concat();
    http::request(node, SITE, "POST", &format!("/write/{command}"), &headers, payload)
}

/// The two numbers of the store, which every bump moves together.
pub fn numbers(origin: &Origin) -> (i64, i64) {
    let store = rusqlite::Connection::open(origin.data().join("apps/desk/store.db")).unwrap();
    store.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    let both = "SELECT (SELECT n FROM \"left\"), (SELECT n FROM \"right\")";
    store.query_row(both, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// What the origin has recorded under this key, and how often.
pub fn recorded(origin: &Origin, key: &str) -> Vec<String> {
    let store = rusqlite::Connection::open(origin.data().join("apps/desk/store.db")).unwrap();
    store.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    let mut statement = store.prepare("SELECT outcome FROM _nearside_dedupe WHERE key = ?1").unwrap();
    let found = statement.query_map([key], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

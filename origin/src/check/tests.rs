use std::fs;

use super::*;

/// A component that exports nothing and imports nothing.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// One that imports `a:b/c` with a function `f`.
const STRANGE_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0\
    \x07\x0e\x01\x42\x02\x01\x40\x00\x01\x00\x04\x00\x01f\x01\x00\
    \x0a\x0a\x01\x00\x05a:b/c\x05\x00";

const MANIFEST: &str = r#"name = "shop"
hosts = ["shop.example"]

[mirror]
item = ["id", "name", "price"]

[data]
item = ["name"]
"#;
const MIGRATION: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price INTEGER, cost INTEGER);\n";
const SNAPSHOT: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);\n";
const QUERIES: &str = "-- name: all\nSELECT name, price FROM item ORDER BY id LIMIT ?;\n\n-- name: one\nSELECT name\nFROM item WHERE id = ?;\n";

struct App(Vec<(&'static str, Vec<u8>)>);

fn app() -> App {
    let file = |name, text: &str| (name, text.as_bytes().to_vec());
    App(vec![
        file("nearside.toml", MANIFEST),
        file("migrations/1.sql", MIGRATION),
        file("snapshot.sql", SNAPSHOT),
        file("queries.sql", QUERIES),
    ])
}

impl App {
    fn with(mut self, name: &'static str, bytes: impl AsRef<[u8]>) -> App {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, bytes.as_ref().to_vec()));
        self
    }

    fn edit(self, name: &'static str, from: &str, to: &str) -> App {
        let (_, bytes) = self.0.iter().find(|(other, _)| *other == name).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{from}");
        self.with(name, text.replace(from, to))
    }

    fn findings(&self, engine: &Engine) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.0 {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let archive = Archive::collect(folder.path()).unwrap();
        check(&archive, engine).iter().map(|finding| format!("{finding}\n")).collect()
    }
}

#[test]
fn each_broken_app_is_told_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(folder.path()).unwrap();
    let routed = |what: &str| format!("{MANIFEST}\n[components]\np = \"p.wasm\"\n{what}");
    let route = routed("[[routes]]\npath = \"/\"\ncomponent = \"p\"\n");
    let command = routed("[commands.buy]\ncomponent = \"p\"\nschema = \"buy.json\"\n");
    let task = routed("[tasks.mail]\ncomponent = \"p\"\n");

    let broken = [
        app().edit("migrations/1.sql", "price INTEGER", "price INTEGER,\n  CHEK (price > 0)"),
        app().with(
            "migrations/2.sql",
            "-- more\nCREATE TABLE extra (id INTEGER PRIMARY KEY);\nDELETE FROM _nearside_task;\n",
        ),
        app().edit(
            "snapshot.sql",
            ");",
            ");\nCREATE TRIGGER t AFTER DELETE ON item BEGIN\n  SELECT 1;\nEND;\nCREATE INDEX i ON nowhere (x);",
        ),
        app().edit(
            "snapshot.sql",
            ");",
            ");\nCREATE TRIGGER t AFTER UPDATE OF price ON item BEGIN\n  INSERT INTO count VALUES (1);\nEND;",
        ),
        app().edit("snapshot.sql", ");", ");\nATTACH 'other.db' AS other;"),
        app().edit("snapshot.sql", ");", ");\nCREATE TABLE _nearside_mine (x);"),
        app().edit(
            "snapshot.sql",
            "item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)",
            "item (id INTEGER PRIMARY KEY, name TEXT, price REAL, rank NOT NULL)",
        ),
        app().edit("snapshot.sql", "id INTEGER PRIMARY KEY", "id INT PRIMARY KEY"),
        app().edit("nearside.toml", "\"price\"", "\"price\", \"weight\""),
        app().edit("nearside.toml", "[mirror]", "[mirror]\nnothing = [\"id\"]"),
        app().edit("nearside.toml", "[\"name\"]", "[\"cost\"]"),
        app().edit("nearside.toml", "[data]", "[data]\norders = [\"number\"]"),
        app().edit("queries.sql", "FROM item WHERE", "FROM items WHERE"),
        app().edit("queries.sql", "SELECT name\nFROM item WHERE id = ?", "DELETE FROM item\nWHERE id = ?"),
        app().edit("queries.sql", "SELECT name\nFROM item", "SELECT commit_no\nFROM _nearside_applied"),
        app().edit("queries.sql", "SELECT name\nFROM", "SELECT name, random()\nFROM"),
        app().edit("queries.sql", "id = ?;\n", "id = ?;\nSELECT 2;\n"),
        app().edit("queries.sql", "-- name: one\n", "-- name: all\n"),
        app().with("nearside.toml", &route).with("p.wasm", "not wasm"),
        app().with("nearside.toml", &route).with("p.wasm", EMPTY_COMPONENT),
        app().with("nearside.toml", &route).with("p.wasm", STRANGE_COMPONENT),
        app().with("nearside.toml", &command).with("p.wasm", EMPTY_COMPONENT).with("buy.json", "{\n  \"type\": \n}"),
        app()
            .with("nearside.toml", &command)
            .with("p.wasm", STRANGE_COMPONENT)
            .with("buy.json", "{\"type\": \"nonsense\"}"),
        app().with("nearside.toml", &task).with("p.wasm", EMPTY_COMPONENT),
    ];
    assert_eq!(app().findings(&engine), "");
    let told: Vec<String> = broken.iter().map(|app| app.findings(&engine)).collect();
    let golden = include_str!("findings.txt");
    assert_eq!(told.join("--\n"), golden, "\n{}", told.join("--\n"));
}

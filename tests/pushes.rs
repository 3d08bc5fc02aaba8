//! A push that cannot be right is refused with its place and what to do, and what was running goes on running.

mod support;

use std::path::Path;

use support::{
    App, Site, packages, probe,
    process::{run, text},
};

/// What is done to a good app, and what is said of it.
struct Break {
    what: &'static str,
    how: fn(&App),
    told: &'static [&'static str],
}

const BREAKS: &[Break] = &[
    Break {
        what: "a manifest that is not TOML",
        how: |app| app.replace("nearside.toml", "[components]", "[components"),
        told: &["nearside.toml:9: error: unclosed table"],
    },
    Break {
        what: "an unknown key in it",
        how: |app| app.replace("nearside.toml", "attempts = 3", "atempts = 3"),
        told: &["nearside.toml:", "unknown field `atempts`", "perhaps `attempts` is meant"],
    },
    Break {
        what: "a route to a component that is not there",
        how: |app| {
            app.replace(
                "nearside.toml",
                "path = \"/hello\"\ncomponent = \"probe\"",
                "path = \"/hello\"\ncomponent = \"prob\"",
            )
        },
        told: &["nearside.toml:14: error: component `prob` is not in [components]: add it there"],
    },
    Break {
        what: "a component that was not built",
        how: |app| std::fs::remove_file(app.path().join("probe_tasks.wasm")).unwrap(),
        told: &[
            "nearside.toml:12: error: component `tasks` is not there: probe_tasks.wasm",
            "run `nearside build` first",
        ],
    },
    Break {
        what: "a component that is not WebAssembly",
        how: |app| app.write("probe_tasks.wasm", "#!/bin/sh\n"),
        told: &[
            "nearside.toml:12: error: component `tasks` (probe_tasks.wasm) is not WebAssembly",
            "name the .wasm file that the build makes",
        ],
    },
    Break {
        what: "a component that does nothing it is there for",
        how: |app| app.write("probe_tasks.wasm", STRANGE_COMPONENT),
        told: &["component `tasks` (probe_tasks.wasm)", "nearside:edge/task-handler", "[component-role]"],
    },
    Break {
        what: "a component in the wrong role",
        how: |app| app.replace("nearside.toml", "probe_handlers.wasm", "probe_commands.wasm"),
        told: &["component `probe` (probe_commands.wasm) is built as a command", "exports wasi:http/incoming-handler"],
    },
    Break {
        what: "a schema that is not JSON",
        how: |app| app.write("schemas/bump.json", "{\n  \"type\": \"object\",\n}\n"),
        told: &["schemas/bump.json:3: error: the schema is not JSON"],
    },
    Break {
        what: "JSON that is not a schema",
        how: |app| app.write("schemas/bump.json", "{ \"type\": \"thing\" }"),
        told: &["schemas/bump.json:1: error: this is no JSON Schema at /type", "[schema-invalid]"],
    },
    Break {
        what: "a migration that fails",
        how: |app| {
            app.write("migrations/0002_more.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);\nUPDATE \"left\" SET n = 77;\nINSERT INTO mroe (id) VALUES (1);\n")
        },
        told: &[
            "migrations/0002_more.sql:3: error: the migration stops here: no such table: mroe",
            "there is a table `more`",
        ],
    },
    Break {
        what: "a migration that ends the transaction",
        how: |app| app.write("migrations/0002_more.sql", "UPDATE \"left\" SET n = 77;\nCOMMIT;\n"),
        told: &["migrations/0002_more.sql:2: error: the migration does what migrations may not", "no transactions"],
    },
    Break {
        what: "a query that does not prepare",
        how: |app| {
            app.replace(
                "queries.sql",
                "SELECT n FROM \"right\" WHERE id = 1",
                "SELECT n\nFROM \"right\" WHERE ident = 1",
            )
        },
        told: &["queries.sql:6: error: query `right` does not fit snapshot.sql: no such column: ident"],
    },
    Break {
        what: "a query that changes something",
        how: |app| app.append("queries.sql", "\n-- name: gone\nDELETE FROM \"left\";\n"),
        told: &["queries.sql:", "query `gone` changes something", "put the change into a command"],
    },
    Break {
        what: "a query whose answer is not in the pages",
        how: |app| app.append("queries.sql", "\n-- name: dice\nSELECT random();\n"),
        told: &["queries.sql:", "query `dice`", "random()"],
    },
    Break {
        what: "a snapshot.sql that fails",
        how: |app| app.append("snapshot.sql", "CREATE INDEX by_n ON nowhere (n);\n"),
        told: &["snapshot.sql:7: error: snapshot.sql stops here: no such table: main.nowhere"],
    },
    Break {
        what: "a trigger that will fail",
        how: |app| {
            app.append(
                "snapshot.sql",
                "CREATE TRIGGER t AFTER UPDATE ON \"left\" BEGIN\n  INSERT INTO sum VALUES (new.n);\nEND;\n",
            )
        },
        told: &["snapshot.sql:7: error: trigger `t` cannot run at UPDATE on `left`: no such table: main.sum"],
    },
    Break {
        what: "a mirrored column that is not there",
        how: |app| app.replace("nearside.toml", "left = [\"id\", \"n\"]", "left = [\"id\", \"n\", \"m\"]"),
        told: &["nearside.toml:", "mirror.left", "`m`", "add it"],
    },
];

/// It imports `a:b/c`, with a function `f`.
const STRANGE_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0\
    \x07\x0e\x01\x42\x02\x01\x40\x00\x01\x00\x04\x00\x01f\x01\x00\
    \x0a\x0a\x01\x00\x05a:b/c\x05\x00";

#[test]
fn a_broken_app_is_refused_and_the_one_before_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let good = App::copy("probe", &folder.path().join("good"));
    let site = Site::start(&[good.path()], &["a"]);
    let a = &site.nodes[0];
    let digest = || a.status()["apps"]["probe"]["app_digest"].to_string();
    let before = digest();
    for (bumps, Break { what, how, told }) in (1..).zip(BREAKS) {
        let broken = good.copy_to(&folder.path().join(format!("broken-{bumps}")));
        how(&broken);
        let checked = run(&["check", text(broken.path())]);
        assert_eq!(checked.code, Some(1), "{what}: {checked:?}");
        told.iter().for_each(|word| assert!(checked.out.contains(word), "{what}: no `{word}` in: {}", checked.out));

        let pushed = site.origin.push(broken.path());
        pushed.failed_with(told);

        let bumped = probe::bump(a.address);
        assert_eq!((bumped.n, probe::own_pair(a.address, &bumped)), (bumps, bumps), "after {what}");
        assert_eq!(digest(), before, "after {what}");
    }

    good.append("migrations/0001_pair.sql", "-- A remark.\n");
    site.origin.push(good.path()).failed_with(&[
        "migrations/0001_pair.sql",
        "it has changed since it ran",
        "put the change into a new file",
    ]);
    good.replace("migrations/0001_pair.sql", "-- A remark.\n", "");
    assert_eq!(probe::bump(a.address).n, BREAKS.len() as i64 + 1);

    good.write("migrations/0002_double.sql", "UPDATE \"left\" SET n = 1000;\nUPDATE \"right\" SET n = 1000;\n");
    good.patch("probe_handlers.wasm", "probe 1", "probe 2");
    let pushed = site.origin.push(good.path());
    assert!(pushed.out.contains("migrations/0002_double.sql: applied"), "{pushed:?}");
    a.wait_for(pushed.release(), "probe");
    assert_eq!(probe::get(a.address, "/version").text(), "probe 2 1000\n");
    assert_eq!(probe::bump(a.address).n, 1_001);
}

#[test]
fn broken_data_is_refused_and_the_data_before_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(&[&support::module("packages")], &["a"]);
    let a = &site.nodes[0];
    let page = |name: &str| a.get(packages::SITE, &format!("/package/{name}")).status;
    let push = |file: &Path| site.origin.push_data(file, "packages");
    let released = |file: &Path| a.wait_for(push(file).release(), "packages");
    released(&packages::catalogue(folder.path(), &["hammer", "saw"]));
    assert_eq!((page("hammer"), page("saw"), page("drill")), (200, 200, 404));

    let file = |bytes: &[u8]| {
        let file = folder.path().join("broken.db");
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let whole = std::fs::read(packages::catalogue(folder.path(), &["drill"])).unwrap();
    push(&file(b"name,version\ndrill,1\n")).failed_with(&["the file is not a SQLite database"]);
    push(&file(b"")).failed_with(&["the file is not a SQLite database"]);
    push(&file(&whole[..whole.len() - 4_096])).failed_with(&["database disk image is malformed"]);
    let changed = |sql: &str| {
        let file = packages::catalogue(folder.path(), &["drill"]);
        rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        file
    };
    for (sql, told) in [
        ("ALTER TABLE package DROP COLUMN name", "package: the file lacks the column `name`"),
        ("ALTER TABLE package ADD COLUMN colour", "package: the file has a column `colour`"),
        ("UPDATE package SET version = NULL", "package row 1 (name = 'drill'): NOT NULL constraint failed"),
        ("UPDATE package SET tags = '{}'", "package row 1 (name = 'drill'): CHECK constraint failed"),
        ("INSERT INTO package SELECT * FROM package", "another row of the file has the same key"),
        ("DROP TABLE package; DROP TABLE dependency", "none of the tables in [data]: dependency, package"),
    ] {
        push(&changed(sql)).failed_with(&[told]);
    }
    site.origin.push_data(&changed(""), "nowhere").failed_with(&["no app `nowhere` here: push it first"]);
    assert_eq!((page("hammer"), page("saw"), page("drill")), (200, 200, 404));

    released(&changed(""));
    assert_eq!((page("hammer"), page("saw"), page("drill")), (404, 404, 200));
}

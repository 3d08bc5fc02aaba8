//! The virtual table as SQLite's users meet it.

use nearside_search::{SHADOW_TABLES, inspect::inspect};
use rusqlite::{Connection, params};

const SCHEMA: &str = "
CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, summary TEXT, section TEXT);
CREATE VIRTUAL TABLE found USING nearside_search(name, summary, section,
    content='package', content_rowid='id', weights='8,3', tags='section');
CREATE TRIGGER added AFTER INSERT ON package BEGIN
    INSERT INTO found (rowid, name, summary, section) VALUES (new.id, new.name, new.summary, new.section);
END;
CREATE TRIGGER removed AFTER DELETE ON package BEGIN
    INSERT INTO found (found, rowid, name, summary, section)
    VALUES ('delete', old.id, old.name, old.summary, old.section);
END;
CREATE TRIGGER changed AFTER UPDATE ON package BEGIN
    INSERT INTO found (found, rowid, name, summary, section)
    VALUES ('delete', old.id, old.name, old.summary, old.section);
    INSERT INTO found (rowid, name, summary, section) VALUES (new.id, new.name, new.summary, new.section);
END;";

fn open(file: &str) -> Connection {
    let connection = Connection::open(file).unwrap();
    nearside_search::register(&connection).unwrap();
    connection
}

fn filled() -> Connection {
    let connection = open(":memory:");
    connection.execute_batch(SCHEMA).unwrap();
    connection
        .execute_batch(
            "INSERT INTO package VALUES (1, 'nginx', 'small, powerful web server', 'httpd,net'),
             (2, 'gimp', 'image editor', 'graphics'), (3, 'web-editor', 'editor for the web', 'graphics web'),
             (4, 'apache2', 'the web server of the Apache project', 'httpd');",
        )
        .unwrap();
    connection
}

fn ids(connection: &Connection, sql: &str, query: &str) -> Vec<i64> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([query], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

const BEST: &str = "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank";

/// The first change of a connection, in the middle of a statement that goes on to write elsewhere.
#[test]
fn other_triggers_of_the_same_row_run() {
    let connection = open(":memory:");
    connection
        .execute_batch(&format!(
            "CREATE TABLE section (name TEXT PRIMARY KEY, packages INTEGER) WITHOUT ROWID;
             CREATE VIRTUAL TABLE other USING nearside_search(text, content='');
             CREATE TRIGGER before BEFORE INSERT ON section BEGIN
                 INSERT INTO other (rowid, text) VALUES (7, new.name);
             END;
             {SCHEMA}
             CREATE TRIGGER counted AFTER INSERT ON package BEGIN
                 INSERT INTO section VALUES (new.section, 1) ON CONFLICT (name) DO UPDATE SET packages = packages + 1;
             END;
             INSERT INTO package VALUES (1, 'gimp', 'image editor', 'graphics');"
        ))
        .unwrap();
    assert_eq!(ids(&connection, BEST, "image"), [1]);
    assert_eq!(ids(&connection, "SELECT rowid FROM other WHERE other MATCH ?1", "graphics"), [7]);
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT packages FROM section"), 1);
    assert_eq!(count("SELECT count(*) FROM temp.nearside_search_waiting"), 0);
}

#[test]
fn it_is_asked_as_fts5_is() {
    let connection = filled();
    assert_eq!(ids(&connection, BEST, "web"), [3, 1, 4]);
    assert_eq!(ids(&connection, BEST, "\"web server\""), [1, 4]);
    assert_eq!(ids(&connection, BEST, "section:graphics editor"), [3, 2]);
    assert_eq!(ids(&connection, BEST, "web NOT server"), [3]);
    assert_eq!(ids(&connection, &format!("{BEST} LIMIT 1 OFFSET 1"), "web"), [1]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found(?1)", "web"), [1, 3, 4]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE found = ?1", "gim*"), [2]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE name MATCH ?1", "web"), [3]);
    assert_eq!(
        ids(&connection, "SELECT count(*) FROM found WHERE found MATCH ?1 AND summary LIKE '%server%'", "web"),
        [2]
    );
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank DESC", "web"), [4, 1, 3]);
    let joined = "SELECT package.id FROM found JOIN package ON package.id = found.rowid
                  WHERE found MATCH ?1 AND package.section LIKE '%httpd%' ORDER BY found.rank LIMIT 1";
    assert_eq!(ids(&connection, joined, "web"), [1]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE ?1 = '' ORDER BY rowid", ""), [1, 2, 3, 4]);
    let name: String = connection.query_row("SELECT name FROM found WHERE rowid = 2", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "gimp");
    let error = connection.prepare(BEST).unwrap().query_map(["a-b"], |_| Ok(())).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("byte 2"), "{error}");
}

#[test]
fn rows_go_on_past_what_was_looked_for_first() {
    let connection = open(":memory:");
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 1..=3_000 {
        connection
            .execute("INSERT INTO package VALUES (?1, 'same', ?2, NULL)", params![id, format!("x{}", id % 7)])
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    let sql = "SELECT package.id FROM found JOIN package ON package.id = found.rowid WHERE found MATCH ?1 ORDER BY found.rank";
    assert_eq!(ids(&connection, sql, "same"), (1..=3_000).collect::<Vec<i64>>());
    // By rowid a limit is heeded too, and it is no end where more rows are wanted than it told of.
    let first = "SELECT rowid FROM found WHERE found MATCH ?1 LIMIT 5 OFFSET 100";
    assert_eq!(ids(&connection, first, "same x3"), (0..5).map(|n| 703 + 7 * n).collect::<Vec<i64>>());
    let filtered = "SELECT rowid FROM found WHERE found MATCH ?1 AND rowid % 2 = 0 ORDER BY rowid LIMIT 50";
    assert_eq!(ids(&connection, filtered, "same"), (1..=50).map(|n| 2 * n).collect::<Vec<i64>>());
    let counted = "SELECT count(*) FROM (SELECT rowid FROM found WHERE found MATCH ?1 LIMIT 1000)";
    assert_eq!(ids(&connection, counted, "same"), [1_000]);
}

#[test]
fn a_json_array_is_tags() {
    let connection = filled();
    connection.execute_batch(r#"INSERT INTO package VALUES (9, 'vim', '', '["Editor", "a::b"]')"#).unwrap();
    assert_eq!(ids(&connection, BEST, "section:editor"), [9]);
    assert_eq!(ids(&connection, BEST, "section:\"a::b\""), [9]);
    connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')").unwrap();
}

#[test]
fn the_rowid_of_an_insert_stays_that_of_the_insert() {
    let connection = filled();
    connection.execute("INSERT INTO package VALUES (77, 'a', 'b', 'c')", []).unwrap();
    assert_eq!((connection.last_insert_rowid(), connection.changes()), (77, 1));
}

#[test]
fn without_content_the_old_text_has_to_be_told() {
    let connection = open(":memory:");
    connection.execute_batch("CREATE VIRTUAL TABLE found USING nearside_search(text, content='')").unwrap();
    connection.execute_batch("INSERT INTO found(rowid, text) VALUES (5, 'one two'), (9, 'two')").unwrap();
    assert_eq!(ids(&connection, BEST, "two"), [9, 5]);
    assert!(connection.execute("DELETE FROM found WHERE rowid = 5", []).is_err());
    connection.execute("INSERT INTO found(found, rowid, text) VALUES ('delete', 5, 'one two')", []).unwrap();
    assert_eq!(ids(&connection, BEST, "two"), [9]);
    assert!(
        connection
            .execute("INSERT INTO found(rowid, text) VALUES (-1, 'x')", [])
            .unwrap_err()
            .to_string()
            .contains("rowid -1")
    );
    connection.execute_batch("DROP TABLE found").unwrap();
    let left: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn the_same_statements_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let made = ["one.db", "two.db"].map(|name| {
        let file = folder.path().join(name);
        let connection = open(file.to_str().unwrap());
        connection.execute_batch(SCHEMA).unwrap();
        for round in 0..160 {
            connection.execute_batch("BEGIN").unwrap();
            for step in 0..20 {
                let id = (round * 7 + step * 13) % 400 + 1;
                let sql =
                    "INSERT INTO package VALUES (?1, ?2, ?3, 't') ON CONFLICT (id) DO UPDATE SET name = excluded.name";
                let words: Vec<String> =
                    (0..20).map(|word| format!("x{}", (round * 131 + step * 17 + word * 7_919) % 9_973)).collect();
                connection
                    .execute(sql, params![id, format!("n{} {}", step % 5, words.join(" ")), format!("common {step}")])
                    .unwrap();
            }
            connection.execute_batch("COMMIT").unwrap();
        }
        let segments = inspect(&connection, "found").unwrap().segments;
        assert!(segments.len() > 1 && segments.len() < 40, "{segments:?}");
        connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')").unwrap();
        std::fs::read(file).unwrap()
    });
    assert!(made[0] == made[1]);
}

#[test]
fn another_connection_sees_what_was_committed_and_forgets_what_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.db");
    let (writer, reader) = (open(file.to_str().unwrap()), open(file.to_str().unwrap()));
    writer.execute_batch(&format!("PRAGMA journal_mode = WAL; {SCHEMA}")).unwrap();
    writer.execute_batch("INSERT INTO package VALUES (1, 'one', '', '')").unwrap();
    assert_eq!(ids(&reader, BEST, "one"), [1]);
    writer.execute_batch("BEGIN; INSERT INTO package VALUES (2, 'one', '', '')").unwrap();
    assert_eq!((ids(&writer, BEST, "one"), ids(&reader, BEST, "one")), (vec![1, 2], vec![1]));
    writer.execute_batch("ROLLBACK; INSERT INTO package VALUES (3, 'one more', '', '')").unwrap();
    assert_eq!((ids(&writer, BEST, "one"), ids(&reader, BEST, "one")), (vec![1, 3], vec![1, 3]));
}

/// Connections that share a memory, and read different moments: each finds what is there at its own.
#[test]
fn one_memory_serves_connections_at_different_moments() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.db");
    let writer = open(file.to_str().unwrap());
    writer.execute_batch(&format!("PRAGMA journal_mode = WAL; {SCHEMA}")).unwrap();
    let memory = std::sync::Arc::new(nearside_search::Memory::default());
    let sharing = |memory: &std::sync::Arc<nearside_search::Memory>| {
        let connection = Connection::open(&file).unwrap();
        nearside_search::register_sharing(&connection, memory.clone()).unwrap();
        connection
    };
    writer.execute_batch("INSERT INTO package VALUES (1, 'one', 'a a a', '')").unwrap();
    let (old, new) = (sharing(&memory), sharing(&memory));
    assert_eq!(memory.bytes(), 0);
    old.execute_batch("BEGIN").unwrap();
    assert_eq!(ids(&old, BEST, "one"), [1]);
    let once = memory.bytes();
    assert!(once > 0);
    // The second document is another one later: shorter, so it comes first.
    for (sql, found) in [
        ("INSERT INTO package VALUES (2, 'one', 'b b b b b b b b b', '')", vec![1, 2]),
        ("UPDATE package SET summary = '' WHERE id = 2", vec![2, 1]),
        ("UPDATE package SET name = 'other' WHERE id = 1", vec![2]),
    ] {
        writer.execute_batch(sql).unwrap();
        assert_eq!((ids(&new, BEST, "one"), ids(&old, BEST, "one")), (found.clone(), vec![1]), "{sql}");
        assert_eq!(ids(&sharing(&memory), BEST, "one"), found);
        let next = std::sync::Arc::new(nearside_search::Memory::following(&memory));
        assert_eq!(ids(&sharing(&next), BEST, "one"), found);
        assert!(memory.bytes() < once + 4_096, "known once, and what is known changes in place: {}", memory.bytes());
    }
}

#[test]
fn a_dropped_index_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.db");
    let writer = open(file.to_str().unwrap());
    writer.execute_batch(&format!("{SCHEMA} INSERT INTO package VALUES (1, 'one', '', '')")).unwrap();
    let memory = std::sync::Arc::new(nearside_search::Memory::default());
    let connection = Connection::open(&file).unwrap();
    nearside_search::register_sharing(&connection, memory.clone()).unwrap();
    assert_eq!(ids(&connection, BEST, "one"), [1]);
    assert!(memory.bytes() > 0);
    connection.execute_batch("DROP TABLE found").unwrap();
    assert_eq!(memory.bytes(), 0);
}

/// Value, documents, whether that is exact; the first row is of all that is found.
type Facet = (Option<String>, i64, bool);

fn facets(connection: &Connection, query: &str, most: i64) -> Vec<Facet> {
    let sql = "SELECT value, documents, is_exact FROM search_facets('found', ?1, 'section', ?2)";
    let mut statement = connection.prepare_cached(sql).unwrap();
    let rows = statement.query_map(params![query, most], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn facets_count_what_is_found() {
    let connection = filled();
    let told = |query: &str, most| -> Vec<String> {
        let shown = |(value, count, exact): Facet| {
            format!("{} {count}{}", value.unwrap_or_default(), if exact { "" } else { "~" })
        };
        facets(&connection, query, most).into_iter().map(shown).collect()
    };
    assert_eq!(told("web", 9), [" 3", "httpd 2", "graphics 1", "net 1", "web 1"]);
    assert_eq!(told("web", 2), [" 3", "httpd 2", "graphics 1"]);
    assert_eq!(told("editor section:web", 9), [" 1", "graphics 1", "web 1"]);
    assert_eq!(told("nothing", 9), [" 0"]);
    assert!(told("", 9).is_empty());
    connection.execute_batch("UPDATE package SET section = 'net' WHERE id = 4").unwrap();
    assert_eq!(told("web", 9), [" 3", "net 2", "graphics 1", "httpd 1", "web 1"]);
    for (sql, told) in [
        ("SELECT * FROM search_facets('found', 'web', 'name', 9)", "no column of tags 'name'"),
        ("SELECT * FROM search_facets('package', 'web', 'section', 9)", "no search index 'package'"),
        ("SELECT * FROM search_facets('found', 'web')", "4 parameters are wanted"),
    ] {
        let error = connection.prepare(sql).unwrap().query_map([], |_| Ok(())).unwrap().next().unwrap().unwrap_err();
        assert!(error.to_string().contains(told), "{sql}: {error}");
    }
}

/// Over the bound, counts are near and marked; and the same whatever the segments.
#[test]
fn facets_of_many_are_estimates_that_say_so() {
    let connection = open(":memory:");
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 1..=25_000_i64 {
        let tags = format!("t{} u{}", id % 3, id * 7919 % 40);
        connection
            .execute(
                "INSERT INTO package VALUES (?1, 'all', ?2, ?3)",
                params![id, if id % 5 == 0 { "fifth" } else { "" }, tags],
            )
            .unwrap();
    }
    connection.execute_batch("COMMIT; DELETE FROM package WHERE id > 24_000 AND id % 2 = 0").unwrap();
    let exact = facets(&connection, "fifth", 3);
    assert_eq!(exact[0].1, 4_900);
    assert!(exact.iter().all(|(.., exact)| *exact));
    let estimated = facets(&connection, "all", 3);
    assert!(estimated.iter().all(|(.., exact)| !exact), "{estimated:?}");
    let there: i64 = connection.query_row("SELECT count(*) FROM package", [], |row| row.get(0)).unwrap();
    assert!((estimated[0].1 - there).abs() <= there / 50, "{estimated:?} of {there}");
    let third = there / 3;
    assert!(estimated[1..].iter().all(|(_, count, _)| (count - third).abs() <= third / 20), "{estimated:?}");
    connection.execute_batch("INSERT INTO found(found) VALUES ('rebuild')").unwrap();
    assert_eq!(facets(&connection, "all", 3), estimated);
}

#[test]
fn a_word_that_nobody_has_is_known_again() {
    let connection = filled();
    let spelled = |typed: &str| -> Option<String> {
        let sql = "SELECT text FROM search_spelled('found', ?1)";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([typed], |row| row.get(0)).unwrap().next().transpose().unwrap()
    };
    assert_eq!(spelled("Wbe sevrer,  powerfull!").as_deref(), Some("web server,  powerful!"));
    assert_eq!(spelled("web server"), None);
    assert_eq!(spelled("qqqqqq 12345"), None);
    assert_eq!(spelled("\"unclosed edtior"), Some("\"unclosed editor".into()));
    // Not what no document has any more.
    connection.execute_batch("UPDATE package SET name = 'krita' WHERE id = 2").unwrap();
    assert_eq!(spelled("gipm"), None);
    assert_eq!(spelled("kirta").as_deref(), Some("krita"));
}

/// Rows in the order of a number come out of the index in that order, as SQLite would put them, and it does not.
#[test]
fn rows_come_by_a_number() {
    let connection = open(":memory:");
    connection
        .execute_batch(
            "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, size INTEGER);
             CREATE VIRTUAL TABLE found USING nearside_search(name, size, content='package', content_rowid='id', numbers='size');
             CREATE TRIGGER added AFTER INSERT ON package BEGIN
                 INSERT INTO found (rowid, name, size) VALUES (new.id, new.name, new.size);
             END; BEGIN",
        )
        .unwrap();
    // Few sizes and many, near and far, below nothing, and none; several segments.
    for id in 1..=12_000_i64 {
        let size = match id % 7 {
            0 => None,
            1 | 2 => Some(id % 5),
            3 => Some(-id * 1_000_003),
            4 => Some(id << 40),
            _ => Some(id * 7_919 % 100_000),
        };
        let name = format!("all {} n{}", if id % 2_000 == 0 { "rare" } else { "" }, id % 3);
        connection.execute("INSERT INTO package VALUES (?1, ?2, ?3)", params![id, name, size]).unwrap();
        if id % 5_000 == 0 {
            connection.execute_batch("COMMIT; BEGIN").unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
    for query in ["all", "rare", "n1", "all NOT n1", "size:>=1000", "n2 size:..99999", "nothing", "size:3"] {
        for order in ["size", "size DESC", "size, rowid", "size DESC, rowid"] {
            // A sum is nothing that the index knows to sort by.
            let ours = format!("SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY {order}");
            let theirs = ours.replace("size", "size + 0") + if order.ends_with("rowid") { "" } else { ", rowid" };
            for part in ["LIMIT 10", "LIMIT 5 OFFSET 90", "LIMIT 3000", ""] {
                let (ours, theirs) = (format!("{ours} {part}"), format!("{theirs} {part}"));
                assert_eq!(ids(&connection, &ours, query), ids(&connection, &theirs, query), "{query}: {ours}");
            }
            let plan = |sql: &str| -> String {
                let sql = format!("EXPLAIN QUERY PLAN {sql} LIMIT 10");
                let mut statement = connection.prepare(&sql).unwrap();
                let rows = statement.query_map([query], |row| row.get::<_, String>(3)).unwrap();
                rows.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
            };
            assert!(!plan(&ours).contains("TEMP B-TREE"), "{}", plan(&ours));
            assert!(plan(&theirs).contains("TEMP B-TREE"), "{}", plan(&theirs));
        }
    }
    let ranked = "SELECT rowid FROM found WHERE found MATCH ?1 AND rank < 0 ORDER BY size DESC LIMIT 1";
    assert_eq!(ids(&connection, ranked, "all").len(), 1, "with ranks, SQLite sorts");
}

/// What FTS5's porter finds, and nothing else.
#[test]
fn forms_of_a_word_meet_as_in_fts5() {
    let connection = open(":memory:");
    let texts = include_str!("../../docs/search.md");
    connection
        .execute_batch(
            "CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT);
             CREATE VIRTUAL TABLE found USING nearside_search(text, content='line', content_rowid='id', tokenize='porter unicode61');
             CREATE VIRTUAL TABLE fts5 USING fts5(text, content='line', content_rowid='id',
                 tokenize='porter unicode61 remove_diacritics 2');",
        )
        .unwrap();
    for (id, line) in texts.lines().enumerate() {
        connection.execute("INSERT INTO line VALUES (?1, ?2)", params![id as i64, line]).unwrap();
    }
    connection
        .execute_batch("INSERT INTO found(found) VALUES ('rebuild'); INSERT INTO fts5(fts5) VALUES ('rebuild')")
        .unwrap();
    let mut asked: Vec<String> = texts
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| word.len() > 2 && word.is_ascii())
        .map(str::to_lowercase)
        .collect();
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.len() > 300);
    let forms: Vec<String> =
        asked.iter().flat_map(|word| [word.clone(), format!("{word}ing"), format!("{word}s")]).collect();
    let mut more = 0;
    for word in forms.iter().filter(|word| !matches!(word.as_str(), "and" | "or" | "not")) {
        for query in [word.clone(), format!("{word}*"), format!("\"the {word}\"")] {
            let ours = ids(&connection, "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rowid", &query);
            let theirs = ids(&connection, "SELECT rowid FROM fts5 WHERE fts5 MATCH ?1 ORDER BY rowid", &query);
            assert_eq!(ours, theirs, "{query}");
            more += usize::from(!ours.is_empty() && !texts.contains(word.as_str()));
        }
    }
    assert!(more > 100, "{more} forms that do not stand in the text are found by another");
    let sql = "SELECT text FROM search_spelled('found', 'serach')";
    assert!(!connection.prepare(sql).unwrap().exists([]).unwrap());
}

/// Any byte of the index may be another, or missing: that is an error or another answer, never a crash.
#[test]
fn hostile_rows_are_refused() {
    let rounds: u64 = std::env::var("NEARSIDE_SEARCH_DAMAGES").map_or(400, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let [whole, damaged] = ["whole.db", "damaged.db"].map(|name| folder.path().join(name));
    let connection = open(whole.to_str().unwrap());
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 1..=1_500 {
        let text = format!("common w{} w{} rare{id}", id % 7, id % 90);
        connection
            .execute("INSERT INTO package VALUES (?1, ?2, ?3, 't')", params![id, format!("n{}", id % 5), text])
            .unwrap();
    }
    connection.execute_batch("COMMIT; INSERT INTO found(found) VALUES ('optimize')").unwrap();
    for round in 0..30 {
        let sql = "UPDATE package SET name = ?1 WHERE id % 100 = ?2";
        connection.execute(sql, params![format!("n1 again{round}"), round * 3]).unwrap();
    }
    let tables: Vec<&str> = SHADOW_TABLES
        .into_iter()
        .filter(|table| {
            let sql = format!("SELECT count(*) FROM found_{table}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap() > 0
        })
        .collect();
    assert!(tables.len() >= 3 && tables[0] == "log", "{tables:?}");
    connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')").unwrap();
    drop(connection);
    let mut state = 88_172_645_463_325_252_u64;
    let mut chance = |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % most.max(1)
    };
    let mut refused = 0;
    for _ in 0..rounds {
        std::fs::copy(&whole, &damaged).unwrap();
        let connection = open(damaged.to_str().unwrap());
        connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF").unwrap();
        let table = tables[chance(tables.len() as u64) as usize];
        let key = if table.starts_with("term") { "term" } else { "id" };
        let all: Vec<(rusqlite::types::Value, Vec<u8>)> = connection
            .prepare(&format!("SELECT {key}, data FROM found_{table}"))
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let (id, mut data) = all[chance(all.len() as u64) as usize].clone();
        for _ in 0..=chance(3) {
            // What is read first of a row is what most depends on.
            let near = if chance(2) == 0 { 40 } else { data.len() as u64 };
            let at = chance(near) as usize;
            match chance(8) {
                0 => data.truncate(at),
                1 if at < data.len() => data.insert(at, chance(256) as u8),
                _ if at < data.len() => data[at] = chance(256) as u8,
                _ => {}
            }
        }
        connection.execute(&format!("UPDATE found_{table} SET data = ?2 WHERE {key} = ?1"), params![id, data]).unwrap();
        for query in [
            "common",
            "w1 OR w2 OR common",
            "common AND w3",
            "\"common w1\"",
            "w*",
            "n1 NOT w5",
            "section:t name:n1",
            "rare77",
        ] {
            let mut statement = connection.prepare_cached(&format!("{BEST} LIMIT 50")).unwrap();
            let answer: rusqlite::Result<Vec<i64>> = statement.query_map([query], |row| row.get(0)).unwrap().collect();
            if let Err(error) = answer {
                assert!(error.to_string().contains("rebuild") || error.to_string().contains("scattered"), "{error}");
                refused += 1;
            }
        }
        let _ = connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')");
        let _ = connection.execute("UPDATE package SET name = 'n2' WHERE id = 4", []);
        let _ = connection.execute_batch("INSERT INTO found(found) VALUES ('optimize')");
    }
    println!("{rounds} damages, {refused} searches refused");
    assert!(refused > rounds / 20);
}

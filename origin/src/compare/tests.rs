use super::*;

const SCHEMA: &str = "
    CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, n);
    CREATE TABLE seen (name TEXT PRIMARY KEY, n) WITHOUT ROWID;
    CREATE TABLE loose (x);
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, x);
    CREATE VIRTUAL TABLE item_text USING fts5 (name, content = 'item', content_rowid = 'id', prefix = '2');
    CREATE VIRTUAL TABLE own_text USING fts5 (words);
    INSERT INTO item VALUES (1, 'edge cache', 1), (2, 'cache', 2.0), (3, NULL, x'00ff');
    INSERT INTO item_text (rowid, name) SELECT id, name FROM item;
    INSERT INTO own_text (rowid, words) VALUES (5, 'one two'), (6, 'two');
    INSERT INTO seen VALUES ('a', 1), ('b', 2);
    INSERT INTO loose VALUES (1), (2);
    INSERT INTO counted (x) VALUES (1), (2);";

/// A table that is searched, with the triggers that keep the index.
const SEARCHED: &str = "
    CREATE TABLE page (id INTEGER PRIMARY KEY, title TEXT, body TEXT, tags TEXT);
    CREATE VIRTUAL TABLE page_search USING nearside_search (title, body, tags,
        content = 'page', content_rowid = 'id', weights = '3,1', tags = 'tags');
    CREATE TRIGGER page_added AFTER INSERT ON page BEGIN
        INSERT INTO page_search (rowid, title, body, tags) VALUES (new.id, new.title, new.body, new.tags);
    END;
    CREATE TRIGGER page_gone AFTER DELETE ON page BEGIN
        INSERT INTO page_search (page_search, rowid, title, body, tags) VALUES ('delete', old.id, old.title, old.body, old.tags);
    END;
    CREATE TRIGGER page_changed AFTER UPDATE ON page BEGIN
        INSERT INTO page_search (page_search, rowid, title, body, tags) VALUES ('delete', old.id, old.title, old.body, old.tags);
        INSERT INTO page_search (rowid, title, body, tags) VALUES (new.id, new.title, new.body, new.tags);
    END;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO page SELECT i, 'page ' || i, 'common w' || (i % 7) || ' x' || (i % 40), 't' || (i % 3) FROM n;";

fn searched(changes: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    nearside_search::register(&connection).unwrap();
    connection.execute_batch(SEARCHED).unwrap();
    connection.execute_batch(changes).unwrap();
    connection
}

#[test]
fn search_indexes_are_the_same_whatever_their_segments() {
    let one = searched("");
    let edits: String = (0..30)
        .map(|edit| {
            format!(
                "UPDATE page SET body = 'other' WHERE id = {0}; DELETE FROM page WHERE id = 2 * {0} + 100;",
                edit + 1
            )
        })
        .collect();
    let back = "DELETE FROM page; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO page SELECT i, 'page ' || i, 'common w' || (i % 7) || ' x' || (i % 40), 't' || (i % 3) FROM n;";
    for changes in ["INSERT INTO page_search (page_search) VALUES ('rebuild')", &format!("{edits} {back}")] {
        let other = searched(changes);
        let Verdict::Same(same) = compare(&one, &other).unwrap() else { panic!("{:?}", compare(&one, &other)) };
        assert_eq!(same.tables, 2, "the table and its index");
        assert!(same.rows > 300 * 7, "{same:?}");
    }
    // How it ranks does not depend on what there was before, even after it was ten times as large.
    let kept = searched("DELETE FROM page WHERE id > 25; INSERT INTO page VALUES (400, 'common', 'w1', '')");
    let anew = searched(
        "DELETE FROM page WHERE id > 25; INSERT INTO page VALUES (400, 'common', 'w1', '');
        INSERT INTO page_search (page_search) VALUES ('rebuild')",
    );
    assert!(matches!(compare(&kept, &anew).unwrap(), Verdict::Same(_)), "{:?}", compare(&kept, &anew));
    let ranks = |connection: &Connection| -> Vec<(i64, f64)> {
        let mut statement = connection
            .prepare("SELECT rowid, rank FROM page_search WHERE page_search MATCH 'common OR w1 OR x3' ORDER BY rank")
            .unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    assert_eq!(ranks(&kept), ranks(&anew));
    assert_eq!(ranks(&kept).len(), 26);
}

#[test]
fn each_way_for_search_indexes_to_differ_is_found_and_named() {
    // A trigger that forgot, or told what was not there: only the index is another one.
    let forgot = "INSERT INTO page_search (page_search, rowid, title, body, tags)
        SELECT 'delete', id, title, body, tags FROM page WHERE id = 7;";
    for (changes, place) in [
        (forgot.to_owned(), "search index `page_search`"),
        (
            format!("{forgot} INSERT INTO page_search (rowid, title, body, tags) VALUES (7, 'other', 'words', '')"),
            "search index `page_search`",
        ),
        ("UPDATE page SET body = 'common x9 w0' WHERE id = 7".into(), "table `page`"),
    ] {
        let (one, other) = (searched(""), searched(&changes));
        for (kept, anew) in [(&one, &other), (&other, &one)] {
            let verdict = compare(kept, anew).unwrap();
            let Verdict::Different(found) = verdict else { panic!("{changes}: {verdict:?}") };
            assert_eq!(found.place, place, "{changes}: {found}");
            assert_ne!(found.kept, found.anew, "{changes}");
        }
    }
    let contentless = |changes: &str| {
        let connection = Connection::open_in_memory().unwrap();
        nearside_search::register(&connection).unwrap();
        let table = "CREATE VIRTUAL TABLE t USING nearside_search (a, tag, content = '', tags = 'tag');
            INSERT INTO t (rowid, a, tag) VALUES (1, 'one two', 'x'), (2, 'two', 'y');";
        connection.execute_batch(table).unwrap();
        connection.execute_batch(changes).unwrap();
        connection
    };
    let again = "INSERT INTO t (t, rowid, a, tag) VALUES ('delete', 1, 'one two', 'x'); INSERT INTO t (rowid, a, tag)";
    for (changes, place) in [
        (format!("{again} VALUES (1, 'two one', 'x')"), "the word 'one' in document 1"),
        (format!("{again} VALUES (1, 'one two', 'z')"), "the word 'x' of column '1'"),
        (format!("{again} VALUES (1, 'one two more', 'x')"), "what ranks go by"),
        (format!("{again} VALUES (3, 'one two', 'x')"), "document 1"),
        // Old text that was not there: documents are counted wrong.
        ("INSERT INTO t (t, rowid, a, tag) VALUES ('delete', 2, 'one', 'y'); INSERT INTO t (rowid, a, tag) VALUES (2, 'two', 'y')".into(), "the word 'one'"),
    ] {
        let verdict = compare(&contentless(""), &contentless(&changes)).unwrap();
        let Verdict::Different(found) = verdict else { panic!("{changes}: {verdict:?}") };
        assert_eq!(found.place, format!("search index `t`, {place}"), "{changes}: {found}");
        assert_ne!(found.kept, found.anew, "{changes}");
    }
}

fn made(changes: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch(changes).unwrap();
    connection
}

#[test]
fn what_came_about_differently_and_is_the_same_is_the_same() {
    let one = made("");
    let other = made(
        "DELETE FROM own_text; INSERT INTO own_text (rowid, words) VALUES (6, 'two');
         INSERT INTO own_text (rowid, words) VALUES (5, 'one two'); INSERT INTO own_text (own_text) VALUES ('optimize');
         DELETE FROM seen; INSERT INTO seen VALUES ('b', 2), ('a', 1);
         DELETE FROM item WHERE id = 2; INSERT INTO item VALUES (2, 'cache', 2.0);",
    );
    // Emptied, and never filled.
    let emptied = made("DELETE FROM own_text");
    let never = made("DROP TABLE own_text; CREATE VIRTUAL TABLE own_text USING fts5 (words);");
    assert!(matches!(compare(&emptied, &never).unwrap(), Verdict::Same(_)), "{:?}", compare(&emptied, &never));
    let Verdict::Same(same) = compare(&one, &other).unwrap() else { panic!("{:?}", compare(&one, &other)) };
    assert_eq!(same.tables, 7, "four tables, two indexes, sqlite_sequence");
    assert!(same.rows > 20, "{same:?}");
    // Asked again, it finds nothing in its way.
    assert_eq!(compare(&one, &other).unwrap(), Verdict::Same(same));
}

#[test]
fn each_way_to_differ_is_found_and_named() {
    for (changes, place, row) in [
        ("UPDATE item SET n = 1.0 WHERE id = 1", "table `item`", Some("1, column `n`")),
        ("UPDATE item SET n = NULL WHERE id = 1", "table `item`", Some("1, column `n`")),
        ("DELETE FROM loose WHERE rowid = 2", "table `loose`", Some("2")),
        ("UPDATE loose SET rowid = 3 WHERE rowid = 2", "table `loose`", None),
        ("INSERT INTO loose VALUES (3)", "table `loose`", Some("3")),
        ("UPDATE seen SET name = 'B' WHERE name = 'b'", "table `seen`", None),
        ("UPDATE sqlite_sequence SET seq = 9", "table `sqlite_sequence`", None),
        ("CREATE INDEX by_name ON item (name)", "the schema", None),
        ("PRAGMA user_version = 2", "the database's settings", Some("'user_version', column `user_version`")),
        ("INSERT INTO item_text (rowid, name) VALUES (1, 'edge cache')", "full-text index `item_text`", None),
        (
            "UPDATE own_text SET words = 'one one' WHERE rowid = 6",
            "full-text index `own_text`",
            Some("6, column `words`"),
        ),
        (
            "INSERT INTO own_text (own_text, rank) VALUES ('rank', 'bm25(2.0)')",
            "full-text index `own_text`, setting",
            None,
        ),
    ] {
        let (one, other) = (made(""), made(changes));
        for (kept, anew) in [(&one, &other), (&other, &one)] {
            let verdict = compare(kept, anew).unwrap();
            let Verdict::Different(found) = verdict else { panic!("{changes}: {verdict:?}") };
            assert_eq!(found.place, place, "{changes}: {found}");
            if row.is_some() {
                assert_eq!(found.row.as_deref(), row, "{changes}: {found}");
            }
            assert_ne!(found.kept, found.anew, "{changes}");
        }
    }
}

/// An index that forgot to forget: SELECT shows the right rows, MATCH finds wrong ones.
#[test]
fn words_that_only_the_index_has_are_found() {
    let contentless = |changes: &str| {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE VIRTUAL TABLE t USING fts5 (a, content = ''); INSERT INTO t (rowid, a) VALUES (1, 'one two')",
            )
            .unwrap();
        connection.execute_batch(changes).unwrap();
        connection
    };
    let (one, other) = (
        contentless(""),
        contentless(
            "INSERT INTO t (t, rowid, a) VALUES ('delete', 1, 'one'); INSERT INTO t (rowid, a) VALUES (1, 'two one')",
        ),
    );
    let Verdict::Different(found) = compare(&one, &other).unwrap() else { panic!("the same") };
    assert!(found.place.starts_with("full-text index `t`"), "{found}");
}

#[test]
fn a_long_value_is_told_by_its_beginning() {
    let (one, other) = (made("UPDATE item SET name = printf('%.*c', 5000, 'x') WHERE id = 3"), made(""));
    let Verdict::Different(found) = compare(&one, &other).unwrap() else { panic!("the same") };
    assert!(found.to_string().len() < 400 && found.kept.ends_with("'…"), "{found}");
}

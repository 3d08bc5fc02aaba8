//! Ways of asking that SQLite has beside a plain `MATCH`.

use rusqlite::{Connection, types::Value};

fn open(sql: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    nearside_search::register(&connection).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

fn rows(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn ids(connection: &Connection, sql: &str) -> Vec<i64> {
    let whole = |row: &Vec<Value>| match row[0] {
        Value::Integer(id) => id,
        ref other => panic!("{sql}: {other:?}"),
    };
    rows(connection, sql).iter().map(whole).collect()
}

fn plan(connection: &Connection, sql: &str) -> String {
    format!("{:?}", rows(connection, &format!("EXPLAIN QUERY PLAN {sql}")))
}

/// Fractions and texts, which are equal to the index.
fn sized() -> Connection {
    open(
        "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, size);
         INSERT INTO package VALUES (1, 'all', 3.2), (2, 'all', 3.9), (3, 'all', 3.2), (4, 'all', 'b'), (5, 'all', 'a'),
             (6, 'all', 'b'), (7, 'all', NULL), (8, 'all', 3.9), (9, 'all', 2), (10, 'all', NULL), (11, 'all', 3.1);
         CREATE VIRTUAL TABLE found USING nearside_search(name, size, content='package', content_rowid='id', numbers='size');
         INSERT INTO found(found) VALUES ('rebuild');",
    )
}

#[test]
fn groups_of_a_number_are_of_what_stands_there() {
    let connection = sized();
    for theirs in [
        "SELECT size, count(*) FROM {} GROUP BY size",
        "SELECT size, count(*) FROM {} GROUP BY size ORDER BY size DESC",
        "SELECT size, count(*) FROM {} GROUP BY size LIMIT 9",
        "SELECT DISTINCT size FROM {} ORDER BY size",
        "SELECT DISTINCT size FROM {} ORDER BY size LIMIT 9",
        "SELECT max(size) FROM {}",
        "SELECT min(size) FROM {}",
        "SELECT max(size) FROM {} LIMIT 1",
        "SELECT size, row_number() OVER (ORDER BY size, rowid) FROM {} ORDER BY 2",
    ] {
        let ours = theirs.replace("{}", "found WHERE found MATCH 'all'");
        assert_eq!(rows(&connection, &ours), rows(&connection, &theirs.replace("{}", "package")), "{ours}");
    }
    let few = "SELECT rowid FROM found WHERE found MATCH 'all' ORDER BY size DESC LIMIT 3";
    assert!(!plan(&connection, few).contains("TEMP B-TREE"), "{}", plan(&connection, few));
    assert_eq!(ids(&connection, few), [1, 2, 3]);
}

#[test]
fn a_column_that_is_not_there_is_no_text() {
    let connection =
        open("CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO package VALUES (1, 'x')");
    for (declared, told) in [
        ("naem, content='package', content_rowid='id'", "naem"),
        ("name, content='package', content_rowid='di'", "di"),
        ("name, kept UNINDEXED, content='package', content_rowid='id'", "kept"),
    ] {
        let error = connection.execute_batch(&format!("CREATE VIRTUAL TABLE found USING nearside_search({declared})"));
        let error = error.expect_err(declared).to_string();
        assert!(error.contains("no such column") && error.contains(told), "{error}");
        assert_eq!(ids(&connection, "SELECT count(*) FROM sqlite_schema"), [1], "nothing is left of it");
    }
    // The text's table may be made later.
    connection.execute_batch("CREATE VIRTUAL TABLE later USING nearside_search(name, content='later_text')").unwrap();
    let error = connection.execute_batch("INSERT INTO later(later) VALUES ('rebuild')").unwrap_err().to_string();
    assert!(error.contains("later_text"), "{error}");
    connection
        .execute_batch(
            "CREATE TABLE later_text (name TEXT); INSERT INTO later_text VALUES ('y');
             INSERT INTO later(later) VALUES ('rebuild')",
        )
        .unwrap();
    assert_eq!(ids(&connection, "SELECT rowid FROM later WHERE later MATCH 'y'"), [1]);
}

#[test]
fn one_row_is_asked_for_as_of_any_table() {
    let connection = open(
        "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT);
         INSERT INTO package VALUES (1, 'one'), (2, 'two'), (3, 'one two'), (-1, 'one'), (4294967295, 'one');
         CREATE VIRTUAL TABLE found USING nearside_search(name, content='package', content_rowid='id');
         INSERT INTO found (rowid, name) SELECT id, name FROM package WHERE id BETWEEN 0 AND 9;",
    );
    let (all, one) = ("SELECT rowid FROM found WHERE", "SELECT rowid FROM found WHERE found MATCH 'one' AND");
    for (asked, expected, matched) in [
        ("rowid = 3", &[3][..], &[3][..]),
        ("rowid = '3'", &[3], &[3]),
        ("rowid = ' 3.0'", &[3], &[3]),
        ("rowid = 3.0", &[3], &[3]),
        ("rowid = 2", &[2], &[]),
        ("rowid IN (1, '2', 3, 9)", &[1, 2, 3], &[1, 3]),
        ("rowid = 3.5", &[], &[]),
        ("rowid = 'x'", &[], &[]),
        ("rowid = NULL", &[], &[]),
        ("rowid = x'33'", &[], &[]),
        ("rowid = -1", &[], &[]),
        ("rowid = '-1'", &[], &[]),
        ("rowid = 4294967295", &[], &[]),
        ("rowid = 4294967299", &[], &[]),
        ("rowid = -4294967293", &[], &[]),
    ] {
        assert_eq!(ids(&connection, &format!("{all} {asked}")), expected, "{asked}");
        for order in ["", "ORDER BY rank", "ORDER BY rowid LIMIT 5", "LIMIT 5"] {
            assert_eq!(ids(&connection, &format!("{one} {asked} {order}")), matched, "{asked} {order}");
        }
    }
    assert_eq!(ids(&connection, &format!("{all} 1 ORDER BY rowid")), [1, 2, 3]);
    let rank = |sql: &str| rows(&connection, &format!("SELECT rank FROM found WHERE found MATCH 'one' AND {sql}"));
    assert_eq!(rank("rowid = 3"), rank("rowid + 0 = 3"));
    // The row is looked for, and not all the others.
    assert!(plan(&connection, &format!("{one} rowid = 3")).contains("M1 R"), "{}", plan(&connection, one));
}

#[test]
fn no_column_is_not_every_column() {
    let connection = open(
        "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, body TEXT, tag TEXT, kept TEXT);
         INSERT INTO package VALUES (1, 'red', 'blue', 't', 'k'), (2, 'blue', 'red', 't', 'k'), (3, 'green', 'blue', 'red', 'k');
         CREATE VIRTUAL TABLE found USING nearside_search(name, body, tag, kept UNINDEXED,
             content='package', content_rowid='id', tags='tag');
         INSERT INTO found(found) VALUES ('rebuild');",
    );
    for (query, expected) in [
        ("blue", &[1, 2, 3][..]),
        ("name:red blue", &[1]),
        ("name:(body:red) blue", &[]),
        ("blue AND name:(body:red)", &[]),
        ("name:(tag:red) blue", &[]),
        ("kept:k blue", &[]),
        ("-{name body tag}:red blue", &[]),
        ("{}:red blue", &[]),
        ("name:(body:red) OR name:green", &[3]),
        ("blue NOT name:(body:red)", &[1, 2, 3]),
        ("name:(body:\"red blue\") blue", &[]),
        // A text without words finds nothing and forbids nothing.
        ("\"...\" name:red", &[1]),
    ] {
        let sql = format!("SELECT rowid FROM found WHERE found MATCH '{query}' ORDER BY rowid");
        assert_eq!(ids(&connection, &sql), expected, "{query}");
        let ranked = format!("SELECT rowid FROM found WHERE found MATCH '{query}' ORDER BY rank LIMIT 9");
        assert_eq!(ids(&connection, &ranked).len(), expected.len(), "{query}");
    }
}

/// Together, however many prefixes there are, and in whatever they stand.
#[test]
fn a_query_stands_for_so_many_words_and_no_more() {
    let connection = open(
        "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT);
         WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 5000)
         INSERT INTO package SELECT n, 'w' || n || ' all x' || n FROM number;
         CREATE VIRTUAL TABLE found USING nearside_search(name, content='package', content_rowid='id');
         INSERT INTO found(found) VALUES ('rebuild');",
    );
    let ask = |query: &str| -> Result<usize, String> {
        let mut statement =
            connection.prepare("SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 9000").unwrap();
        let rows = statement.query_map([query], |row| row.get::<_, i64>(0)).unwrap();
        rows.collect::<rusqlite::Result<Vec<_>>>().map(|rows| rows.len()).map_err(|error| error.to_string())
    };
    let many = |part: &str| vec![part.to_owned(); 60];
    assert_eq!(ask("w*"), Ok(5_000));
    assert_eq!(ask("w* OR x*"), Ok(5_000));
    assert_eq!(ask("w* AND all"), Ok(5_000));
    assert_eq!(ask("\"all x\"*"), Ok(5_000));
    assert_eq!(ask("\"all x\"* AND w12*"), Ok(1 + 10 + 100));
    for query in [many("w*").join(" OR "), many("w*").join(" "), many("\"all x\"*").join(" OR ")] {
        let error = ask(&query).unwrap_err();
        assert!(error.contains("give more letters") && error.contains("262144"), "{error}");
    }
}

//! What a statement or a transaction did is taken back when it fails, and nothing else is.

use nearside_search::inspect::inspect;
use rusqlite::{Connection, params};

const SCHEMA: &str = "
CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT);
CREATE VIRTUAL TABLE found USING nearside_search(name, content='package', content_rowid='id');
CREATE TRIGGER added AFTER INSERT ON package BEGIN
    INSERT INTO found (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER removed AFTER DELETE ON package BEGIN
    INSERT INTO found (found, rowid, name) VALUES ('delete', old.id, old.name);
END;
CREATE TRIGGER changed AFTER UPDATE ON package BEGIN
    INSERT INTO found (found, rowid, name) VALUES ('delete', old.id, old.name);
    INSERT INTO found (rowid, name) VALUES (new.id, new.name);
END;";

fn bare() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    nearside_search::register(&connection).unwrap();
    connection
}

fn made() -> Connection {
    let connection = bare();
    run(&connection, SCHEMA);
    connection
}

fn run(connection: &Connection, sql: &str) {
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn refused(connection: &Connection, sql: &str) -> String {
    connection.execute_batch(sql).expect_err(sql).to_string()
}

fn ids(connection: &Connection, query: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rowid")?;
    statement.query_map([query], |row| row.get(0))?.collect()
}

const CHECK: &str = "INSERT INTO found(found) VALUES ('integrity-check')";

/// Its log was known to be in a segment, and then it was in none.
#[test]
fn an_optimize_that_is_taken_back_leaves_the_log() {
    for seen in [true, false] {
        let connection = made();
        for id in 1..=3 {
            connection.execute("INSERT INTO package VALUES (?1, 'one')", [id]).unwrap();
        }
        assert_eq!(inspect(&connection, "found").unwrap().segments.len(), 0, "all is in the log");
        run(&connection, "BEGIN; INSERT INTO found(found) VALUES ('optimize')");
        if seen {
            assert_eq!(ids(&connection, "one").unwrap(), [1, 2, 3]);
        }
        run(&connection, "ROLLBACK");
        if seen {
            assert_eq!(ids(&connection, "one").unwrap(), [1, 2, 3]);
        }
        run(&connection, "INSERT INTO package VALUES (4, 'one')");
        assert_eq!(ids(&connection, "one").unwrap(), [1, 2, 3, 4]);
        run(&connection, "INSERT INTO found(found) VALUES ('optimize')");
        run(&connection, CHECK);
        assert_eq!(ids(&connection, "one").unwrap(), [1, 2, 3, 4]);
    }
}

/// Its triggers had fired; the transaction goes on.
#[test]
fn a_statement_that_fails_leaves_nothing_waiting() {
    let connection = made();
    run(&connection, "INSERT INTO package VALUES (1, 'one')");
    run(&connection, "BEGIN; INSERT INTO package VALUES (2, 'two')");
    refused(&connection, "INSERT INTO package VALUES (3, 'phantom'), (1, 'again')");
    refused(&connection, "UPDATE package SET id = 5, name = 'phantom'");
    run(&connection, "SAVEPOINT inner");
    refused(&connection, "INSERT INTO package VALUES (3, 'phantom'), (1, 'again')");
    run(&connection, "INSERT INTO package VALUES (6, 'six'); RELEASE inner");
    assert_eq!(ids(&connection, "phantom").unwrap(), [0; 0]);
    run(&connection, "COMMIT");
    assert_eq!(ids(&connection, "phantom").unwrap(), [0; 0]);
    assert_eq!(ids(&connection, "one OR two OR six").unwrap(), [1, 2, 6]);
    run(&connection, CHECK);
}

/// What waited before it was made a change in its middle.
#[test]
fn a_large_statement_that_fails_leaves_what_waited() {
    let connection = made();
    run(&connection, "BEGIN; INSERT INTO package VALUES (1, 'one')");
    refused(
        &connection,
        "WITH RECURSIVE number(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n < 9000)
         INSERT INTO package SELECT n, 'many' FROM number UNION ALL SELECT 1, 'again'",
    );
    run(&connection, "COMMIT");
    assert_eq!(ids(&connection, "one").unwrap(), [1]);
    assert_eq!(ids(&connection, "many").unwrap(), [0; 0]);
    run(&connection, CHECK);
}

/// The log's rows as they are, to be damaged for a while.
fn log(connection: &Connection) -> Vec<u8> {
    connection.query_row("SELECT data FROM found_log WHERE id = 0", [], |row| row.get(0)).unwrap()
}

fn put_log(connection: &Connection, data: &[u8]) {
    connection.execute("UPDATE found_log SET data = ?1 WHERE id = 0", [data]).unwrap();
}

#[test]
fn a_search_that_fails_leaves_what_waited() {
    let connection = made();
    run(&connection, "INSERT INTO package VALUES (1, 'one')");
    let whole = log(&connection);
    run(&connection, "BEGIN; INSERT INTO package VALUES (2, 'one')");
    put_log(&connection, b"damaged");
    assert!(ids(&connection, "one").unwrap_err().to_string().contains("damaged"));
    put_log(&connection, &whole);
    assert_eq!(ids(&connection, "one").unwrap(), [1, 2]);
    run(&connection, "COMMIT");
    assert_eq!(ids(&connection, "one").unwrap(), [1, 2]);
    run(&connection, CHECK);
}

/// Where it cannot be taken back by itself, the transaction does not end well, and says why.
#[test]
fn a_change_that_fails_half_way_is_never_committed() {
    for half in [
        "INSERT INTO other SELECT rowid FROM found WHERE found MATCH 'one'",
        "INSERT INTO found(found) VALUES ('optimize')",
    ] {
        let connection = made();
        run(&connection, "CREATE TABLE other (id); INSERT INTO package VALUES (1, 'one')");
        let whole = log(&connection);
        run(&connection, "BEGIN; INSERT INTO package VALUES (2, 'one'); SAVEPOINT before");
        put_log(&connection, b"damaged");
        refused(&connection, half);
        put_log(&connection, &whole);
        let error = refused(&connection, "COMMIT");
        assert!(error.contains("half way"), "{error}");
        assert!(connection.is_autocommit());
        assert_eq!(ids(&connection, "one").unwrap(), [1]);
        // A savepoint before it does.
        run(&connection, "BEGIN; INSERT INTO package VALUES (2, 'one'); SAVEPOINT before");
        put_log(&connection, b"damaged");
        refused(&connection, half);
        run(&connection, "ROLLBACK TO before; COMMIT");
        assert_eq!(ids(&connection, "one").unwrap(), [1, 2]);
        run(&connection, CHECK);
    }
}

#[test]
fn an_update_whose_new_row_is_refused_keeps_the_old_one() {
    let connection = made();
    run(&connection, "INSERT INTO package VALUES (1, 'one'); BEGIN");
    refused(&connection, "UPDATE found SET rowid = -1 WHERE rowid = 1");
    run(&connection, "COMMIT");
    assert_eq!(ids(&connection, "one").unwrap(), [1]);
    run(&connection, CHECK);
}

#[test]
fn an_index_is_searched_in_the_transaction_that_made_it() {
    let connection = bare();
    run(&connection, &format!("BEGIN; {SCHEMA} INSERT INTO package VALUES (1, 'one')"));
    assert_eq!(ids(&connection, "one").unwrap(), [1]);
    run(&connection, "INSERT INTO package VALUES (2, 'one')");
    assert_eq!(ids(&connection, "one").unwrap(), [1, 2]);
    run(&connection, "COMMIT");
    assert_eq!(ids(&connection, "one").unwrap(), [1, 2]);
}

#[test]
fn the_rowid_of_an_insert_outlives_searches_and_changes_of_the_index() {
    let connection = made();
    let insert = |id: i64| connection.execute("INSERT INTO package VALUES (?1, 'one')", params![id]).unwrap();
    run(&connection, "BEGIN");
    insert(77);
    assert_eq!(ids(&connection, "one").unwrap(), [77]);
    assert_eq!(connection.last_insert_rowid(), 77, "after a search");
    insert(78);
    run(&connection, "UPDATE found SET name = 'one' WHERE rowid = 77");
    assert_eq!(connection.last_insert_rowid(), 78, "after an update of the index");
    run(&connection, "DELETE FROM found WHERE rowid = 77");
    assert_eq!(connection.last_insert_rowid(), 78, "after a deletion in the index");
    run(&connection, "INSERT INTO found(found) VALUES ('optimize')");
    assert_eq!(connection.last_insert_rowid(), 78, "after a command");
    run(&connection, "COMMIT");
    assert_eq!(connection.last_insert_rowid(), 78, "after the commit");
}

#[test]
fn rows_of_one_number_are_refused_in_a_rebuild() {
    let connection = bare();
    run(
        &connection,
        "CREATE TABLE package (id INTEGER, name TEXT);
         CREATE VIRTUAL TABLE found USING nearside_search(name, content='package', content_rowid='id');
         INSERT INTO package VALUES (1, 'one'), (1, 'one'), (2, 'one')",
    );
    for command in ["rebuild", "integrity-check"] {
        let error = refused(&connection, &format!("INSERT INTO found(found) VALUES ('{command}')"));
        assert!(error.contains("content_rowid") && error.contains("unique"), "{command}: {error}");
    }
    run(&connection, "UPDATE package SET id = rowid; INSERT INTO found(found) VALUES ('rebuild')");
    assert_eq!(ids(&connection, "one").unwrap(), [1, 2, 3]);
}

fn tables(connection: &Connection) -> Vec<String> {
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_dropped_index_takes_its_own_tables_alone() {
    let connection = made();
    let own = ["document", "meta", "term", "chunk"]
        .map(|kind| format!("CREATE TABLE found_{kind} (id INTEGER PRIMARY KEY, data BLOB);"));
    run(&connection, &format!("{} DROP TABLE found", own.concat()));
    assert_eq!(tables(&connection), ["found_chunk", "found_document", "found_meta", "found_term", "package"]);
}

/// One that an older version made has other tables, and no log.
#[test]
fn an_index_of_an_older_format_goes_with_its_tables() {
    let connection = made();
    let own: Vec<String> = tables(&connection).into_iter().filter(|name| name.starts_with("found_")).collect();
    assert_eq!(own.len(), 13);
    own.iter().for_each(|name| run(&connection, &format!("DROP TABLE {name}")));
    for kind in ["meta", "chunk", "place", "document", "pending"] {
        run(&connection, &format!("CREATE TABLE \"main\".\"found_{kind}\" (id INTEGER PRIMARY KEY, data BLOB);"));
    }
    run(
        &connection,
        "CREATE TABLE \"main\".\"found_term\" (segment INTEGER, term BLOB, data BLOB, PRIMARY KEY (segment, term)) WITHOUT ROWID;
         DROP TABLE found",
    );
    assert_eq!(tables(&connection), ["package"]);
}

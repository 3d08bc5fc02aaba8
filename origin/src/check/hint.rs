//! What to do about an error of SQLite's, as far as its words tell.

use rusqlite::Connection;

/// A sentence for the person who wrote the statement; empty when there is nothing to add.
pub(super) fn of(connection: &Connection, why: &str) -> String {
    if why.contains("should this be a string literal in single-quotes") {
        return "text stands in single quotes, 'like this'; double quotes are for names of tables and columns".into();
    }
    if let Some(name) = why.strip_prefix("no such table: ") {
        let name = name.trim_start_matches("main.");
        return match nearest(name, &tables(connection)) {
            Some(other) => format!("there is a table `{other}`"),
            None => listed("tables", tables(connection)),
        };
    }
    if let Some(name) = why.strip_prefix("no such column: ") {
        let name = name.rsplit('.').next().unwrap_or(name);
        return match nearest(name, &columns(connection)) {
            Some(other) => format!("there is a column `{other}`"),
            None => "look at the CREATE TABLE: the column is not in it, or its table is not in FROM".into(),
        };
    }
    if why.contains("no such module: nearside_search") {
        return "search indexes belong in snapshot.sql, on the mirrored table: the write store has none".into();
    }
    if why.contains("syntax error") || why.contains("incomplete input") || why.contains("unrecognized token") {
        return "look at this place and just before it: a comma, a bracket or a quote is missing, or a word misspelt"
            .into();
    }
    String::new()
}

fn listed(what: &str, names: Vec<String>) -> String {
    match names.as_slice() {
        [] => format!("there are no {what} yet at this point"),
        names => format!("the {what} at this point: {}", names.join(", ")),
    }
}

fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual')
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_nearside\\_%' ESCAPE '\\' ORDER BY name";
    names(connection, sql)
}

fn columns(connection: &Connection) -> Vec<String> {
    let sql = "SELECT DISTINCT c.name FROM pragma_table_list AS t JOIN pragma_table_xinfo(t.name) AS c
        WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        AND t.name NOT LIKE '\\_nearside\\_%' ESCAPE '\\' ORDER BY c.name";
    names(connection, sql)
}

fn names(connection: &Connection, sql: &str) -> Vec<String> {
    let names = connection.prepare(sql).and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect());
    names.unwrap_or_default()
}

/// The name it was perhaps meant to be: at most two letters off, and fewer than half of them.
pub(super) fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a String> {
    let most = 2.min(name.chars().count() / 2);
    let near = |other: &&String| {
        let far = distance(&name.to_lowercase(), &other.to_lowercase());
        (1..=most).contains(&far)
    };
    names.iter().filter(near).min_by_key(|other| distance(name, other))
}

/// Letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..b.len() {
            let replaced = diagonal + usize::from(letter != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_known_again() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(of(&connection, "no such table: item"), "there are no tables yet at this point");
        assert!(of(&connection, "no such module: nearside_search").contains("snapshot.sql"));
        connection.execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
        assert_eq!(of(&connection, "no such table: main.itme"), "there is a table `item`");
        assert_eq!(of(&connection, "no such table: orders"), "the tables at this point: item");
        assert_eq!(of(&connection, "no such column: i.nmae"), "there is a column `name`");
        assert!(of(&connection, "no such column: weight").contains("not in it"));
        assert_eq!(of(&connection, "disk I/O error"), "");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

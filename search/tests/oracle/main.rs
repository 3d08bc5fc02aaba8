//! Random histories and random queries: what the index finds is what looking at every document finds, in the same order.
//! `NEARSIDE_SEARCH_QUERIES` says how many queries, `NEARSIDE_SEARCH_SEED` begins with another history.

mod chance;
mod model;

use std::{collections::BTreeMap, ops::Range};

use chance::Chance;
use model::{Document, Scale};
use nearside_search::inspect::{compare, inspect};
use rusqlite::{Connection, params};

const SCHEMA: &str = "
CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, summary TEXT, body TEXT, section TEXT, size INTEGER);
CREATE VIRTUAL TABLE package_search USING nearside_search(name, summary, body, section, size,
    content='package', content_rowid='id', weights='8,3,1', tags='section', numbers='size', tokenize='unicode61');
CREATE TRIGGER package_added AFTER INSERT ON package BEGIN
    INSERT INTO package_search (rowid, name, summary, body, section, size)
    VALUES (new.id, new.name, new.summary, new.body, new.section, new.size);
END;
CREATE TRIGGER package_removed AFTER DELETE ON package BEGIN
    INSERT INTO package_search (package_search, rowid, name, summary, body, section, size)
    VALUES ('delete', old.id, old.name, old.summary, old.body, old.section, old.size);
END;
CREATE TRIGGER package_changed AFTER UPDATE ON package BEGIN
    INSERT INTO package_search (package_search, rowid, name, summary, body, section, size)
    VALUES ('delete', old.id, old.name, old.summary, old.body, old.section, old.size);
    INSERT INTO package_search (rowid, name, summary, body, section, size)
    VALUES (new.id, new.name, new.summary, new.body, new.section, new.size);
END;";

/// The same with stems in the index.
fn schema(stems: bool) -> String {
    if stems { SCHEMA.replace("'unicode61'", "'porter unicode61'") } else { SCHEMA.to_owned() }
}

fn insert(connection: &Connection, id: i64, document: &Document, stems: bool) {
    let mut insert = connection.prepare_cached("INSERT INTO package VALUES (?1, ?2, ?3, ?4, ?5, ?6)").unwrap();
    let [name, summary, body] = [0, 1, 2].map(|column| document.text(column, stems));
    insert.execute(params![id, name, summary, body, document.tags.join(" "), document.size]).unwrap();
}

struct History {
    connection: Connection,
    documents: BTreeMap<i64, Document>,
    chance: Chance,
    next_id: i64,
    words: u64,
    most: u64,
    stems: bool,
}

impl History {
    fn new(seed: u64) -> History {
        let connection = Connection::open_in_memory().unwrap();
        nearside_search::register(&connection).unwrap();
        let stems = seed.is_multiple_of(2);
        connection.execute_batch(&schema(stems)).unwrap();
        let mut chance = Chance::new(seed);
        let words = [40, 300, 3_000][chance.below(3) as usize];
        let most = [4, 12, 60][chance.below(3) as usize];
        History { connection, documents: BTreeMap::new(), chance, next_id: 1, words, most, stems }
    }

    fn insert(&mut self) {
        let document = self.chance.document(self.words, self.most);
        let id = self.next_id;
        self.next_id += if self.chance.one_in(50) { 1_000 } else { 1 + self.chance.below(2) as i64 };
        insert(&self.connection, id, &document, self.stems);
        self.documents.insert(id, document);
    }

    fn edit(&mut self) {
        let from = self.chance.below(self.next_id as u64) as i64;
        let Some(id) = self.documents.range(from..).next().map(|(id, _)| *id) else { return self.insert() };
        match self.chance.below(4) {
            0 => self.insert(),
            1 => {
                self.connection.execute("DELETE FROM package WHERE id = ?1", [id]).unwrap();
                self.documents.remove(&id);
            }
            _ => {
                let document = self.chance.document(self.words, self.most);
                let [name, summary, body] = [0, 1, 2].map(|column| document.text(column, self.stems));
                let sql =
                    "UPDATE package SET name = ?2, summary = ?3, body = ?4, section = ?5, size = ?6 WHERE id = ?1";
                self.connection
                    .execute(sql, params![id, name, summary, body, document.tags.join(" "), document.size])
                    .unwrap();
                self.documents.insert(id, document);
            }
        }
    }

    fn run(&mut self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// One transaction; some of it may be taken back.
    fn commit(&mut self, edits: u64) {
        self.run("BEGIN");
        for _ in 0..edits {
            if self.chance.one_in(10) {
                let before = (self.documents.clone(), self.next_id);
                self.run("SAVEPOINT attempt");
                (0..1 + self.chance.below(3)).for_each(|_| self.edit());
                if self.chance.one_in(2) {
                    // A search makes what waits a segment; then that is taken back too.
                    let query = "SELECT count(*) FROM package_search WHERE package_search MATCH 'a0'";
                    let count: i64 = self.connection.query_row(query, [], |row| row.get(0)).unwrap();
                    assert!(count <= self.documents.len() as i64);
                }
                if self.chance.one_in(2) {
                    self.run("ROLLBACK TO attempt");
                    (self.documents, self.next_id) = before;
                }
                self.run("RELEASE attempt");
            } else if self.chance.one_in(12) {
                self.fail();
            } else {
                self.edit();
            }
        }
        self.run("COMMIT");
    }

    /// A statement that changes several rows and then fails; the transaction goes on.
    fn fail(&mut self) {
        let Some(id) = self.documents.keys().next().copied() else { return };
        let sql = if self.chance.one_in(2) {
            "INSERT INTO package SELECT id + 1000000000, name, summary, body, section, size FROM package WHERE id < ?1 + 40
             UNION ALL SELECT ?1, 'a0', 'a0', 'a0', '', 7"
        } else {
            "UPDATE package SET name = 'a0 ' || name, size = 7, id = CASE WHEN id < ?1 + 40 THEN id ELSE ?1 END
             WHERE id >= ?1"
        };
        self.run("SAVEPOINT failing");
        let failed = self.connection.execute(sql, [id]).is_err();
        assert!(failed || self.documents.keys().all(|other| *other < id + 40));
        if !failed {
            self.run("ROLLBACK TO failing");
        }
        self.run("RELEASE failing");
    }

    fn go_on(&mut self) {
        match self.chance.below(40) {
            0 => self.run("INSERT INTO package_search(package_search) VALUES ('rebuild')"),
            1 => self.run("INSERT INTO package_search(package_search) VALUES ('optimize')"),
            2 => {
                let edits = 100 + self.chance.below(900);
                self.commit(edits);
            }
            _ => {
                let edits = 1 + self.chance.below(12);
                self.commit(edits);
            }
        }
    }

    /// Another index of the documents as they are now.
    fn made_anew(&self) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        nearside_search::register(&connection).unwrap();
        connection.execute_batch(&format!("{} BEGIN", schema(self.stems))).unwrap();
        for (id, document) in &self.documents {
            insert(&connection, *id, document, self.stems);
        }
        connection.execute_batch("COMMIT").unwrap();
        connection
    }

    /// How many of these queries are answered differently, and how many of them had ties where they end.
    fn differences(&mut self, queries: Range<u64>) -> (u64, u64) {
        let inspection = inspect(&self.connection, "package_search").unwrap();
        let scale = Scale::new(&self.documents, inspection.scored_documents, inspection.average_length);
        let (mut different, mut tied) = (0, 0);
        for _ in queries {
            let ask = self.chance.ask(self.words);
            let query = ask.text(self.stems);
            let limit = [1, 3, 10, 10, 40][self.chance.below(5) as usize];
            let offset = if self.chance.one_in(3) { self.chance.below(60) as usize } else { 0 };
            let expected = scale.best(&ask, limit + 1, offset);
            let ties = expected.windows(2).any(|pair| pair[0].1 == pair[1].1);
            let expected = &expected[..expected.len().min(limit)];
            tied += u64::from(ties);
            let found = find(&self.connection, &query, limit, offset);
            let all = scale.all(&ask);
            let first: Vec<i64> = all.iter().skip(offset).take(limit).copied().collect();
            let (counted, facets) = facets(&self.connection, &query, limit);
            if first_found(&self.connection, &query, limit, offset) != first
                || (counted, &facets) != (all.len() as i64, &scale.facets(&ask, limit))
            {
                different += 1;
                eprintln!("{}: other ones by rowid, or other facets ({counted}, {facets:?})", query);
            }
            let descending = self.chance.one_in(2);
            let by_size: Vec<i64> = scale.by_size(&ask, descending).into_iter().skip(offset).take(limit).collect();
            let sorted = sorted(&self.connection, &query, descending, limit, offset);
            if sorted != by_size {
                different += 1;
                eprintln!("{}: other ones by size, descending {descending}: {sorted:?} {by_size:?}", query);
            }
            let from = self.chance.below(self.next_id as u64) as i64;
            if let Some((id, document)) = self.documents.range(from..).next()
                && score_of(&self.connection, &query, *id) != scale.score(&ask, document)
            {
                different += 1;
                eprintln!("{query}: another answer for {id} alone");
            }
            if found != expected {
                different += 1;
                if different == 1 {
                    let all = inspection.segments.len();
                    eprintln!("{} limit {limit} offset {offset}, {all} segments, ties: {ties}", query);
                    eprintln!("   found {found:?}\nexpected {expected:?}");
                }
            }
        }
        (different, tied)
    }
}

fn first_found(connection: &Connection, query: &str, limit: usize, offset: usize) -> Vec<i64> {
    let sql = "SELECT rowid FROM package_search WHERE package_search MATCH ?1 LIMIT ?2 OFFSET ?3";
    let mut statement = connection.prepare_cached(sql).unwrap();
    let rows = statement.query_map(params![query, limit as i64, offset as i64], |row| row.get(0));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn sorted(connection: &Connection, query: &str, descending: bool, limit: usize, offset: usize) -> Vec<i64> {
    let order = if descending { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT rowid FROM package_search WHERE package_search MATCH ?1 ORDER BY size {order} LIMIT ?2 OFFSET ?3"
    );
    let mut statement = connection.prepare_cached(&sql).unwrap();
    let rows = statement.query_map(params![query, limit as i64, offset as i64], |row| row.get(0));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// How many are found, and the tags that most of them have.
fn facets(connection: &Connection, query: &str, most: usize) -> (i64, Vec<(String, i64)>) {
    let sql = "SELECT value, documents FROM search_facets('package_search', ?1, 'section', ?2) WHERE is_exact";
    let mut statement = connection.prepare_cached(sql).unwrap();
    let rows = statement.query_map(params![query, most as i64], |row| {
        Ok((row.get::<_, Option<String>>(0)?.unwrap_or_default(), row.get(1)?))
    });
    let mut rows: Vec<(String, i64)> = rows.unwrap().collect::<rusqlite::Result<_>>().unwrap();
    let all = rows.remove(0).1;
    (all, rows)
}

/// Rowids and scores, as whole numbers again.
fn find(connection: &Connection, query: &str, limit: usize, offset: usize) -> Vec<(i64, u64)> {
    let sql = "SELECT rowid, rank FROM package_search WHERE package_search MATCH ?1 ORDER BY rank LIMIT ?2 OFFSET ?3";
    let mut statement = connection.prepare_cached(sql).unwrap();
    let rows =
        statement.query_map(params![query, limit as i64, offset as i64], |row| Ok((row.get(0)?, score(row.get(1)?))));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// Of one row, if it is found.
fn score_of(connection: &Connection, query: &str, id: i64) -> Option<u64> {
    let sql = "SELECT rank FROM package_search WHERE package_search MATCH ?1 AND rowid = ?2";
    let mut statement = connection.prepare_cached(sql).unwrap();
    let ranks = statement.query_map(params![query, id], |row| row.get(0)).unwrap();
    let ranks: Vec<f64> = ranks.collect::<rusqlite::Result<_>>().unwrap();
    assert!(ranks.len() < 2);
    ranks.first().map(|rank| score(*rank))
}

fn score(rank: f64) -> u64 {
    (-rank / f64::from(1.2_f32 + 1.0) * 65_536.0 * 65_535.0).round() as u64
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn what_is_found_is_what_looking_at_everything_finds() {
    let queries = number("NEARSIDE_SEARCH_QUERIES", 1_200);
    let mut seed = number("NEARSIDE_SEARCH_SEED", 1);
    let (mut asked, mut tied, mut most_segments, mut most_waiting, mut merging) = (0, 0, 0, 0, 0);
    while asked < queries {
        println!("history {seed}, {asked} queries so far");
        let mut history = History::new(seed);
        let start = [0, 30, 400, 3_000][history.chance.below(if queries > 5_000 { 4 } else { 3 }) as usize];
        history.run("BEGIN");
        (0..start).for_each(|_| history.insert());
        history.run("COMMIT");
        // Some histories are long, so that segments become larger ones, and those larger ones.
        let steps = [1, 1, 4, 24][history.chance.below(4) as usize];
        for _ in 0..25 {
            (0..steps).for_each(|_| history.go_on());
            let inspection = inspect(&history.connection, "package_search").unwrap();
            most_segments = most_segments.max(inspection.segments.len());
            most_waiting = most_waiting.max(inspection.waiting_changes);
            merging += u32::from(inspection.merging);
            let (different, ties) = history.differences(0..8);
            assert_eq!(different, 0, "of 8 queries in history {seed}");
            asked += 8;
            tied += ties;
        }
        history.run("INSERT INTO package_search(package_search) VALUES ('integrity-check')");
        let anew = history.made_anew();
        let compared = compare(&history.connection, &anew, "package_search").unwrap();
        assert_eq!(compared.difference, None, "kept, and made anew, in history {seed}");
        seed += 1;
    }
    println!(
        "{asked} queries, {tied} with ties among the best, up to {most_segments} segments and {most_waiting} changes in the log, \
         {merging} times in the middle of a merge: 0 differences"
    );
}

/// Heads whose champions are others, or count for something else.
#[test]
fn champions_that_are_none_are_noticed() {
    let mut history = History::new(5);
    (history.words, history.most) = (40, 6);
    history.run("BEGIN");
    (0..3_000).for_each(|_| history.insert());
    history.run("COMMIT; INSERT INTO package_search(package_search) VALUES ('optimize')");
    history.run("INSERT INTO package_search(package_search) VALUES ('integrity-check')");
    let sql = "SELECT id, data FROM package_search_list4 WHERE id & 2097151 = 0 AND id >> 21 & 1048575 <> 1048575
               ORDER BY length(data) DESC LIMIT 1";
    let (id, head): (i64, Vec<u8>) =
        history.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(head[0], 32, "a head with all its champions");
    let (first, second, last) = (1..9, 9..17, 1 + 31 * 8..1 + 32 * 8);
    let swapped = [&head[..1], &head[second.clone()], &head[first.clone()], &head[17..]].concat();
    let dropped = [&[31], &head[1..last.start], &head[last.end..]].concat();
    let without = [&[31], &head[first.end..]].concat();
    let mut other = head.clone();
    other[first.start..first.start + 4].copy_from_slice(&4_000_000_u32.to_le_bytes());
    let mut counted = head.clone();
    counted[first.start + 4..first.end].copy_from_slice(&77_f32.to_le_bytes());
    for (damaged, told) in [
        (swapped, Some("champions are out of order")),
        (without, Some("a champion is missing")),
        (counted, Some("a champion counts for something else")),
        // Of a document that is nowhere: it is not looked at, but it hides the one it stands for.
        (other, Some("a champion is missing")),
        // Fewer are no less right.
        (dropped, None),
    ] {
        history
            .connection
            .execute("UPDATE package_search_list4 SET data = ?2 WHERE id = ?1", params![id, damaged])
            .unwrap();
        let check =
            history.connection.execute_batch("INSERT INTO package_search(package_search) VALUES ('integrity-check')");
        let error = check.err().map(|error| error.to_string());
        match told {
            Some(told) => assert!(error.as_ref().is_some_and(|error| error.contains(told)), "{told}: {error:?}"),
            None => assert_eq!(error, None),
        }
    }
}

/// Long lists of several chunks; then the same with maxima that are too low, which must not go unnoticed.
#[test]
fn maxima_that_are_too_low_are_noticed() {
    let mut history = History::new(5);
    (history.words, history.most) = (40, 6);
    history.run("BEGIN");
    (0..9_000).for_each(|_| history.insert());
    history.run("COMMIT");
    history.run("INSERT INTO package_search(package_search) VALUES ('optimize')");
    for _ in 0..5 {
        history.commit(10);
    }
    assert_eq!(history.differences(0..60).0, 0);

    let mut several = false;
    for lane in 0..6 {
        let table = format!("package_search_list{lane}");
        // Chunks, and neither heads, nor places, nor what is told of documents.
        let sql = format!(
            "SELECT id, data FROM {table} WHERE id & 127 = 0 AND id >> 7 & 16383 <> 0 AND id >> 21 & 1048575 <> 1048575"
        );
        let chunks: Vec<(i64, Vec<u8>)> = history
            .connection
            .prepare(&sql)
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        several |= chunks.iter().any(|(id, _)| id >> 7 & 16_383 > 1);
        for (id, mut chunk) in chunks {
            for block in 0..usize::from(chunk[0]) {
                let at = 5 + block * 8 + 4;
                let most = u16::from_le_bytes([chunk[at], chunk[at + 1]]) / 2;
                chunk[at..at + 2].copy_from_slice(&most.to_le_bytes());
            }
            let sql = format!("UPDATE {table} SET data = ?2 WHERE id = ?1");
            history.connection.execute(&sql, params![id, chunk]).unwrap();
        }
    }
    assert!(several, "a list has several chunks");
    assert!(history.differences(0..60).0 > 0, "the oracle does not see bounds that are too low");
    let check =
        history.connection.execute_batch("INSERT INTO package_search(package_search) VALUES ('integrity-check')");
    assert!(check.unwrap_err().to_string().contains("a maximum is too low"));
}

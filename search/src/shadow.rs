//! The index's rows in ordinary tables beside the virtual one.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use crate::{
    batch::document_of,
    fault::{Fault, Result},
    limits,
    rows::{EachGroup, Rows, RowsMut, Slots, Store, documents_id, lane_of, segment_of},
};

/// What the index `t` keeps itself in: `t_log` and so on. Terms and lists are in a table for each lane.
pub const SHADOW_TABLES: [&str; 13] =
    ["log", "term0", "term1", "term2", "term3", "term4", "term5", "list0", "list1", "list2", "list3", "list4", "list5"];
const LANES: usize = limits::LANES as usize;
const _: () = assert!(SHADOW_TABLES.len() == 1 + 2 * LANES);

/// Those of indexes of older formats, which had no log. They go with their index, if they are what it made.
const OLD_TABLES: [&str; 6] = ["meta", "term", "chunk", "place", "document", "pending"];
const BY_ID: &str = "(id INTEGER PRIMARY KEY, data BLOB)";
const BY_TERM: &str = "(segment INTEGER, term BLOB, data BLOB, PRIMARY KEY (segment, term)) WITHOUT ROWID";

/// The statements on one index's tables.
pub struct Sql {
    create: String,
    drop: String,
    /// The log's name, by which an index is of this format.
    log: String,
    declared: String,
    old: [Old; OLD_TABLES.len()],
    clear: String,
    slots: String,
    slot: String,
    pair: String,
    put_slot: String,
    add_slot: String,
    wait: String,
    waiting: String,
    waited: String,
    lanes: [LaneSql; LANES],
}

/// A table of an older format: its name, how it was declared, and what drops it.
struct Old {
    name: String,
    declared: String,
    drop: String,
}

struct LaneSql {
    group: String,
    groups: String,
    put_group: String,
    few_documents: String,
    row: String,
    put_row: String,
    clear: [String; 2],
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sql {
    pub fn new(schema: &str, table: &str) -> Sql {
        let name = |kind: &str| format!("{}.{}", quoted(schema), quoted(&format!("{table}_{kind}")));
        let all = SHADOW_TABLES.map(name);
        let log = &all[0];
        let (terms, lists) = all[1..].split_at(LANES);
        let whose = format!("'{}'", format!("{}.{}", quoted(schema), quoted(table)).replace('\'', "''"));
        let by_id = |name: &String| format!("CREATE TABLE {name} {BY_ID};");
        let by_term = |name: &String| format!("CREATE TABLE {name} {BY_TERM};");
        let created = [by_id(log)].into_iter().chain(terms.iter().map(by_term)).chain(lists.iter().map(by_id));
        let old = OLD_TABLES.map(|kind| {
            let (own, columns) = (format!("{table}_{kind}"), if kind == "term" { BY_TERM } else { BY_ID });
            let declared = format!("CREATE TABLE {} {columns}", quoted(&own));
            Old { drop: format!("DROP TABLE {}", name(kind)), name: own, declared }
        });
        Sql {
            create: created.collect(),
            drop: all.iter().map(|name| format!("DROP TABLE IF EXISTS {name};")).collect(),
            declared: format!("SELECT sql FROM {}.sqlite_schema WHERE type = 'table' AND name = ?1", quoted(schema)),
            log: format!("{table}_log"),
            old,
            clear: all.iter().map(|name| format!("DELETE FROM {name};")).collect(),
            slots: format!("SELECT coalesce(max(id), -1) + 1 FROM {log}"),
            slot: format!("SELECT data FROM {log} WHERE id = ?1"),
            pair: format!("SELECT data, id = ?1 FROM {log} WHERE id BETWEEN ?1 AND ?1 + 1 ORDER BY id"),
            put_slot: format!("UPDATE {log} SET data = ?2 WHERE id = ?1"),
            add_slot: format!("INSERT INTO {log} VALUES (?1, ?2)"),
            wait: format!("INSERT INTO temp.nearside_search_waiting (whose, data) SELECT {whose}, ?1"),
            // The first of these puts nothing there, and is why the second is taken back where it has to be.
            waited: format!(
                "INSERT INTO temp.nearside_search_waiting (whose, data) SELECT {whose}, x'' WHERE 0;
                 DELETE FROM temp.nearside_search_waiting WHERE whose = {whose}"
            ),
            waiting: format!("SELECT data FROM temp.nearside_search_waiting WHERE whose = {whose} ORDER BY id"),
            lanes: std::array::from_fn(|lane| LaneSql::new(&terms[lane], &lists[lane])),
        }
    }
}

impl LaneSql {
    fn new(term: &str, list: &str) -> LaneSql {
        LaneSql {
            group: format!(
                "SELECT term, data FROM {term} WHERE segment = ?1 AND term > x'' AND term <= ?2
                 ORDER BY term DESC LIMIT 1"
            ),
            groups: format!(
                "SELECT term, data FROM {term} WHERE segment = ?1 AND term >= coalesce(
                     (SELECT max(term) FROM {term} WHERE segment = ?1 AND term > x'' AND term <= ?2), ?2)
                     AND term > x'' ORDER BY term"
            ),
            put_group: format!("INSERT INTO {term} VALUES (?1, ?2, ?3)"),
            few_documents: format!("SELECT data FROM {term} WHERE segment = ?1 AND term = x''"),
            row: format!("SELECT data FROM {list} WHERE id = ?1"),
            // The head of a list that is written in parts is written again with each.
            put_row: format!("INSERT OR REPLACE INTO {list} VALUES (?1, ?2)"),
            clear: [term, list].map(|name| format!("DELETE FROM {name}")),
        }
    }
}

/// The tables, on one connection.
#[derive(Clone, Copy)]
pub struct Shadow<'a> {
    pub connection: &'a Connection,
    pub sql: &'a Sql,
}

fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(|_| Fault::Damaged("a row is no blob"))
}

/// Where changes of a connection wait, of all its indexes. Not in the file: they would leave pages behind for a push to carry.
/// Savepoints hold there as well, and so does the end of a statement that fails while its transaction goes on: SQLite takes
/// back what such a statement wrote to the databases it knows it writes to, and to those in which a statement beneath it had
/// to be ready to be taken back. So what is put here comes from a SELECT, which might be several rows, into a column that
/// might refuse one of them.
///
/// It is made before there is a statement that changes an index: a table that is made in the temporary schema ends every
/// statement that has others to open still, as one has whose next trigger writes elsewhere.
pub fn begin_waiting(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS temp.nearside_search_waiting (id INTEGER PRIMARY KEY, whose TEXT, data BLOB NOT NULL)",
    )
}

pub fn lacks_table(error: &rusqlite::Error) -> bool {
    error.to_string().contains("no such table")
}

impl Shadow<'_> {
    pub fn create(&self) -> Result<()> {
        Ok(self.connection.execute_batch(&self.sql.create)?)
    }

    pub fn drop_all(&self) -> Result<()> {
        if self.declared(&self.sql.log)?.is_none() {
            for old in &self.sql.old {
                // Another's table may have such a name.
                if self.declared(&old.name)?.as_ref() == Some(&old.declared) {
                    self.connection.execute_batch(&old.drop)?;
                }
            }
        }
        Ok(self.connection.execute_batch(&self.sql.drop)?)
    }

    /// The statement that made a table, if it is there.
    fn declared(&self, table: &str) -> Result<Option<String>> {
        Ok(self.connection.query_row(&self.sql.declared, [table], |row| row.get(0)).optional()?)
    }

    pub fn clear(&self) -> Result<()> {
        Ok(self.connection.execute_batch(&self.sql.clear)?)
    }

    /// Keeps a change until the end of its transaction.
    pub fn wait(&self, row: &[u8]) -> Result<()> {
        let waits = self.connection.prepare_cached(&self.sql.wait).and_then(|mut statement| statement.execute([row]));
        match waits {
            Err(error) if lacks_table(&error) => Err(Fault::Refused(
                "this connection was registered for reading: one that writes needs `register`".into(),
            )),
            done => Ok(done.map(drop)?),
        }
    }

    /// Notes that the index is about to be half changed: until `forget_waiting`, or until what takes back the change takes
    /// this back too, nothing else can be done with it.
    pub fn begin_half(&self) -> Result<()> {
        self.wait(&[])
    }

    /// The changes that wait, those of a document together and in their order.
    pub fn waiting(&self) -> Result<Vec<(u32, Vec<Vec<u8>>)>> {
        let mut waiting = BTreeMap::<u32, Vec<Vec<u8>>>::new();
        let keep = |row: &[u8]| {
            if row.is_empty() {
                return Err(Fault::Refused(
                    "a change of the search index failed half way in this transaction: it can only be rolled back"
                        .into(),
                ));
            }
            waiting.entry(document_of(row)?).or_default().push(row.to_vec());
            Ok(())
        };
        match self.each_waiting(keep) {
            Err(Fault::Sql(error)) if lacks_table(&error) => return Ok(Vec::new()),
            done => done?,
        }
        Ok(waiting.into_iter().collect())
    }

    /// What waited is part of the index, or is not to be.
    pub fn forget_waiting(&self) -> Result<()> {
        let forgotten = self.connection.execute_batch(&self.sql.waited);
        match forgotten {
            Err(error) if lacks_table(&error) => Ok(()),
            done => Ok(done?),
        }
    }

    fn each_waiting(&self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&self.sql.waiting)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(blob(row, 0)?)?;
        }
        Ok(())
    }

    fn number(&self, sql: &str) -> Result<usize> {
        let number: Option<i64> = self.prepared(sql)?.query_row([], |row| row.get(0)).optional()?;
        usize::try_from(number.unwrap_or(0)).map_err(|_| Fault::Damaged("the rows of its log"))
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql).map_err(|error| match lacks_table(&error) {
            true => Fault::Refused(
                "the search index was made by another version: drop its table, create it again and run \
                 INSERT INTO t(t) VALUES('rebuild')"
                    .into(),
            ),
            false => Fault::Sql(error),
        })
    }

    fn get(&self, sql: &str, parameters: impl rusqlite::Params, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        let mut statement = self.prepared(sql)?;
        let found = statement.query_row(parameters, |row| Ok(blob(row, 0).map(|blob| into.extend_from_slice(blob))));
        Ok(found.optional()?.transpose()?.is_some())
    }

    fn put(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<()> {
        self.prepared(sql)?.execute(parameters)?;
        Ok(())
    }
}

impl Shadow<'_> {
    fn lane(&self, segment: u32) -> &LaneSql {
        &self.sql.lanes[lane_of(segment) as usize]
    }

    /// Of a row of lists, by its id: the segment stands in its highest bits.
    fn lane_of_row(&self, id: i64) -> &LaneSql {
        self.lane(segment_of(id))
    }
}

impl Rows for Shadow<'_> {
    fn group(&self, segment: u32, term: &[u8], first: &mut Vec<u8>, into: &mut Vec<u8>) -> Result<bool> {
        let mut statement = self.prepared(&self.lane(segment).group)?;
        let mut rows = statement.query(params![segment, term])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        first.clear();
        first.extend_from_slice(blob(row, 0)?);
        into.clear();
        into.extend_from_slice(blob(row, 1)?);
        Ok(true)
    }

    fn groups(&self, segment: u32, from: &[u8], each: &mut EachGroup<'_>) -> Result<()> {
        let mut statement = self.prepared(&self.lane(segment).groups)?;
        let mut rows = statement.query(params![segment, from])?;
        while let Some(row) = rows.next()? {
            if !each(blob(row, 0)?, blob(row, 1)?)? {
                break;
            }
        }
        Ok(())
    }

    fn row(&self, id: i64, into: &mut Vec<u8>) -> Result<bool> {
        self.get(&self.lane_of_row(id).row, [id], into)
    }

    fn documents(&self, segment: u32, number: u32, into: &mut Vec<u8>) -> Result<bool> {
        if number == 0 && self.get(&self.lane(segment).few_documents, [segment], into)? {
            return Ok(true);
        }
        self.get(&self.lane(segment).row, [documents_id(segment, number)], into)
    }
}

impl RowsMut for Shadow<'_> {
    fn put_group(&mut self, segment: u32, first: &[u8], data: &[u8]) -> Result<()> {
        self.put(&self.lane(segment).put_group, params![segment, first, data])
    }

    fn put_row(&mut self, id: i64, data: &[u8]) -> Result<()> {
        self.put(&self.lane_of_row(id).put_row, params![id, data])
    }

    /// A row that is small stands before the segment's terms, on a page that is written anyway.
    fn put_documents(&mut self, segment: u32, number: u32, data: &[u8]) -> Result<()> {
        if number == 0 && data.len() <= limits::GROUP_BYTES {
            return self.put(&self.lane(segment).put_group, params![segment, b"".as_slice(), data]);
        }
        self.put(&self.lane(segment).put_row, params![documents_id(segment, number), data])
    }
}

impl Slots for Shadow<'_> {
    fn slots(&self) -> Result<u32> {
        self.number(&self.sql.slots).map(|slots| slots.min(u32::MAX as usize) as u32)
    }

    fn slot(&self, number: u32, into: &mut Vec<u8>) -> Result<bool> {
        self.get(&self.sql.slot, [number], into)
    }

    fn pair(&self, number: u32, this: &mut Vec<u8>, next: &mut Vec<u8>) -> Result<bool> {
        let mut statement = self.prepared(&self.sql.pair)?;
        let mut rows = statement.query([number])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        if !row.get::<_, bool>(1)? {
            return Ok(false);
        }
        this.clear();
        this.extend_from_slice(blob(row, 0)?);
        let Some(row) = rows.next()? else { return self.slot(0, next) };
        next.clear();
        next.extend_from_slice(blob(row, 0)?);
        Ok(true)
    }

    /// A row of the same size is written in its place.
    fn put_slot(&mut self, number: u32, data: &[u8]) -> Result<()> {
        if self.prepared(&self.sql.put_slot)?.execute(params![number, data])? == 0 {
            self.put(&self.sql.add_slot, params![number, data])?;
        }
        Ok(())
    }
}

impl Store for Shadow<'_> {
    fn clear_lane(&mut self, lane: u32) -> Result<()> {
        self.sql.lanes[lane as usize].clear.iter().try_for_each(|sql| self.put(sql, []))
    }
}

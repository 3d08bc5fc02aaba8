//! The index's rows in ordinary tables beside the virtual one.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    batch::document_of,
    fault::{Fault, Result},
    limits,
    rows::{EachGroup, Rows, RowsMut, segment_ids},
};

/// What the index `t` keeps itself in: `t_meta` and so on.
pub const SHADOW_TABLES: [&str; 6] = ["meta", "term", "chunk", "place", "document", "pending"];

/// The statements on one index's tables.
pub struct Sql {
    create: String,
    drop: String,
    clear: String,
    meta: String,
    put_meta: String,
    group: String,
    groups: String,
    put_group: String,
    drop_terms: String,
    chunk: String,
    put_chunk: String,
    drop_chunks: String,
    place: String,
    put_place: String,
    drop_places: String,
    document: String,
    put_document: String,
    drop_documents: String,
    wait: String,
    waiting: String,
    waited: String,
    blank: String,
    few_documents: String,
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sql {
    pub fn new(schema: &str, table: &str) -> Sql {
        let name = |kind: &str| format!("{}.{}", quoted(schema), quoted(&format!("{table}_{kind}")));
        let all = SHADOW_TABLES.map(name);
        let [meta, term, chunk, place, document, pending] = &all;
        let each = |verb: &str| all.iter().map(|name| format!("{verb} {name};")).collect::<String>();
        let by_id = |name: &str| {
            let read = format!("SELECT data FROM {name} WHERE id = ?1");
            // The head of a list that is written in parts is written again with each.
            let put = format!("INSERT OR REPLACE INTO {name} VALUES (?1, ?2)");
            (read, put, format!("DELETE FROM {name} WHERE id >= ?1 AND id < ?2"))
        };
        let (chunk_read, put_chunk, drop_chunks) = by_id(chunk);
        let (place_read, put_place, drop_places) = by_id(place);
        let (document_read, put_document, drop_documents) = by_id(document);
        Sql {
            create: format!(
                "CREATE TABLE {meta} (id INTEGER PRIMARY KEY, data BLOB);
                 CREATE TABLE {term} (segment INTEGER, term BLOB, data BLOB, PRIMARY KEY (segment, term)) WITHOUT ROWID;
                 CREATE TABLE {chunk} (id INTEGER PRIMARY KEY, data BLOB);
                 CREATE TABLE {place} (id INTEGER PRIMARY KEY, data BLOB);
                 CREATE TABLE {document} (id INTEGER PRIMARY KEY, data BLOB);
                 CREATE TABLE {pending} (id INTEGER PRIMARY KEY, data BLOB);"
            ),
            drop: each("DROP TABLE IF EXISTS"),
            clear: each("DELETE FROM"),
            meta: format!("SELECT data FROM {meta} WHERE id = 1"),
            put_meta: format!("INSERT OR REPLACE INTO {meta} VALUES (1, ?1)"),
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
            drop_terms: format!("DELETE FROM {term} WHERE segment = ?1"),
            chunk: chunk_read,
            put_chunk,
            drop_chunks,
            place: place_read,
            put_place,
            drop_places,
            document: document_read,
            put_document,
            drop_documents,
            wait: format!("INSERT INTO {pending} (data) VALUES (?1)"),
            waiting: format!("SELECT data FROM {pending} ORDER BY id"),
            waited: format!("DELETE FROM {pending}"),
            // Two rows that fill a page of 4 KiB to its last byte.
            blank: format!("INSERT INTO {pending} VALUES (1, zeroblob(4057)), (2, zeroblob(15))"),
            few_documents: format!("SELECT data FROM {term} WHERE segment = ?1 AND term = x''"),
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

impl Shadow<'_> {
    pub fn create(&self) -> Result<()> {
        Ok(self.connection.execute_batch(&self.sql.create)?)
    }

    pub fn drop_all(&self) -> Result<()> {
        Ok(self.connection.execute_batch(&self.sql.drop)?)
    }

    pub fn clear(&self) -> Result<()> {
        Ok(self.connection.execute_batch(&self.sql.clear)?)
    }

    pub fn meta(&self) -> Result<Vec<u8>> {
        let mut row = Vec::new();
        match self.get(&self.sql.meta, [], &mut row)? {
            true => Ok(row),
            false => Err(Fault::Damaged("its first row is missing")),
        }
    }

    pub fn put_meta(&self, row: &[u8]) -> Result<()> {
        self.put(&self.sql.put_meta, params![row])
    }

    /// Keeps a change until the end of its transaction; gives how many wait.
    pub fn wait(&self, row: &[u8]) -> Result<i64> {
        self.put(&self.sql.wait, params![row])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The changes that wait, those of a document together and in their order.
    pub fn take_waiting(&self) -> Result<Vec<(u32, Vec<Vec<u8>>)>> {
        let mut waiting = std::collections::BTreeMap::<u32, Vec<Vec<u8>>>::new();
        let mut statement = self.connection.prepare_cached(&self.sql.waiting)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let row = blob(row, 0)?;
            waiting.entry(document_of(row)?).or_default().push(row.to_vec());
        }
        drop(rows);
        if !waiting.is_empty() {
            self.put(&self.sql.waited, [])?;
            // What stood in the table's first page would stay in it: it is to be the page it was, and not part of a push.
            self.put(&self.sql.blank, [])?;
            self.put(&self.sql.waited, [])?;
        }
        Ok(waiting.into_iter().collect())
    }

    fn get(&self, sql: &str, parameters: impl rusqlite::Params, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row(parameters, |row| Ok(blob(row, 0).map(|blob| into.extend_from_slice(blob))));
        Ok(found.optional()?.transpose()?.is_some())
    }

    fn put(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }
}

/// Rows of documents are numbered by segment too.
fn document_id(segment: u32, number: u32) -> i64 {
    i64::from(segment) << 32 | i64::from(number)
}

impl Rows for Shadow<'_> {
    fn group(&self, segment: u32, term: &[u8], first: &mut Vec<u8>, into: &mut Vec<u8>) -> Result<bool> {
        let mut statement = self.connection.prepare_cached(&self.sql.group)?;
        let mut rows = statement.query(params![segment, term])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        first.clear();
        first.extend_from_slice(blob(row, 0)?);
        into.clear();
        into.extend_from_slice(blob(row, 1)?);
        Ok(true)
    }

    fn groups(&self, segment: u32, from: &[u8], each: &mut EachGroup<'_>) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&self.sql.groups)?;
        let mut rows = statement.query(params![segment, from])?;
        while let Some(row) = rows.next()? {
            if !each(blob(row, 0)?, blob(row, 1)?)? {
                break;
            }
        }
        Ok(())
    }

    fn chunk(&self, id: i64, into: &mut Vec<u8>) -> Result<bool> {
        self.get(&self.sql.chunk, [id], into)
    }

    fn places(&self, id: i64, into: &mut Vec<u8>) -> Result<bool> {
        self.get(&self.sql.place, [id], into)
    }

    fn documents(&self, segment: u32, number: u32, into: &mut Vec<u8>) -> Result<bool> {
        if number == 0 && self.get(&self.sql.few_documents, [segment], into)? {
            return Ok(true);
        }
        self.get(&self.sql.document, [document_id(segment, number)], into)
    }
}

impl RowsMut for Shadow<'_> {
    fn put_group(&mut self, segment: u32, first: &[u8], data: &[u8]) -> Result<()> {
        self.put(&self.sql.put_group, params![segment, first, data])
    }

    fn put_chunk(&mut self, id: i64, data: &[u8]) -> Result<()> {
        self.put(&self.sql.put_chunk, params![id, data])
    }

    fn put_places(&mut self, id: i64, data: &[u8]) -> Result<()> {
        self.put(&self.sql.put_place, params![id, data])
    }

    /// A row that is small stands before the segment's terms, on a page that is written anyway.
    fn put_documents(&mut self, segment: u32, number: u32, data: &[u8]) -> Result<()> {
        if number == 0 && data.len() <= limits::GROUP_BYTES {
            return self.put(&self.sql.put_group, params![segment, b"".as_slice(), data]);
        }
        self.put(&self.sql.put_document, params![document_id(segment, number), data])
    }

    fn drop_segment(&mut self, segment: u32) -> Result<()> {
        let (from, to) = segment_ids(segment);
        self.put(&self.sql.drop_terms, params![segment])?;
        self.put(&self.sql.drop_chunks, [from, to])?;
        self.put(&self.sql.drop_places, [from, to])?;
        self.put(&self.sql.drop_documents, [document_id(segment, 0), document_id(segment + 1, 0)])
    }
}

//! One index on one connection: what the virtual table does, without its machinery.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use rusqlite::{Connection, types::ValueRef};

use crate::{
    audit,
    batch::{Analysis, Batch},
    facets::{self, Facets},
    fault::{Fault, Result},
    index::Known,
    limits, log,
    memory::Memory,
    options::{Content, Options},
    query::{self, Query},
    savepoint::Savepoint,
    shadow::{Shadow, Sql, lacks_table, quoted},
    sorted::{self, Sort},
    spelling,
    tokens::Forms,
    top::Hit,
};

pub struct Table {
    pub name: String,
    pub options: Options,
    connection: Connection,
    sql: Sql,
    content: Option<ContentSql>,
    /// What the last statement went by.
    known: RefCell<Option<Arc<Known>>>,
    /// What all connections of a release know.
    memory: Arc<Memory>,
    /// This connection may have changes that wait,
    writing: Cell<bool>,
    /// and so many at most: a savepoint may have taken some back.
    waiting: Cell<i64>,
}

struct ContentSql {
    name: String,
    row: String,
    ids: String,
    all: String,
}

/// Rows in the order of their rank, or by rowid: so many at the least, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Best(usize),
    First(usize),
    All {
        scored: bool,
    },
    /// One, if it is found.
    Only {
        document: u32,
        scored: bool,
    },
    /// By a column of numbers.
    Sorted(Sort, usize),
}

impl Table {
    pub fn new(connection: Connection, schema: &str, name: &str, options: Options, memory: Arc<Memory>) -> Table {
        // Its own statements on all lanes, and those of others.
        connection.set_prepared_statement_cache_capacity(96);
        let content = match &options.content {
            Content::Nowhere => None,
            Content::Table { name, rowid } => {
                // A name that stands alone in double quotes would be a text, if there is no such column.
                let of_it = |column: &str| format!("content.{}", quoted(column));
                let columns: Vec<String> = options.columns.iter().map(|column| of_it(&column.name)).collect();
                let (columns, rowid) = (columns.join(", "), of_it(rowid));
                let from = format!("FROM {}.{} AS content", quoted(schema), quoted(name));
                Some(ContentSql {
                    name: name.clone(),
                    row: format!("SELECT {columns} {from} WHERE {rowid} = ?1"),
                    ids: format!("SELECT {rowid} {from} ORDER BY {rowid}"),
                    all: format!("SELECT {rowid}, {columns} {from} ORDER BY {rowid}"),
                })
            }
        };
        let sql = Sql::new(schema, name);
        let (known, writing, waiting) = (RefCell::new(None), Cell::new(false), Cell::new(0));
        Table { name: name.to_owned(), options, connection, sql, content, known, memory, writing, waiting }
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn shadow(&self) -> Shadow<'_> {
        Shadow { connection: &self.connection, sql: &self.sql }
    }

    pub fn create(&self) -> Result<()> {
        self.has_columns()?;
        self.shadow().create()?;
        // SQLite does not tell a new table that it is in a transaction.
        self.begin();
        Known::empty(&self.options).begin(&mut self.shadow())
    }

    /// Whether the content's table has what is asked of it, if it is there by now.
    fn has_columns(&self) -> Result<()> {
        let Some(content) = &self.content else { return Ok(()) };
        match self.connection.prepare(&content.all) {
            Err(error) if !lacks_table(&error) => Err(Fault::Refused(format!("content='{}': {error}", content.name))),
            _ => Ok(()),
        }
    }

    pub fn destroy(&self) -> Result<()> {
        self.memory.forget(&self.name);
        self.shadow().forget_waiting()?;
        self.shadow().drop_all()
    }

    /// The index as it is now: every statement begins with its first row, whatever is remembered.
    ///
    /// What is remembered may have been read by another connection, whose pages are not among those that whoever records
    /// this statement's reads sees. It need not be: it is used only if the first row, which this statement did read, is
    /// byte for byte the one it was made of, and the stamps in that row are hashes of all that the index was told. So it is
    /// a function of the first row's page, and each change of a length or a segment changes that page.
    fn known(&self, shadow: &Shadow<'_>) -> Result<Arc<Known>> {
        let held = self.known.borrow_mut().take();
        let guess = held.as_ref().map(|known| known.slot()).or_else(|| self.memory.slot(&self.name));
        let mut row = Vec::new();
        let slot = log::head(shadow, guess, &mut row)?;
        let known = match held.filter(|known| known.row() == row) {
            Some(known) => known,
            None => self
                .memory
                .recall(&self.name, &row, |before| Known::load(shadow, (slot, &row), &self.options, before))?,
        };
        *self.known.borrow_mut() = Some(known.clone());
        Ok(known)
    }

    /// For changes: no other connection knows of them before they are committed.
    fn with_known<T>(&self, work: impl FnOnce(&mut Known, Shadow<'_>) -> Result<T>) -> Result<T> {
        let shadow = self.shadow();
        let held = self.known.borrow_mut().take();
        let mut row = Vec::new();
        let slot = log::head(&shadow, held.as_ref().map(|known| known.slot()), &mut row)?;
        let mut known = match held {
            Some(known) if known.row() == row => Arc::unwrap_or_clone(known),
            held => Known::load(&shadow, (slot, &row), &self.options, held.as_deref())?,
        };
        let result = work(&mut known, shadow);
        // What failed half way is not remembered.
        if result.is_ok() {
            *self.known.borrow_mut() = Some(Arc::new(known));
        }
        result
    }

    pub fn begin(&self) {
        self.writing.set(true);
    }

    pub fn end(&self) {
        self.waiting.set(0);
        self.writing.set(false);
    }

    /// Makes what waits one change.
    pub fn flush(&self) -> Result<()> {
        self.waiting.set(0);
        let waiting = self.shadow().waiting()?;
        if waiting.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for (document, rows) in &waiting {
            batch.add_waiting(*document, rows, self.options.shape())?;
        }
        self.whole(|| self.commit(batch))
    }

    /// Work that takes in what waits, or does away with it, and would leave half an index if it failed.
    ///
    /// A search is not known to change anything, so nobody takes back what it did: it does so itself. Beneath a statement
    /// that writes, SQLite allows no savepoint, and takes back what the statement did, or not: then it is noted that there
    /// is half a change, until somebody takes that back with the rest.
    fn whole<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let savepoint = Savepoint::open(&self.connection);
        self.shadow().begin_half()?;
        let done = work()?;
        self.shadow().forget_waiting()?;
        savepoint.keep()?;
        Ok(done)
    }

    fn commit(&self, batch: Batch) -> Result<()> {
        self.with_known(|known, mut shadow| known.commit(&mut shadow, &self.options, batch))
    }

    pub fn add(&self, rowid: i64, values: &[ValueRef<'_>]) -> Result<()> {
        self.wait(&[self.changed(rowid, values, true)?])
    }

    pub fn remove(&self, rowid: i64, values: &[ValueRef<'_>]) -> Result<()> {
        self.wait(&[self.changed(rowid, values, false)?])
    }

    /// Removes a row whose text is still in its table.
    pub fn remove_known(&self, rowid: i64) -> Result<()> {
        self.wait(&[self.gone(rowid)?])
    }

    /// Another row in place of one whose text is still in its table; both or none.
    pub fn replace(&self, old: i64, new: i64, values: &[ValueRef<'_>]) -> Result<()> {
        self.wait(&[self.gone(old)?, self.changed(new, values, true)?])
    }

    fn gone(&self, rowid: i64) -> Result<Vec<u8>> {
        if self.content.is_none() {
            let how = "INSERT INTO t(t, rowid, ...) VALUES('delete', ...) with the old text";
            return Err(Fault::Refused(format!("an index without content forgets a row only by {how}")));
        }
        let row = self.content_row(rowid)?.unwrap_or_default();
        let values: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
        self.changed(rowid, &values, false)
    }

    /// A change as it waits.
    fn changed(&self, rowid: i64, values: &[ValueRef<'_>], added: bool) -> Result<Vec<u8>> {
        let document = document_id(rowid)?;
        let mut analysis = Analysis::default();
        let texts = values.iter().map(text_of).collect::<Result<Vec<_>>>()?;
        analysis.read(&self.options, texts.iter().map(Option::as_deref))?;
        Ok(analysis.waiting(document, added, self.options.shape()))
    }

    fn wait(&self, changes: &[Vec<u8>]) -> Result<()> {
        for change in changes {
            self.shadow().wait(change)?;
            self.waiting.set(self.waiting.get() + 1);
        }
        if self.waiting.get() >= limits::PENDING_DOCUMENTS { self.flush() } else { Ok(()) }
    }

    pub fn content_row(&self, rowid: i64) -> Result<Option<Vec<rusqlite::types::Value>>> {
        let Some(content) = &self.content else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(&content.row)?;
        let mut rows = statement.query([rowid])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some((0..self.options.columns.len()).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?))
    }

    pub fn has_row(&self, rowid: i64) -> Result<bool> {
        if self.content.is_none() {
            return Err(self.keeps_no_text());
        }
        Ok(self.content_row(rowid)?.is_some())
    }

    fn keeps_no_text(&self) -> Fault {
        Fault::Refused(format!("{0} keeps no text: ask it WHERE {0} MATCH ...", self.name))
    }

    /// All rows of the content's table.
    pub fn content_ids(&self) -> Result<Vec<i64>> {
        let Some(content) = &self.content else {
            return Err(self.keeps_no_text());
        };
        let mut statement = self.connection.prepare_cached(&content.ids)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Makes the index anew from the content.
    pub fn rebuild(&self) -> Result<()> {
        if self.content.is_none() {
            return Err(Fault::Refused("an index without content has nothing to be made anew from".into()));
        }
        self.whole(|| {
            self.empty()?;
            let batch = self.batches(|batch| self.commit(batch))?;
            if !batch.is_empty() {
                self.commit(batch)?;
            }
            self.merge_all()
        })
    }

    /// Forgets all documents.
    pub fn clear(&self) -> Result<()> {
        self.whole(|| self.empty())
    }

    fn empty(&self) -> Result<()> {
        *self.known.borrow_mut() = None;
        self.shadow().clear()?;
        Known::empty(&self.options).begin(&mut self.shadow())
    }

    pub fn optimize(&self) -> Result<()> {
        self.flush()?;
        self.whole(|| self.merge_all())
    }

    fn merge_all(&self) -> Result<()> {
        self.with_known(|known, mut shadow| known.optimize(&mut shadow, &self.options))
    }

    /// Reads the content into batches; the last one is given back.
    fn batches(&self, mut full: impl FnMut(Batch) -> Result<()>) -> Result<Batch> {
        let (mut batch, mut analysis) = (Batch::default(), Analysis::default());
        let Some(content) = &self.content else { return Ok(batch) };
        let mut statement = self.connection.prepare_cached(&content.all)?;
        let mut rows = statement.query([])?;
        let mut before = None;
        while let Some(row) = rows.next()? {
            let document = document_id(row.get(0)?)?;
            if before.replace(document) == Some(document) {
                let table = &content.name;
                let what = format!("content_rowid is not unique: '{table}' has several rows of the number {document}");
                return Err(Fault::Refused(what));
            }
            let columns = self.options.columns.len();
            let texts = (1..=columns).map(|column| text_of(&row.get_ref(column)?)).collect::<Result<Vec<_>>>()?;
            analysis.read(&self.options, texts.iter().map(Option::as_deref))?;
            batch.add(document, &analysis, self.options.shape());
            if batch.bytes > limits::BATCH_BYTES {
                full(std::mem::take(&mut batch))?;
            }
        }
        Ok(batch)
    }

    /// Holds the index against the content, word by word.
    pub fn check(&self) -> Result<()> {
        self.flush()?;
        let mut all = Vec::new();
        if self.content.is_some() {
            let last = self.batches(|batch| {
                all.push(batch);
                Ok(())
            })?;
            all.push(last);
        }
        self.with_known(|known, shadow| audit::check(known, &shadow, &self.options, (!all.is_empty()).then_some(all)))
    }

    pub fn parse(&self, text: &str, column: Option<usize>) -> Result<Option<Query>> {
        let columns = column.map_or(self.options.text_columns(), |column| 1 << column);
        query::parse(text, &self.options, columns)
    }

    pub fn find(&self, query: &Query, wanted: Wanted) -> Result<Vec<Hit>> {
        // Changes of a transaction are there for its own searches.
        if self.writing.get() {
            self.flush()?;
        }
        let shadow = self.shadow();
        let known = self.known(&shadow)?;
        match wanted {
            Wanted::Best(most) => known.best(&shadow, &self.options, query, most),
            Wanted::First(most) => known.all(&shadow, &self.options, query, (false, most)),
            Wanted::Sorted(sort, most) => sorted::sorted(&known, &shadow, &self.options, query, sort, most),
            Wanted::Only { document, scored } => {
                let found = known.only(&shadow, &self.options, query, (document, scored))?;
                Ok(found.into_iter().collect())
            }
            Wanted::All { scored } => known.all(&shadow, &self.options, query, (scored, usize::MAX)),
        }
    }
}

impl Table {
    pub fn facets(&self, query: &Query, how: (usize, usize)) -> Result<Facets> {
        let shadow = self.shadow();
        facets::facets(&*self.known(&shadow)?, &shadow, &self.options, query, how)
    }

    /// Nothing where the index has stems: they are not what anybody would have meant.
    pub fn spelled(&self, text: &str) -> Result<Option<String>> {
        if self.options.forms == Forms::Stems {
            return Ok(None);
        }
        let shadow = self.shadow();
        spelling::spelled(&shadow, &*self.known(&shadow)?, text)
    }
}

pub fn document_id(rowid: i64) -> Result<u32> {
    match u32::try_from(rowid) {
        Ok(document) if rowid <= limits::ROWID_MOST => Ok(document),
        _ => Err(Fault::Refused(format!("rowid {rowid}: an index holds rowids from 0 to {}", limits::ROWID_MOST))),
    }
}

fn text_of<'v>(value: &ValueRef<'v>) -> Result<Option<std::borrow::Cow<'v, str>>> {
    Ok(match value {
        ValueRef::Null | ValueRef::Blob(_) => None,
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text)),
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(number.to_string().into()),
    })
}

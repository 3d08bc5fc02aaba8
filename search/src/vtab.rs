//! The virtual table, as SQLite calls it. This is the one file with unsafe code: rusqlite's traits for virtual tables are
//! unsafe, and so is getting at the connection that a table is on.
#![allow(unsafe_code)]

use std::{
    borrow::Cow,
    cell::RefCell,
    ffi::{CStr, CString, c_int},
    rc::Rc,
    sync::Arc,
};

use rusqlite::{
    Connection, Error, Result, ffi,
    types::{Value, ValueRef},
    vtab::{
        Context, CreateVTab, Filters, IndexConstraintOp, IndexInfo, Inserts, Module, TransactionVTab, UpdateVTab,
        Updates, VTab, VTabConnection, VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
    },
};

use crate::{
    fault::Fault,
    memory::Memory,
    options::{Kind, Options},
    query::Query,
    score::rank,
    shadow::{begin_waiting, quoted},
    sorted::Sort,
    table::{Table, Wanted, document_id},
    top::Hit,
};

/// Makes `nearside_search` known to a connection, for tables that are there and tables to come.
pub fn register(connection: &Connection) -> Result<()> {
    register_sharing(connection, Arc::default())?;
    begin_waiting(connection)
}

/// The same, for one of several connections that read the same database: what they need to have in memory they have once.
pub fn register_sharing(connection: &Connection, memory: Arc<Memory>) -> Result<()> {
    const MODULE: Module<'_, SearchTable> = Module::update_module_with_tx();
    connection.create_module(c"nearside_search", &MODULE, Some(memory.clone()))?;
    crate::asked::register(connection, memory)?;
    crate::functions::register(connection)
}

/// Searches each index once: all connections that share their memory have then what the first one has to read.
pub fn warm(connection: &Connection) -> Result<()> {
    let sql = "SELECT '\"' || replace(name, '\"', '\"\"') || '\"' FROM sqlite_schema
               WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING nearside_search%'";
    let names = connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
    for name in names {
        // Which word does not matter.
        let sql = format!("SELECT rowid FROM {name} WHERE {name} MATCH 'a' LIMIT 1");
        connection.prepare(&sql)?.query([])?.next()?;
    }
    Ok(())
}

#[repr(C)]
pub struct SearchTable {
    base: sqlite3_vtab,
    /// Shared with the cursors, so that none of them follows SQLite's pointers. A table and its cursors belong to one
    /// connection and are only ever used by the thread that uses it.
    table: Rc<Table>,
}

impl SearchTable {
    fn open_table(
        db: &mut VTabConnection,
        names: [&[u8]; 2],
        arguments: &[&[u8]],
        memory: Option<&Arc<Memory>>,
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let [schema, name] = names.map(std::str::from_utf8);
        let (schema, name) = (schema?, name?);
        let arguments = arguments.iter().map(|one| std::str::from_utf8(one)).collect::<Result<Vec<_>, _>>()?;
        let options = Options::parse(&arguments).map_err(Fault::into_sqlite)?;
        let mut columns: Vec<String> = options.columns.iter().map(|column| quoted(&column.name)).collect();
        columns.push(format!("{} HIDDEN", quoted(name)));
        columns.push("rank HIDDEN".into());
        let declared = CString::new(format!("CREATE TABLE x({})", columns.join(", ")))?;
        // SAFETY: SQLite calls this for a connection that is open, and it ends all its virtual tables, and this
        // `Connection` with them, before it closes. The `Connection` does not own the handle: dropping it ends its
        // statements and leaves the rest alone.
        let connection = unsafe { Connection::from_handle(db.handle())? };
        let table = Rc::new(Table::new(connection, schema, name, options, memory.cloned().unwrap_or_default()));
        Ok((Cow::Owned(declared), SearchTable { base: sqlite3_vtab::default(), table }))
    }
}

// SAFETY: `repr(C)`, and the base comes first.
unsafe impl<'vtab> VTab<'vtab> for SearchTable {
    type Aux = Arc<Memory>;
    type Cursor = SearchCursor;

    fn connect(
        db: &mut VTabConnection,
        memory: Option<&Arc<Memory>>,
        _: &[u8],
        schema: &[u8],
        name: &[u8],
        arguments: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        SearchTable::open_table(db, [schema, name], arguments, memory)
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        Ok(Choice::of(info, &self.table.options))
    }

    fn open(&'vtab mut self) -> Result<SearchCursor> {
        Ok(SearchCursor {
            base: sqlite3_vtab_cursor::default(),
            table: self.table.clone(),
            query: None,
            wanted: None,
            hits: Vec::new(),
            at: 0,
            row: RefCell::default(),
        })
    }
}

impl CreateVTab<'_> for SearchTable {
    const KIND: VTabKind = VTabKind::Default;

    fn create(
        db: &mut VTabConnection,
        memory: Option<&Arc<Memory>>,
        _: &[u8],
        schema: &[u8],
        name: &[u8],
        arguments: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let (declared, made) = SearchTable::open_table(db, [schema, name], arguments, memory)?;
        made.table.create().map_err(Fault::into_sqlite)?;
        Ok((declared, made))
    }

    fn destroy(&self) -> Result<()> {
        self.table.destroy().map_err(Fault::into_sqlite)
    }
}

impl UpdateVTab<'_> for SearchTable {
    fn delete(&mut self, rowid: ValueRef<'_>) -> Result<()> {
        let rowid = rowid.as_i64()?;
        keeping_rowid(&self.table, || self.table.remove_known(rowid)).map_err(Fault::into_sqlite)
    }

    fn insert(&mut self, arguments: &Inserts<'_>) -> Result<i64> {
        let values: Vec<ValueRef<'_>> = arguments.iter().collect();
        let columns = self.table.options.columns.len();
        let (texts, command) = (&values[2..2 + columns], values[2 + columns]);
        let table = &self.table;
        let rowid = match values[1] {
            ValueRef::Null => None,
            rowid => Some(rowid.as_i64()?),
        };
        let last = table.connection().last_insert_rowid();
        let done = keeping_rowid(table, || match (command, rowid) {
            (ValueRef::Null, Some(rowid)) => table.add(rowid, texts),
            (ValueRef::Null, None) => Err(Fault::Refused("a rowid is missing: that of the row the text is of".into())),
            (command, rowid) => match (command.as_str().unwrap_or_default(), rowid) {
                ("delete", Some(rowid)) => table.remove(rowid, texts),
                ("delete", None) => Err(Fault::Refused("'delete' needs the rowid and the old text".into())),
                ("delete-all", _) => table.clear(),
                ("rebuild", _) => table.rebuild(),
                ("optimize", _) => table.optimize(),
                ("integrity-check", _) => table.check(),
                (other, _) => Err(Fault::Refused(format!(
                    "unknown command '{other}': delete, delete-all, rebuild, optimize and integrity-check are known"
                ))),
            },
        });
        done.map_err(Fault::into_sqlite)?;
        Ok(rowid.unwrap_or(last))
    }

    fn update(&mut self, arguments: &Updates<'_>) -> Result<()> {
        let values: Vec<ValueRef<'_>> = arguments.iter().collect();
        let columns = self.table.options.columns.len();
        let (old, new) = (values[0].as_i64()?, values[1].as_i64()?);
        let changed = keeping_rowid(&self.table, || self.table.replace(old, new, &values[2..2 + columns]));
        changed.map_err(Fault::into_sqlite)
    }
}

impl TransactionVTab<'_> for SearchTable {
    fn begin(&mut self) -> Result<()> {
        self.table.begin();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        keeping_rowid(&self.table, || self.table.flush()).map_err(Fault::into_sqlite)
    }

    fn commit(&mut self) -> Result<()> {
        self.table.end();
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.table.end();
        Ok(())
    }
}

/// Whoever inserted a row asks for its rowid afterwards, and must not get one of the index's own.
fn keeping_rowid<T>(table: &Table, work: impl FnOnce() -> T) -> T {
    let connection = table.connection();
    let last = connection.last_insert_rowid();
    let done = work();
    // SAFETY: the handle is that of the open connection this is called on.
    unsafe { ffi::sqlite3_set_last_insert_rowid(connection.handle(), last) };
    done
}

/// How a statement goes about the table, as `filter` is told: the meaning of each argument, and what is wanted.
struct Choice;

const BY_RANK: c_int = 1;
const SCORED: c_int = 2;
/// By rowid, and few are wanted.
const FIRST: c_int = 4;
/// By the column whose number stands above these, the greatest first or the least.
const BY_COLUMN: c_int = 8;
const DESCENDING: c_int = 16;
const COLUMN_SHIFT: c_int = 8;

impl Choice {
    fn of(info: &mut IndexInfo, options: &Options) -> bool {
        let columns = options.columns.len();
        let (mut matches, mut unusable, mut rowid, mut limit, mut offset) = (Vec::new(), false, None, None, None);
        for (index, constraint) in info.constraints().enumerate() {
            let column = constraint.column();
            let operator = constraint.operator();
            let whole = column == columns as c_int;
            match operator {
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_MATCH if (0..=columns as c_int).contains(&column) => {
                    unusable |= !constraint.is_usable();
                    matches.push((index, column));
                }
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ if whole => {
                    unusable |= !constraint.is_usable();
                    matches.push((index, column));
                }
                _ if !constraint.is_usable() => {}
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ if column == -1 => rowid = Some(index),
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LIMIT => limit = Some(index),
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_OFFSET => offset = Some(index),
                _ => {}
            }
        }
        if unusable {
            return false;
        }
        let mut used: Vec<(usize, String)> =
            matches.iter().map(|(index, column)| (*index, format!("M{column}"))).collect();
        let searching = !used.is_empty();
        if searching {
            used.extend(limit.map(|index| (index, "L".into())));
            used.extend(offset.map(|index| (index, "O".into())));
        }
        used.extend(rowid.map(|index| (index, "R".into())));
        let meaning: Vec<&str> = used.iter().map(|(_, meaning)| meaning.as_str()).collect();
        info.set_idx_str(&meaning.join(" "));
        let omitted = matches.len();
        for (place, (index, _)) in used.iter().enumerate() {
            let mut usage = info.constraint_usage(*index);
            usage.set_argv_index(place as c_int + 1);
            // The limit is a hint: rows go on for as long as SQLite asks for them, and it skips the offset itself. Whether
            // a rowid is the one of a text or of a fraction, SQLite says.
            usage.set_omit(place < omitted);
        }
        let order: Vec<(c_int, bool)> = info.order_bys().map(|by| (by.column(), by.is_order_by_desc())).collect();
        let by_rank = searching
            && matches!(order[..], [(column, false)] | [(column, false), (-1, false)] if column == columns as c_int + 1);
        let by_rowid = order[..] == [(-1, false)];
        let scored = info.col_used() >> (columns + 1) & 1 == 1;
        // Only to the index are numbers equal that differ in their fractions, and all texts: what groups rows, or takes the
        // greatest, goes by what stands there. Of these, none has a limit that SQLite tells of.
        let by_column = match order[..] {
            [(column, descending)] | [(column, descending), (-1, false)] if searching && !scored && limit.is_some() => {
                let number = usize::try_from(column).ok().and_then(|column| options.columns.get(column));
                number.filter(|column| column.kind == Kind::Number).map(|_| (column, descending))
            }
            _ => None,
        };
        info.set_order_by_consumed(by_rank || by_rowid || by_column.is_some());
        let first = searching && limit.is_some() && !scored && (order.is_empty() || by_rowid);
        let flag = |set: bool, flag: c_int| if set { flag } else { 0 };
        let by = by_column
            .map_or(0, |(column, descending)| BY_COLUMN | flag(descending, DESCENDING) | column << COLUMN_SHIFT);
        info.set_idx_num(flag(by_rank, BY_RANK) | flag(scored, SCORED) | flag(first, FIRST) | by);
        let (cost, rows) = match (searching, rowid.is_some()) {
            (true, _) => (if by_rank || by_column.is_some() { 50.0 } else { 1_000.0 }, 100),
            (false, true) => (10.0, 1),
            (false, false) => (1e6, 1_000_000),
        };
        info.set_estimated_cost(cost);
        info.set_estimated_rows(rows);
        true
    }
}

#[repr(C)]
pub struct SearchCursor {
    base: sqlite3_vtab_cursor,
    table: Rc<Table>,
    query: Option<Query>,
    /// What was looked for, if there may be more.
    wanted: Option<Wanted>,
    hits: Vec<Hit>,
    at: usize,
    /// The current row's text, if it was asked for.
    row: RefCell<Option<(i64, Vec<Value>)>>,
}

/// The best that are looked for when nothing tells how many are wanted, and how many times more when they were not enough.
const UNTOLD: usize = 32;
const MORE: usize = 8;

/// What a statement tells when it begins to search.
struct Told {
    /// The best that may be needed, as far as is known.
    most: usize,
    /// The one row that is asked for, if it can be in an index.
    only: Option<Option<u32>>,
}

/// The document of a rowid, compared as SQLite compares a whole number.
fn document_of(rowid: ValueRef<'_>) -> Option<u32> {
    let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
    let number = match rowid {
        ValueRef::Integer(number) => number,
        ValueRef::Real(number) => whole(number)?,
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))?
        }
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    document_id(number).ok()
}

impl SearchCursor {
    fn read_arguments(&mut self, meaning: &str, arguments: &Filters<'_>) -> Result<Option<Told>> {
        let (mut parts, mut limit, mut offset, mut only) = (Vec::new(), None, 0, None);
        for (meaning, value) in meaning.split(' ').filter(|word| !word.is_empty()).zip(arguments.iter()) {
            let number = || usize::try_from(value.as_i64().unwrap_or(0)).ok();
            match meaning.split_at(1) {
                ("M", column) => {
                    let text = match value {
                        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                        ValueRef::Integer(number) => number.to_string(),
                        ValueRef::Null => String::new(),
                        _ => return Err(Fault::Refused("a query is a text".into()).into_sqlite()),
                    };
                    let column = column.parse().ok().filter(|column| *column < self.table.options.columns.len());
                    parts.push(self.table.parse(&text, column).map_err(Fault::into_sqlite)?);
                }
                ("L", _) => limit = number(),
                ("O", _) => offset = number().unwrap_or(0),
                ("R", _) => only = Some(document_of(value)),
                _ => {}
            }
        }
        if parts.is_empty() {
            self.list(only).map_err(Fault::into_sqlite)?;
            return Ok(None);
        }
        let all: Option<Vec<Query>> = parts.into_iter().collect();
        self.query = all.and_then(|mut all| if all.len() > 1 { Some(Query::And(all)) } else { all.pop() });
        let most = limit.unwrap_or(UNTOLD).saturating_add(offset).clamp(1, u32::MAX as usize);
        Ok(Some(Told { most, only }))
    }

    /// Rows of the content, where nothing is searched for: all, or one.
    fn list(&mut self, only: Option<Option<u32>>) -> crate::fault::Result<()> {
        let hit = |document: u32| Hit { document, score: 0 };
        self.hits = match only {
            None => self.table.content_ids()?.into_iter().filter_map(|id| document_id(id).ok().map(hit)).collect(),
            Some(document) => {
                let there = |document: &u32| self.table.has_row(i64::from(*document));
                let is_there = document.as_ref().map(there).transpose()?.unwrap_or(false);
                document.filter(|_| is_there).map(hit).into_iter().collect()
            }
        };
        Ok(())
    }

    fn search(&mut self, wanted: Wanted) -> Result<()> {
        let Some(query) = &self.query else { return Ok(()) };
        self.hits = keeping_rowid(&self.table, || self.table.find(query, wanted)).map_err(Fault::into_sqlite)?;
        self.wanted = Some(wanted);
        Ok(())
    }

    fn hit(&self) -> Result<Hit> {
        self.hits.get(self.at).copied().ok_or_else(|| Error::ModuleError("there is no current row".into()))
    }
}

// SAFETY: `repr(C)`, and the base comes first.
unsafe impl VTabCursor for SearchCursor {
    fn filter(&mut self, wanted: c_int, meaning: Option<&str>, arguments: &Filters<'_>) -> Result<()> {
        (self.query, self.wanted, self.at) = (None, None, 0);
        self.hits.clear();
        self.row.take();
        let Some(Told { most, only }) = self.read_arguments(meaning.unwrap_or(""), arguments)? else { return Ok(()) };
        if only == Some(None) {
            return Ok(());
        }
        self.search(match wanted {
            _ if let Some(Some(document)) = only => Wanted::Only { document, scored: wanted & SCORED != 0 },
            _ if wanted & BY_RANK != 0 => Wanted::Best(most),
            _ if wanted & BY_COLUMN != 0 => {
                let (column, descending) = ((wanted >> COLUMN_SHIFT) as usize, wanted & DESCENDING != 0);
                Wanted::Sorted(Sort { column, descending }, most)
            }
            _ if wanted & FIRST != 0 => Wanted::First(most),
            _ => Wanted::All { scored: wanted & SCORED != 0 },
        })
    }

    fn next(&mut self) -> Result<()> {
        self.at += 1;
        if self.at < self.hits.len() {
            return Ok(());
        }
        match self.wanted {
            Some(Wanted::Best(most)) if self.hits.len() >= most => self.search(Wanted::Best(most.saturating_mul(MORE))),
            Some(Wanted::Sorted(sort, most)) if self.hits.len() >= most => {
                self.search(Wanted::Sorted(sort, most.saturating_mul(MORE)))
            }
            Some(Wanted::First(most)) if self.hits.len() >= most => {
                self.search(Wanted::First(most.saturating_mul(MORE)))
            }
            _ => Ok(()),
        }
    }

    fn eof(&self) -> bool {
        self.at >= self.hits.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let hit = self.hit()?;
        let columns = self.table.options.columns.len();
        let column = column as usize;
        if column > columns {
            return context.set_result(rank(hit.score));
        }
        if column == columns {
            return context.set_result(rusqlite::types::Null);
        }
        let rowid = i64::from(hit.document);
        let mut held = self.row.borrow_mut();
        if held.as_ref().is_none_or(|(of, _)| *of != rowid) {
            *held = Some((rowid, self.table.content_row(rowid).map_err(Fault::into_sqlite)?.unwrap_or_default()));
        }
        match held.as_ref().and_then(|(_, values)| values.get(column)) {
            Some(value) => context.set_result(value),
            None => context.set_result(rusqlite::types::Null),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(i64::from(self.hit()?.document))
    }
}

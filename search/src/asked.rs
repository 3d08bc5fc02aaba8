//! What else an index is asked, as functions that give rows: `search_facets` and `search_spelled`. They name the index by a
//! parameter, so they find its table by themselves.
#![allow(unsafe_code)]

use std::{
    borrow::Cow,
    ffi::{CStr, c_int},
    marker::PhantomData,
    rc::Rc,
    sync::Arc,
};

use rusqlite::{
    Connection, OptionalExtension, Result,
    types::{Value, ValueRef},
    vtab::{
        Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor, sqlite3_vtab,
        sqlite3_vtab_cursor,
    },
};

use crate::{
    fault::Fault,
    memory::Memory,
    options::{Kind, Options},
    table::Table,
};

pub fn register(connection: &Connection, memory: Arc<Memory>) -> Result<()> {
    const FACETS: Module<'_, AskedTable<Facets>> = Module::eponymous_only_module();
    const SPELLED: Module<'_, AskedTable<Spelled>> = Module::eponymous_only_module();
    connection.create_module(c"search_facets", &FACETS, Some(memory.clone()))?;
    connection.create_module(c"search_spelled", &SPELLED, Some(memory))
}

/// One of the functions.
trait Question {
    /// First what it tells, then as hidden columns what it is given.
    const DECLARED: &'static CStr;
    const TOLD: usize;
    const GIVEN: usize;

    fn answer(index: &Table, given: &[Value]) -> crate::fault::Result<Vec<Vec<Value>>>;
}

struct Facets;

impl Question for Facets {
    const DECLARED: &'static CStr =
        c"CREATE TABLE x(value, documents, is_exact, search HIDDEN, query HIDDEN, column_name HIDDEN, most HIDDEN)";
    const TOLD: usize = 3;
    const GIVEN: usize = 4;

    fn answer(index: &Table, given: &[Value]) -> crate::fault::Result<Vec<Vec<Value>>> {
        let name = text(&given[2]);
        let column = index.options.column_named(&name).filter(|at| index.options.columns[*at].kind == Kind::Tags);
        let column =
            column.ok_or_else(|| Fault::Refused(format!("search_facets: there is no column of tags '{name}'")))?;
        let most = match given[3] {
            Value::Integer(most) => usize::try_from(most).unwrap_or(0),
            _ => return Err(Fault::Refused("search_facets: the number of values is a whole number".into())),
        };
        let Some(query) = index.parse(&text(&given[1]), None)? else { return Ok(Vec::new()) };
        let facets = index.facets(&query, (column, most))?;
        let row = |value: Value, count: u64| vec![value, Value::Integer(count as i64), Value::from(facets.is_exact)];
        let all = std::iter::once(row(Value::Null, facets.documents));
        Ok(all.chain(facets.values.iter().map(|(value, count)| row(Value::Text(value.clone()), *count))).collect())
    }
}

struct Spelled;

impl Question for Spelled {
    const DECLARED: &'static CStr = c"CREATE TABLE x(text, search HIDDEN, typed HIDDEN)";
    const TOLD: usize = 1;
    const GIVEN: usize = 2;

    fn answer(index: &Table, given: &[Value]) -> crate::fault::Result<Vec<Vec<Value>>> {
        Ok(index.spelled(&text(&given[1]))?.into_iter().map(|text| vec![Value::Text(text)]).collect())
    }
}

fn kept(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        _ => Value::Null,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        _ => String::new(),
    }
}

#[repr(C)]
struct AskedTable<Q> {
    base: sqlite3_vtab,
    asked: Rc<Asked>,
    question: PhantomData<Q>,
}

/// The connection a question is asked on.
struct Asked {
    connection: Connection,
    memory: Arc<Memory>,
}

impl Asked {
    /// The index of this name in the main database.
    fn table(&self, name: &str) -> crate::fault::Result<Table> {
        let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
        let mut declared = self.connection.prepare_cached(sql)?;
        let declared: Option<Option<String>> = declared.query_row([name], |row| row.get(0)).optional()?;
        let refused = || Fault::Refused(format!("there is no search index '{name}'"));
        let options = Options::of_statement(&declared.flatten().ok_or_else(refused)?).map_err(|_| refused())?;
        // SAFETY: the handle is that of an open connection, which ends its virtual tables before it closes; and the table
        // made of it lives no longer than one call of `filter`.
        let connection = unsafe { Connection::from_handle(self.connection.handle()) }?;
        Ok(Table::new(connection, "main", name, options, self.memory.clone()))
    }
}

// SAFETY: `repr(C)`, and the base comes first.
unsafe impl<'vtab, Q: Question + 'vtab> VTab<'vtab> for AskedTable<Q> {
    type Aux = Arc<Memory>;
    type Cursor = AskedCursor<Q>;

    fn connect(
        db: &mut VTabConnection,
        memory: Option<&Arc<Memory>>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        // SAFETY: as in `vtab.rs`: the connection is open, and outlives its virtual tables.
        let connection = unsafe { Connection::from_handle(db.handle())? };
        let asked = Rc::new(Asked { connection, memory: memory.cloned().unwrap_or_default() });
        Ok((Cow::Borrowed(Q::DECLARED), AskedTable { base: sqlite3_vtab::default(), asked, question: PhantomData }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut given = vec![None; Q::GIVEN];
        for (index, constraint) in info.constraints().enumerate() {
            let hidden = usize::try_from(constraint.column()).ok().and_then(|column| column.checked_sub(Q::TOLD));
            let Some(slot) = hidden.and_then(|hidden| given.get_mut(hidden)) else { continue };
            if constraint.operator() == IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ {
                if !constraint.is_usable() {
                    return Ok(false);
                }
                *slot = Some(index);
            }
        }
        let is_whole = given.iter().all(Option::is_some);
        for (place, index) in given.into_iter().flatten().enumerate().filter(|_| is_whole) {
            let mut usage = info.constraint_usage(index);
            usage.set_argv_index(place as c_int + 1);
            usage.set_omit(true);
        }
        info.set_idx_num(c_int::from(is_whole));
        info.set_idx_str(if is_whole { "asked" } else { "" });
        info.set_estimated_cost(if is_whole { 1_000.0 } else { 1e12 });
        info.set_estimated_rows(25);
        Ok(true)
    }

    fn open(&'vtab mut self) -> Result<AskedCursor<Q>> {
        let base = sqlite3_vtab_cursor::default();
        Ok(AskedCursor { base, asked: self.asked.clone(), rows: Vec::new(), at: 0, question: PhantomData })
    }
}

#[repr(C)]
struct AskedCursor<Q> {
    base: sqlite3_vtab_cursor,
    asked: Rc<Asked>,
    rows: Vec<Vec<Value>>,
    at: usize,
    question: PhantomData<Q>,
}

// SAFETY: `repr(C)`, and the base comes first.
unsafe impl<Q: Question> VTabCursor for AskedCursor<Q> {
    fn filter(&mut self, is_whole: c_int, _: Option<&str>, arguments: &Filters<'_>) -> Result<()> {
        (self.rows, self.at) = (Vec::new(), 0);
        if is_whole == 0 {
            let wants = format!("{} parameters are wanted", Q::GIVEN);
            return Err(Fault::Refused(wants).into_sqlite());
        }
        let given: Vec<Value> = arguments.iter().map(kept).collect();
        let index = self.asked.table(&text(&given[0]));
        self.rows = index.and_then(|index| Q::answer(&index, &given)).map_err(Fault::into_sqlite)?;
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let row = self.rows.get(self.at);
        match usize::try_from(column).ok().and_then(|column| row?.get(column)) {
            Some(value) => context.set_result(value),
            None => context.set_result(rusqlite::types::Null),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.at as i64)
    }
}

//! Values, rows and errors of SQL, and the named queries a handler runs on its release.
//!
//! ```ignore
//! #[derive(sql::Row)]
//! struct Package {
//!     name: String,
//!     homepage: Option<String>,
//! }
//!
//! let packages: Vec<Package> = sql::query("section-packages", (section, 50))?.rows()?;
//! let package: Option<Package> = sql::query("package", (name,))?.row()?;
//! let total: Option<u64> = sql::query("total", ())?.first(|row| row.get("packages"))?;
//! ```

mod json;

use std::fmt;

pub use json::Json;
pub use nearside_sdk_derive::Row;

pub use crate::bindings::nearside::edge::types::Value;
use crate::bindings::nearside::edge::{sql, types};

/// Runs the query `name` of `queries.sql`. Parameters are a tuple: `sql::query("by-section", (section, 50))`.
///
/// # Errors
/// When there is no such query, the parameters do not fit it, or it ran into a limit.
pub fn query(name: &str, parameters: impl Parameters) -> Result<Rows, Error> {
    match sql::query_flat(name, &parameters.into_values()) {
        Ok(flat) => Ok(Rows::new(name, flat)),
        Err(reason) => Err(Error::Host { reason }),
    }
}

/// A whole result.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The name of the query, or its text: for messages.
    query: String,
    flat: types::FlatRows,
}

/// A cell of a result, where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A real.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl Rows {
    pub(crate) fn new(query: &str, flat: types::FlatRows) -> Self {
        Self { query: query.to_owned(), flat }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flat.kinds.is_empty()
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        // A result without columns has no cells either.
        let width = self.flat.names.len().max(1);
        (0..self.flat.kinds.len() / width).map(move |row| Row { rows: self, start: row * width })
    }

    fn name(&self, column: usize) -> Option<&str> {
        let start = column.checked_sub(1).map_or(Some(0), |before| self.flat.names.get(before).copied())?;
        self.flat.texts.get(start as usize..*self.flat.names.get(column)? as usize)
    }

    /// As `wit/types.wit` lays it out.
    fn cell(&self, at: usize) -> Option<Cell<'_>> {
        let (kind, word) = (*self.flat.kinds.get(at)?, *self.flat.words.get(at)?);
        let place = (word >> 32) as usize..word as u32 as usize;
        Some(match kind {
            0 => Cell::Null,
            1 => Cell::Integer(word as i64),
            2 => Cell::Real(f64::from_bits(word)),
            3 => Cell::Text(self.flat.texts.get(place)?),
            _ => Cell::Blob(self.flat.blobs.get(place)?),
        })
    }

    /// Every row as a `T`, mostly a struct with `#[derive(Row)]`.
    ///
    /// # Errors
    /// When a column is missing or holds something else than the field does.
    pub fn rows<'a, T: FromRow<'a>>(&'a self) -> Result<Vec<T>, Error> {
        self.map(T::from_row)
    }

    /// The first row as a `T`, if there is one.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn row<'a, T: FromRow<'a>>(&'a self) -> Result<Option<T>, Error> {
        self.first(T::from_row)
    }

    /// Every row through `read`.
    ///
    /// # Errors
    /// The first one of `read`.
    pub fn map<'a, T>(&'a self, read: impl FnMut(Row<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.iter().map(read).collect()
    }

    /// The first row through `read`, if there is one.
    ///
    /// # Errors
    /// That of `read`.
    pub fn first<'a, T>(&'a self, read: impl FnOnce(Row<'a>) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.iter().next().map(read).transpose()
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    rows: &'a Rows,
    /// Its first cell.
    start: usize,
}

impl<'a> Row<'a> {
    /// The value of a column as a `T`: `row.get::<i64>("id")?`.
    ///
    /// # Errors
    /// When the query has no such column, or the value is not of that type.
    pub fn get<T: FromValue<'a>>(self, column: &'static str) -> Result<T, Error> {
        self.get_near(0, column)
    }

    /// [`get`](Self::get) for a column that probably stands at the place `at`: what `#[derive(Row)]` calls.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[doc(hidden)]
    // One for each type, not one for each field.
    #[inline(never)]
    pub fn get_near<T: FromValue<'a>>(self, at: usize, column: &'static str) -> Result<T, Error> {
        let value = self.cell(at, column)?;
        T::from_value(value).ok_or_else(|| self.wrong_type(column, T::NAME, value))
    }

    // Not generic, so that there is one of it and not one for each type.
    fn cell(self, at: usize, column: &'static str) -> Result<Cell<'a>, Error> {
        let is = |at: &usize| self.rows.name(*at) == Some(column);
        let place = if is(&at) { Some(at) } else { (0..self.rows.flat.names.len()).find(is) };
        let cell = place.and_then(|at| self.rows.cell(self.start + at));
        cell.ok_or_else(|| Error::NoColumn { query: self.rows.query.clone(), column })
    }

    #[cold]
    fn wrong_type(self, column: &'static str, expected: &'static str, value: Cell<'_>) -> Error {
        Error::WrongType { query: self.rows.query.clone(), column, expected, found: found(value) }
    }
}

/// What a row can be read as: derive it.
pub trait FromRow<'a>: Sized {
    /// Reads the columns it is made of.
    ///
    /// # Errors
    /// When a column is missing or holds something else than expected.
    fn from_row(row: Row<'a>) -> Result<Self, Error>;
}

/// What a value of SQL can be read as.
pub trait FromValue<'a>: Sized {
    /// For the message when it cannot.
    const NAME: &'static str;

    /// None when `value` is of another kind or out of range.
    fn from_value(value: Cell<'a>) -> Option<Self>;
}

macro_rules! from_integer {
    ($($type:ty),*) => {$(
        impl FromValue<'_> for $type {
            const NAME: &'static str = stringify!($type);

            fn from_value(value: Cell<'_>) -> Option<Self> {
                match value {
                    Cell::Integer(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
from_integer!(i64, i32, u64, u32, u16, u8, usize);

impl FromValue<'_> for bool {
    const NAME: &'static str = "bool";

    fn from_value(value: Cell<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue<'_> for f64 {
    const NAME: &'static str = "f64";

    fn from_value(value: Cell<'_>) -> Option<Self> {
        match value {
            Cell::Real(number) => Some(number),
            Cell::Integer(number) => Some(number as f64),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const NAME: &'static str = "text";

    fn from_value(value: Cell<'a>) -> Option<Self> {
        match value {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl FromValue<'_> for String {
    const NAME: &'static str = "text";

    fn from_value(value: Cell<'_>) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    const NAME: &'static str = "blob";

    fn from_value(value: Cell<'a>) -> Option<Self> {
        match value {
            Cell::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl FromValue<'_> for Vec<u8> {
    const NAME: &'static str = "blob";

    fn from_value(value: Cell<'_>) -> Option<Self> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

/// NULL is none.
impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: Cell<'a>) -> Option<Self> {
        match value {
            Cell::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u8> for Value {
    fn from(number: u8) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Integer(truth.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What fills `?1`, `?2` …: a tuple of up to eight values, or a list of them.
pub trait Parameters {
    /// In the order of the query.
    fn into_values(self) -> Vec<Value>;
}

impl Parameters for Vec<Value> {
    fn into_values(self) -> Vec<Value> {
        self
    }
}

macro_rules! parameters {
    ($($type:ident),*) => {
        impl<$($type: Into<Value>),*> Parameters for ($($type,)*) {
            #[allow(non_snake_case)]
            fn into_values(self) -> Vec<Value> {
                let ($($type,)*) = self;
                vec![$($type.into()),*]
            }
        }
    };
}
parameters!();
parameters!(A);
parameters!(A, B);
parameters!(A, B, C);
parameters!(A, B, C, D);
parameters!(A, B, C, D, E);
parameters!(A, B, C, D, E, F);
parameters!(A, B, C, D, E, F, G);
parameters!(A, B, C, D, E, F, G, H);

/// Why there are no rows, or not the expected ones. All of it is for the operator.
#[derive(Debug, Clone)]
pub enum Error {
    /// The host could not run it.
    Host {
        /// Its reason.
        reason: types::SqlError,
    },
    /// The rows have no such column.
    NoColumn {
        /// The query's name or text.
        query: String,
        /// The one asked for.
        column: &'static str,
    },
    /// A value is not of the type asked for.
    WrongType {
        /// The query's name or text.
        query: String,
        /// The one asked for.
        column: &'static str,
        /// The type asked for.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl Error {
    /// Whether a constraint of the schema refused the change, as a duplicate does.
    #[must_use]
    pub fn is_constraint(&self) -> bool {
        matches!(self, Self::Host { reason: types::SqlError::Constraint(_) })
    }

    /// Whether the same may go well another time: a limit was reached, or SQLite failed otherwise, as on a full disk. Not so
    /// where the app's own words or rows are at fault.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Host { reason: types::SqlError::OverLimit(_) | types::SqlError::Failed(_) })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use types::SqlError::{Constraint, Failed, OverLimit, UnknownQuery, WrongParameters};
        match self {
            Self::Host { reason: UnknownQuery(text) } => write!(f, "sql: unknown query: {text}"),
            Self::Host { reason: WrongParameters(text) } => write!(f, "sql: wrong parameters: {text}"),
            Self::Host { reason: OverLimit(text) } => write!(f, "sql: over a limit: {text}"),
            Self::Host { reason: Constraint(text) } => write!(f, "sql: constraint: {text}"),
            Self::Host { reason: Failed(text) } => write!(f, "sql: {text}"),
            Self::NoColumn { query, column } => write!(f, "sql: {query}: the rows have no column {column}"),
            Self::WrongType { query, column, expected, found } => {
                write!(f, "sql: {query}: column {column} should read as {expected}, but is {found}")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Host { reason: types::SqlError::OverLimit(_) } => {
                Self::unavailable("This took longer than we allow.", 5).with_detail(error.to_string())
            }
            error => Self::internal(error.to_string()),
        }
    }
}

/// What a value is. An integer is shown, because it may only be out of range; texts stay out of logs.
fn found(value: Cell<'_>) -> String {
    match value {
        Cell::Null => "NULL: an Option takes that".to_owned(),
        Cell::Integer(number) => format!("the integer {number}"),
        // Writing one out takes more code than the rest of this file.
        Cell::Real(_) => "a real".to_owned(),
        Cell::Text(text) => format!("text of {} bytes", text.len()),
        Cell::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests;

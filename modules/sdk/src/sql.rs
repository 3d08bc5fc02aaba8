//! Values, rows and errors of SQL, and the named queries a handler runs on its release.

use std::fmt;

pub use crate::bindings::nearside::edge::types::Value;
use crate::bindings::nearside::edge::{sql, types};

/// Runs the query `name` of `queries.sql`. Parameters are a tuple: `sql::query("by-section", (section, 50))`.
///
/// # Errors
/// When there is no such query, the parameters do not fit it, or it ran into a limit.
pub fn query(name: &str, parameters: impl Parameters) -> Result<Rows, Error> {
    sql::query(name, &parameters.into_values()).map(Rows::new).map_err(|reason| Error::Host { reason })
}

/// A whole result.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: Vec<String>,
    cells: Vec<Value>,
}

impl Rows {
    pub(crate) fn new(rows: types::Rows) -> Self {
        Self { columns: rows.columns, cells: rows.cells }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        // A result without columns has no cells either.
        self.cells.chunks_exact(self.columns.len().max(1)).map(|cells| Row { columns: &self.columns, cells })
    }

    /// Every row through `read`.
    ///
    /// # Errors
    /// The first one of `read`.
    pub fn map<T>(&self, read: impl FnMut(Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.iter().map(read).collect()
    }

    /// The first row through `read`, if there is one.
    ///
    /// # Errors
    /// That of `read`.
    pub fn first<T>(&self, read: impl FnOnce(Row<'_>) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.iter().next().map(read).transpose()
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    cells: &'a [Value],
}

impl<'a> Row<'a> {
    /// The value of a column as a `T`: `row.get::<i64>("id")?`.
    ///
    /// # Errors
    /// When the query has no such column, or the value is not of that type.
    pub fn get<T: FromValue<'a>>(&self, column: &'static str) -> Result<T, Error> {
        let position = self.columns.iter().position(|name| name == column);
        let value = position.and_then(|at| self.cells.get(at)).ok_or(Error::NoColumn { column })?;
        T::from_value(value).ok_or(Error::WrongType { column, expected: T::NAME, found: kind(value) })
    }
}

/// What a value of SQL can be read as.
pub trait FromValue<'a>: Sized {
    /// For the message when it cannot.
    const NAME: &'static str;

    /// None when `value` is of another kind or out of range.
    fn from_value(value: &'a Value) -> Option<Self>;
}

macro_rules! from_integer {
    ($($type:ty),*) => {$(
        impl FromValue<'_> for $type {
            const NAME: &'static str = stringify!($type);

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Integer(number) => (*number).try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
from_integer!(i64, i32, u64, u32, u16, u8, usize);

impl FromValue<'_> for bool {
    const NAME: &'static str = "bool";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue<'_> for f64 {
    const NAME: &'static str = "f64";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Real(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const NAME: &'static str = "text";

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl FromValue<'_> for String {
    const NAME: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    const NAME: &'static str = "blob";

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl FromValue<'_> for Vec<u8> {
    const NAME: &'static str = "blob";

    fn from_value(value: &Value) -> Option<Self> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

/// NULL is none.
impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
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
        /// The one asked for.
        column: &'static str,
    },
    /// A value is not of the type asked for.
    WrongType {
        /// The one asked for.
        column: &'static str,
        /// The type asked for.
        expected: &'static str,
        /// The kind of value it is.
        found: &'static str,
    },
}

impl Error {
    /// Whether a constraint of the schema refused the change, as a duplicate does.
    #[must_use]
    pub fn is_constraint(&self) -> bool {
        matches!(self, Self::Host { reason: types::SqlError::Constraint(_) })
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
            Self::NoColumn { column } => write!(f, "sql: the rows have no column {column}"),
            Self::WrongType { column, expected, found } => {
                write!(f, "sql: column {column} should read as {expected}, but is {found}")
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "text",
        Value::Blob(_) => "a blob",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: vec!["id".into(), "name".into(), "stars".into()],
            cells: (1, "vim", 4.5).into_values().into_iter().chain((2, None::<&str>, 3).into_values()).collect(),
        }
    }

    #[test]
    fn rows_become_structs() {
        let read = |row: Row<'_>| Ok((row.get::<u32>("id")?, row.get::<Option<String>>("name")?, row.get("stars")?));
        let read = rows().map(read).unwrap();
        assert_eq!(read, [(1, Some("vim".into()), 4.5), (2, None, 3.0)]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let rows = rows();
        let error = |result: Result<Option<i64>, Error>| result.unwrap_err().to_string();
        assert_eq!(error(rows.first(|row| row.get("size"))), "sql: the rows have no column size");
        assert_eq!(error(rows.first(|row| row.get("name"))), "sql: column name should read as i64, but is text");
    }

    #[test]
    fn a_number_out_of_range_is_an_error() {
        let rows = Rows { columns: vec!["n".into()], cells: vec![Value::Integer(300)] };
        assert!(rows.first(|row| row.get::<u8>("n")).is_err());
    }

    #[test]
    fn no_rows_are_no_rows() {
        let rows = Rows { columns: vec!["n".into()], cells: vec![] };
        assert_eq!(rows.len(), 0);
        assert_eq!(rows.first(|row| row.get::<u8>("n")).unwrap(), None);
    }
}

//! `#[derive(Row)]`: a struct whose fields are the columns of a query. Used by way of `nearside_sdk::sql::Row`.

mod field;
mod row;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Reads a struct from a row by the names of its fields.
///
/// | attribute | meaning |
/// |---|---|
/// | `#[row(rename = "x")]` | the column is called `x` |
/// | `#[row(default)]` | NULL is the type's default |
/// | `#[row(skip)]` | no column: always the type's default |
/// | `#[row(flatten)]` | a struct that derives `Row` itself, from the same row |
#[proc_macro_derive(Row, attributes(row))]
pub fn row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    row::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

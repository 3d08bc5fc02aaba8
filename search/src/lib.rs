//! Full-text search in ordinary SQLite tables that does not slow down on common words.
//!
//! `FORMAT.md` is the format; `docs/search.md` says how it is used and when to take FTS5 instead.

mod audit;
mod batch;
mod bytes;
mod clause;
mod cursor;
mod documents;
mod fault;
mod find;
mod functions;
mod index;
pub mod inspect;
pub mod limits;
mod list;
mod merge;
mod meta;
mod options;
mod plan;
mod posting;
mod query;
mod rows;
mod score;
mod segment;
mod shadow;
mod table;
mod tokens;
mod top;
mod vtab;

pub use fault::Fault;
pub use vtab::register;

//! Full-text search in ordinary SQLite tables that does not slow down on common words.
//!
//! `FORMAT.md` is the format; `docs/search.md` says how it is used and when to take FTS5 instead.

mod asked;
mod audit;
mod batch;
mod bytes;
mod clause;
mod coder;
mod commit;
mod cursor;
mod dictionary;
mod documents;
mod facets;
mod fault;
mod find;
mod functions;
mod held;
mod index;
pub mod inspect;
pub mod limits;
mod list;
mod log;
mod memory;
mod merge;
mod meta;
mod number;
mod options;
mod phrase;
mod plan;
mod posting;
mod query;
mod record;
mod rows;
mod savepoint;
mod score;
mod segment;
mod shadow;
mod sorted;
mod source;
mod spelling;
mod stem;
mod table;
mod tokens;
mod top;
mod vtab;

pub use fault::Fault;
pub use memory::Memory;
pub use options::{FORMAT, MODULE};
pub use shadow::SHADOW_TABLES;
pub use vtab::{register, register_sharing, warm};

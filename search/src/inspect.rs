//! What an index says of itself, for programs that look after it.

use rusqlite::{Connection, OptionalExtension};

use crate::{
    fault::{Fault, Result},
    meta::Meta,
    shadow::quoted,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    pub documents: u64,
    /// What scores are reckoned by, until it has moved by a tenth.
    pub scored_documents: u64,
    pub average_length: f32,
    /// Documents that each segment tells of, the oldest first.
    pub segments: Vec<u32>,
    pub merging: bool,
}

/// Looks into the index `table` of the main database.
pub fn inspect(connection: &Connection, table: &str) -> Result<Inspection> {
    let sql = format!("SELECT data FROM main.{} WHERE id = 1", quoted(&format!("{table}_meta")));
    let row: Option<Vec<u8>> = connection.query_row(&sql, [], |row| row.get(0)).optional()?;
    let meta = Meta::read(&row.ok_or(Fault::Damaged("its first row is missing"))?)?;
    Ok(Inspection {
        documents: meta.live.documents,
        scored_documents: meta.frozen.documents,
        average_length: meta.frozen.average(),
        segments: meta.segments.iter().map(|segment| segment.documents).collect(),
        merging: meta.merge.is_some(),
    })
}

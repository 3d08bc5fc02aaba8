//! What a search goes through: segments, of which the newest ones, those of the log, are in memory.

use std::sync::Arc;

use crate::{
    batch::Said,
    documents::{Changes, Documents, Told},
    fault::Result,
    held::Held,
    merge,
    meta::{Segment, Stamp},
    options::Shape,
    rows::Rows,
    score::Weights,
    segment,
};

/// A segment, and where its rows are.
#[derive(Clone)]
pub struct Source {
    pub segment: Segment,
    held: Option<Arc<Held>>,
}

impl Source {
    /// One in the tables.
    pub fn kept(segment: Segment) -> Source {
        Source { segment, held: None }
    }

    /// One in memory.
    pub fn held(segment: Segment, rows: Held) -> Source {
        Source { segment, held: Some(Arc::new(rows)) }
    }

    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub fn rows<'a>(&'a self, tables: &'a dyn Rows) -> &'a dyn Rows {
        match &self.held {
            Some(held) => &**held,
            None => tables,
        }
    }

    pub fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes())
    }
}

/// Makes a change of the log a segment in memory.
pub fn of_change(
    (change, stamp): (u32, Stamp),
    (told, said): (&[Told], &[Said]),
    (documents, average): (&Documents, f32),
    how: (Shape, &Weights),
) -> Result<Source> {
    let mut rows = Held::default();
    segment::write(&mut rows, 0, (told, said), (documents, average), how)?;
    let changes = Changes { first: change, last: change };
    let segment = Segment { id: 0, changes, documents: told.len() as u32, average, stamp };
    Ok(Source::held(segment, rows))
}

/// Merges the newest ones in memory as long as the one before the last is less than twice as large: so there are few, and each
/// document is moved a few times. What a flush is about stays apart from what is newer than it: `flushed` is its last change.
pub fn settle(
    sources: &mut Vec<Source>,
    flushed: u32,
    (documents, average): (&Documents, f32),
    how: (Shape, &Weights),
) -> Result<()> {
    while let [.., before, last] = &sources[..] {
        let is_apart = before.segment.changes.last <= flushed && last.segment.changes.first > flushed;
        let is_large = before.segment.documents >= last.segment.documents.saturating_mul(2);
        if !before.is_held() || is_apart || is_large {
            break;
        }
        let merged = merge::in_memory(&sources[sources.len() - 2..], (documents, average), how)?;
        sources.truncate(sources.len() - 2);
        sources.push(merged);
    }
    Ok(())
}

//! What the connections of one database know of its indexes, once for all of them.
//!
//! Each entry is bound to an index's first row and is never changed, only replaced. So it does not matter who made it, and
//! connections that read different moments of one file do not harm each other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    fault::{Fault, Result},
    index::Known,
    limits,
};

/// Shared by connections through [`crate::register_sharing`]. For one app alone: the stamps that bind it to a file's
/// contents are hashes of what that app's own files say.
#[derive(Default)]
pub struct Memory {
    indexes: Mutex<BTreeMap<String, Arc<Known>>>,
}

impl Memory {
    /// For the connections of the next release: what is known of this one is where they begin.
    pub fn following(before: &Memory) -> Memory {
        Memory { indexes: Mutex::new(before.held().clone()) }
    }

    /// Bytes of all that is known. What a release shares with the one before it counts in both.
    pub fn bytes(&self) -> usize {
        self.held().values().map(|known| known.bytes()).sum()
    }

    /// An index that is no more.
    pub(crate) fn forget(&self, index: &str) {
        self.held().remove(index);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Known>>> {
        self.indexes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Where the first row of an index was.
    pub(crate) fn slot(&self, index: &str) -> Option<u32> {
        self.held().get(index).map(|known| known.slot())
    }

    /// What is known of the index with this first row; made from what was known before if it is not that.
    pub(crate) fn recall(
        &self,
        index: &str,
        row: &[u8],
        make: impl FnOnce(Option<&Known>) -> Result<Known>,
    ) -> Result<Arc<Known>> {
        let before = self.held().get(index).cloned();
        let before = match before {
            Some(known) if known.row() == row => return Ok(known),
            before => before,
        };
        // Not under the lock: it reads pages. If two do the same at once, either result will do.
        let made = Arc::new(make(before.as_deref())?);
        let mut held = self.held();
        let others = held.iter().filter(|(name, _)| *name != index).map(|(_, known)| known.bytes());
        if others.sum::<usize>() + made.bytes() > limits::MEMORY_BYTES {
            let most = limits::MEMORY_BYTES >> 20;
            return Err(Fault::Refused(format!("the search indexes of this database need over {most} MiB of memory")));
        }
        if held.len() < limits::INDEXES_IN_MEMORY || held.contains_key(index) {
            held.insert(index.to_owned(), made.clone());
        }
        Ok(made)
    }
}

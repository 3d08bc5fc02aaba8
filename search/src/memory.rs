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
    indexes: Mutex<BTreeMap<String, Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    known: Arc<Known>,
    /// Releases since the last one in which it was asked: an index that was dropped is never asked again.
    unasked: u32,
}

impl Memory {
    /// For the connections of the next release: what is known of this one is where they begin.
    pub fn following(before: &Memory) -> Memory {
        let mut indexes = before.held().clone();
        indexes.values_mut().for_each(|one| one.unasked += 1);
        indexes.retain(|_, one| one.unasked <= limits::RELEASES_UNASKED);
        Memory { indexes: Mutex::new(indexes) }
    }

    /// Bytes of all that is known. What a release shares with the one before it counts in both.
    pub fn bytes(&self) -> usize {
        self.held().values().map(|one| one.known.bytes()).sum()
    }

    /// An index that is no more.
    pub(crate) fn forget(&self, index: &str) {
        self.held().remove(index);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Remembered>> {
        self.indexes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Where the first row of an index was.
    pub(crate) fn slot(&self, index: &str) -> Option<u32> {
        self.held().get(index).map(|one| one.known.slot())
    }

    /// What is known of the index with this first row; made from what was known before if it is not that.
    pub(crate) fn recall(
        &self,
        index: &str,
        row: &[u8],
        make: impl FnOnce(Option<&Known>) -> Result<Known>,
    ) -> Result<Arc<Known>> {
        let before = self.held().get_mut(index).map(|one| {
            one.unasked = 0;
            one.known.clone()
        });
        let before = match before {
            Some(known) if known.row() == row => return Ok(known),
            before => before,
        };
        // Not under the lock: it reads pages. If two do the same at once, either result will do.
        let made = Arc::new(make(before.as_deref())?);
        let mut held = self.held();
        let others = |held: &BTreeMap<String, Remembered>| -> usize {
            held.iter().filter(|(name, _)| *name != index).map(|(_, one)| one.known.bytes()).sum()
        };
        if others(&held) + made.bytes() > limits::MEMORY_BYTES {
            // What this release has not asked for yet goes first.
            held.retain(|name, one| name == index || one.unasked == 0);
        }
        if others(&held) + made.bytes() > limits::MEMORY_BYTES {
            let most = limits::MEMORY_BYTES >> 20;
            return Err(Fault::Refused(format!("the search indexes of this database need over {most} MiB of memory")));
        }
        if held.len() < limits::INDEXES_IN_MEMORY || held.contains_key(index) {
            held.insert(index.to_owned(), Remembered { known: made.clone(), unasked: 0 });
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn what_is_not_asked_any_more_is_forgotten() {
        let options = Options::parse(&["text", "content=''"]).unwrap();
        let ask = |memory: &Memory, index| drop(memory.recall(index, &[], |_| Ok(Known::empty(&options))).unwrap());
        let names = |memory: &Memory| memory.held().keys().cloned().collect::<Vec<_>>();
        let mut memory = Memory::default();
        ask(&memory, "asked");
        ask(&memory, "dropped");
        for _ in 0..limits::RELEASES_UNASKED {
            memory = Memory::following(&memory);
            ask(&memory, "asked");
        }
        assert_eq!(names(&memory), ["asked", "dropped"]);
        memory = Memory::following(&memory);
        assert_eq!(names(&memory), ["asked"]);
        memory.forget("asked");
        assert_eq!(names(&memory), [""; 0]);
    }
}

//! What is made for a release before it is served. It is right with the switch, not before: until then visitors are
//! answered from what they have, and if the release is never served, this goes with it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    cache::{Cache, Entry},
    inputs::Key,
};

#[derive(Default)]
pub struct Ahead {
    open: AtomicBool,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    /// Those of which nothing was touched.
    untouched: Mutex<Vec<Arc<Entry>>>,
}

impl Ahead {
    /// Of a release that is to be served.
    pub(crate) fn open() -> Ahead {
        Ahead { open: AtomicBool::new(true), ..Ahead::default() }
    }

    /// Whether the cache does not know of the release yet.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        if self.is_open() { self.all().get(key).cloned() } else { None }
    }

    /// Whether it was taken; else its place is in the cache.
    pub(crate) fn put(&self, key: &Key, entry: &Arc<Entry>) -> bool {
        let mut entries = self.all();
        if self.is_open() {
            entries.insert(key.clone(), entry.clone());
        }
        self.is_open()
    }

    /// These are right for the release as they are.
    pub(crate) fn stand(&self, untouched: Vec<Arc<Entry>>) {
        *self.untouched() = untouched;
    }

    /// The release is served: the cache takes over. Visitors are answered from here until it has everything.
    pub(crate) fn close(&self, cache: &Cache, generation: u64) {
        // So that they need not be judged by many steps when somebody asks for them, nor by steps nobody remembers.
        for entry in std::mem::take(&mut *self.untouched()) {
            entry.right_until.fetch_max(generation, Ordering::AcqRel);
        }
        let store = |(key, entry)| {
            // What the cache has no room for is rendered when it is asked for.
            let _ = cache.store(key, entry);
        };
        let most: Vec<(Key, Arc<Entry>)> = self.all().iter().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let stored = most.len();
        most.into_iter().for_each(store);
        let mut entries = self.all();
        self.open.store(false, Ordering::Release);
        let all = std::mem::take(&mut *entries);
        if all.len() > stored {
            all.into_iter().for_each(store);
        }
    }

    fn untouched(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.untouched.lock().expect("BUG: nothing panics while holding what stands")
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Arc<Entry>>> {
        self.entries.lock().expect("BUG: nothing panics while holding what was made ahead")
    }
}

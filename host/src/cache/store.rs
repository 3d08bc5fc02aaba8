//! Where entries are kept: a map in shards for those who ask, and the apps' shares for those who store.
//!
//! Whoever asks takes one shard's read lock, compares the whole key, and counts a touch; nothing is allocated and nothing
//! queued. Whoever stores has just rendered, so all of them share one lock, and what is counted under it is exact.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, RwLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use ahash::RandomState;
use hashbrown::HashTable;
use nearside_protocol::{limits, status::AppCache};

use super::shares::{Line, Place, Share, Shares, TOUCHES_MOST, Turn, Weight};
use crate::{inputs::Key, policy::NotStored};

/// What can be kept.
pub(super) trait Kept {
    /// The generation of its app that it was made in.
    fn made_in(&self) -> u64;
    /// How long it took to make.
    fn took(&self) -> Duration;
    /// What it takes in memory, under a key of so many bytes.
    fn weight_bytes(&self, key_bytes: usize) -> usize;
}

/// Keys come from visitors: the hash is keyed, and with another key in each process.
pub(super) struct Store<E, S = RandomState> {
    budget_bytes: u64,
    hasher: S,
    shards: Box<[Shard<E>]>,
    /// Locked before any shard.
    shares: Mutex<Shares>,
}

const SHARDS: usize = 64;

/// Alone in its cache lines: those who ask of one do not slow down those who ask of its neighbour.
#[repr(align(128))]
struct Shard<E>(RwLock<HashTable<Slot<E>>>);

struct Slot<E> {
    place: Place,
    key: Key,
    entry: Arc<E>,
    weight: Weight,
    line: Line,
    /// By those who ask, up to [`TOUCHES_MOST`]. One may get lost between two of them.
    touches: AtomicU8,
}

impl<E: Kept> Store<E> {
    pub fn new(budget_bytes: u64) -> Store<E> {
        Store::with_hasher(budget_bytes, RandomState::new())
    }
}

impl<E: Kept, S: BuildHasher> Store<E, S> {
    pub fn with_hasher(budget_bytes: u64, hasher: S) -> Store<E, S> {
        let shards = (0..SHARDS).map(|_| Shard(RwLock::new(HashTable::new()))).collect();
        Store { budget_bytes, hasher, shards, shares: Mutex::default() }
    }

    /// The entry under a key, by the key's bytes.
    pub fn get(&self, key: &[u8]) -> Option<Arc<E>> {
        let hash = self.hasher.hash_one(key);
        let slots = self.shard(hash).0.read().expect(UNHARMED);
        let slot = slots.find(hash, |slot| slot.is_of(hash, key))?;
        let touches = slot.touches.load(Ordering::Relaxed);
        if touches < TOUCHES_MOST {
            slot.touches.store(touches + 1, Ordering::Relaxed);
        }
        Some(slot.entry.clone())
    }

    /// Stores an entry unless a newer one is there, it saves too little, or it is too large. What is there under the key, and
    /// is not newer, goes in any case.
    pub fn store(&self, key: Key, entry: Arc<E>) -> Result<(), NotStored> {
        let weight = weigh(&key, &*entry);
        let hash = self.hasher.hash_one(key.as_bytes());
        let mut gone = Gone::default();
        let mut shares = self.shares();
        if self.newer_is_there(hash, &key, &*entry) {
            return Err(NotStored::Overtaken);
        }
        if let Err(why) = self.admits(&shares, key.app(), weight) {
            gone.extend(self.take(&mut shares, hash, key.as_bytes()));
            return Err(why);
        }
        gone.extend(self.put(&mut shares, hash, key, entry, weight));
        self.make_room(&mut shares, &mut gone);
        // What goes is let go of after the lock: a large body takes a while to be freed.
        drop(shares);
        Ok(())
    }

    pub fn remove(&self, key: &Key) {
        let hash = self.hasher.hash_one(key.as_bytes());
        let taken = self.take(&mut self.shares(), hash, key.as_bytes());
        drop(taken);
    }

    /// What this entry weighs has changed, if it is still the one under its key.
    pub fn weigh_again(&self, key: &Key, entry: &Arc<E>) {
        let hash = self.hasher.hash_one(key.as_bytes());
        let after = weigh(key, &**entry);
        let mut gone = Gone::default();
        let mut shares = self.shares();
        let mut slots = self.shard(hash).0.write().expect(UNHARMED);
        let Some(slot) = slots.find_mut(hash, |slot| slot.is_of(hash, key.as_bytes())) else { return };
        if !Arc::ptr_eq(&slot.entry, entry) {
            return;
        }
        shares.bytes = shares.bytes - slot.weight.bytes + after.bytes;
        shares.of(key.app()).reweigh(slot.line, slot.weight, after);
        slot.weight = after;
        drop(slots);
        if after.bytes > shares.fair_bytes(self.budget_bytes, key.app()) {
            gone.extend(self.take(&mut shares, hash, key.as_bytes()));
        }
        self.make_room(&mut shares, &mut gone);
        drop(shares);
    }

    /// All entries of an app.
    pub fn of_app(&self, app: &str) -> Vec<(Key, Arc<E>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let slots = shard.0.read().expect(UNHARMED);
            let its = slots.iter().filter(|slot| slot.key.app() == app);
            all.extend(its.map(|slot| (slot.key.clone(), slot.entry.clone())));
        }
        all
    }

    pub fn bytes(&self) -> u64 {
        self.shares().bytes
    }

    pub fn count(&self) -> u64 {
        self.shares().all().map(|(_, share)| share.entries).sum()
    }

    pub fn apps(&self) -> BTreeMap<String, AppCache> {
        let cache =
            |share: &Share| AppCache { bytes: share.bytes(), entries: share.entries, evictions: share.evictions };
        self.shares().all().map(|(name, share)| (name.clone(), cache(share))).collect()
    }

    // --- Under the lock of the shares -------------------------------------------------------------------------------

    fn newer_is_there(&self, hash: u64, key: &Key, entry: &E) -> bool {
        let slots = self.shard(hash).0.read().expect(UNHARMED);
        let there = slots.find(hash, |slot| slot.is_of(hash, key.as_bytes()));
        there.is_some_and(|there| there.entry.made_in() > entry.made_in())
    }

    fn admits(&self, shares: &Shares, app: &str, weight: Weight) -> Result<(), NotStored> {
        if weight.took_us * 1_024 < weight.bytes * limits::CACHE_LEAST_US_A_KIB {
            return Err(NotStored::CheaperToRender);
        }
        // An app with such an entry would be the next to give way, until it has given the entry itself.
        if weight.bytes > shares.fair_bytes(self.budget_bytes, app) {
            return Err(NotStored::LargerThanShare);
        }
        Ok(())
    }

    /// Puts an entry in the place of the one under its key, which is given back, or else in a new one.
    fn put(&self, shares: &mut Shares, hash: u64, key: Key, entry: Arc<E>, weight: Weight) -> Option<Arc<E>> {
        let id = shares.next_id();
        shares.bytes += weight.bytes;
        let mut slots = self.shard(hash).0.write().expect(UNHARMED);
        if let Some(slot) = slots.find_mut(hash, |slot| slot.is_of(hash, key.as_bytes())) {
            shares.bytes -= slot.weight.bytes;
            shares.of(key.app()).reweigh(slot.line, slot.weight, weight);
            slot.weight = weight;
            return Some(std::mem::replace(&mut slot.entry, entry));
        }
        let place = Place { hash, id };
        let line = shares.of(key.app()).enter(place, weight);
        let slot = Slot { place, key, entry, weight, line, touches: AtomicU8::new(0) };
        slots.insert_unique(hash, slot, |slot| slot.place.hash);
        None
    }

    fn take(&self, shares: &mut Shares, hash: u64, key: &[u8]) -> Option<Arc<E>> {
        let mut slots = self.shard(hash).0.write().expect(UNHARMED);
        let slot = slots.find_entry(hash, |slot| slot.is_of(hash, key)).ok()?.remove().0;
        drop(slots);
        shares.bytes -= slot.weight.bytes;
        let share = shares.of(slot.key.app());
        if share.leave(slot.line, slot.weight) {
            share.sweep(|place| self.is_there(place));
        }
        Some(slot.entry)
    }

    fn is_there(&self, place: Place) -> bool {
        let slots = self.shard(place.hash).0.read().expect(UNHARMED);
        slots.find(place.hash, |slot| slot.place == place).is_some()
    }

    fn make_room(&self, shares: &mut Shares, gone: &mut Gone<E>) {
        while shares.bytes > self.budget_bytes {
            let share = shares.largest().expect("BUG: bytes are somebody's");
            let slot = self.evict(share);
            shares.bytes -= slot.weight.bytes;
            gone.push(slot.entry);
        }
    }

    /// Takes away the entry of an app that is missed least.
    fn evict(&self, share: &mut Share) -> Slot<E> {
        let mut chances = limits::CACHE_CHANCES;
        loop {
            let (line, place) = share.next().expect("BUG: each entry has a place");
            let mut slots = self.shard(place.hash).0.write().expect(UNHARMED);
            let Ok(mut there) = slots.find_entry(place.hash, |slot| slot.place == place) else {
                share.was_empty();
                continue;
            };
            let slot = there.get_mut();
            match share.turn(line, *slot.touches.get_mut(), slot.weight) {
                Turn::Stays(touches) if chances > 0 => {
                    chances -= 1;
                    *slot.touches.get_mut() = touches;
                    slot.line = Line::Main;
                    share.stays(line, place, slot.weight);
                }
                _ => {
                    share.goes(line, place, slot.weight);
                    return there.remove().0;
                }
            }
        }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().expect(UNHARMED)
    }

    /// By bits that the table of a shard does not go by.
    fn shard(&self, hash: u64) -> &Shard<E> {
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

/// Entries that are let go of when no lock is held any more.
type Gone<E> = Vec<Arc<E>>;

const UNHARMED: &str = "BUG: nothing panics while holding a lock of the store";

impl<E> Slot<E> {
    fn is_of(&self, hash: u64, key: &[u8]) -> bool {
        self.place.hash == hash && self.key.as_bytes() == key
    }
}

fn weigh<E: Kept>(key: &Key, entry: &E) -> Weight {
    Weight::new(entry.weight_bytes(key.as_bytes().len()), entry.took())
}

//! Stored responses, and the renders in flight.
//!
//! An entry is right for the release it was made on, and for each later one by which none of what it was computed from was
//! changed. That is looked at when someone asks for it: a switch costs nothing for entries nobody asks for.

mod because;
mod entry;
mod flights;
mod ghosts;
mod shares;
mod store;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use nearside_protocol::{digest::Digest, limits, status::AppCache};

pub use self::{
    because::Because,
    entry::{By, Entry, Expires, Right, Whole},
    flights::{Joined, Landing, Lead, Waiter},
};
use self::{entry::Judged, flights::Flights, store::Store};
use crate::{cache_status::Cause, inputs::Key, policy::NotStored, release::Release};

/// What a look into the cache gives.
pub enum Look {
    Hit(Arc<Entry>, Right),
    /// There, and pages it was computed from have changed: its questions are to be asked again.
    InDoubt(Arc<Entry>),
    /// There, and not right for this release.
    Wrong(Arc<Entry>, Cause),
    /// Not there; a render may be stored, so it is shared with others who ask meanwhile.
    Miss,
    /// Not there, and the last render of it was not storable: nobody should wait for anybody.
    Unstorable(NotStored),
}

/// What remembering one takes besides its key, about.
const UNSTORABLE_BOOKKEEPING_BYTES: usize = 256;

pub struct Cache {
    entries: Option<Store<Entry>>,
    /// By the app's code for which that is so.
    unstorable: moka::sync::Cache<Key, (Digest, NotStored)>,
    flights: Flights,
}

impl Cache {
    /// Zero MiB: nothing is stored or shared.
    pub fn new(mib: u64) -> Cache {
        // Keys hold what visitors say, and that may be long.
        let weigh = |key: &Key, _: &(Digest, NotStored)| {
            u32::try_from(key.as_bytes().len() + UNSTORABLE_BOOKKEEPING_BYTES).unwrap_or(u32::MAX)
        };
        let unstorable = moka::sync::Cache::builder().max_capacity(limits::UNSTORABLE_BYTES).weigher(weigh).build();
        Cache { entries: (mib > 0).then(|| Store::new(mib << 20)), unstorable, flights: Flights::default() }
    }

    pub fn is_on(&self) -> bool {
        self.entries.is_some()
    }

    /// The entry that is right, if there is one and that is known.
    pub(crate) fn hit(&self, key: &Key, release: &Release) -> Option<(Arc<Entry>, Right)> {
        let entry = release.ahead.get(key).or_else(|| self.entries.as_ref()?.get(key.as_bytes()))?;
        match entry.judge(release) {
            Judged::Right(right) => {
                entry.hits.fetch_add(1, Ordering::Relaxed);
                Some((entry, right))
            }
            _ => None,
        }
    }

    pub fn look(&self, key: &Key, release: &Release) -> Look {
        let Some(entries) = &self.entries else { return Look::Unstorable(NotStored::CacheOff) };
        let mut wrong = None;
        if let Some(entry) = release.ahead.get(key).or_else(|| entries.get(key.as_bytes())) {
            match entry.judge(release) {
                Judged::Right(right) => {
                    entry.hits.fetch_add(1, Ordering::Relaxed);
                    return Look::Hit(entry, right);
                }
                Judged::InDoubt => return Look::InDoubt(entry),
                Judged::Wrong(cause) => wrong = Some((entry, cause)),
            }
        }
        match self.unstorable.get(key) {
            Some((of, why)) if of == release.code.digest => Look::Unstorable(why),
            _ => wrong.map_or(Look::Miss, |(entry, cause)| Look::Wrong(entry, cause)),
        }
    }

    /// There is no response to this, right or wrong, and nobody makes one.
    pub(crate) fn has_nothing(&self, key: &Key, release: &Release) -> bool {
        let Some(entries) = &self.entries else { return true };
        let is_stored = release.ahead.get(key).is_some() || entries.get(key.as_bytes()).is_some();
        !is_stored && !self.flights.has(key, release)
    }

    /// Stores an entry, unless one of a newer release is there already or it is not worth its place.
    pub fn store(&self, key: Key, entry: Arc<Entry>) -> Result<(), NotStored> {
        self.entries.as_ref().map_or(Err(NotStored::CacheOff), |entries| entries.store(key, entry))
    }

    pub fn remember_unstorable(&self, key: Key, code: Digest, why: NotStored) {
        self.unstorable.insert(key, (code, why));
    }

    /// It was storable after all.
    pub fn forget_unstorable(&self, key: &Key) {
        self.unstorable.invalidate(key);
    }

    /// What an entry weighs has changed.
    pub fn weigh_again(&self, key: &Key, entry: &Arc<Entry>) {
        if let Some(entries) = &self.entries {
            entries.weigh_again(key, entry);
        }
    }

    /// All entries of an app.
    pub fn of_app(&self, app: &str) -> Vec<(Key, Arc<Entry>)> {
        self.entries.as_ref().map_or_else(Vec::new, |entries| entries.of_app(app))
    }

    pub fn remove(&self, key: &Key) {
        if let Some(entries) = &self.entries {
            entries.remove(key);
        }
    }

    pub fn bytes(&self) -> u64 {
        self.entries.as_ref().map_or(0, |entries| entries.bytes())
    }

    pub fn count(&self) -> u64 {
        self.entries.as_ref().map_or(0, |entries| entries.count())
    }

    /// What each app has of it.
    pub fn apps(&self) -> BTreeMap<String, AppCache> {
        self.entries.as_ref().map_or_else(BTreeMap::new, |entries| entries.apps())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use nearside_protocol::route::Declared;

    use super::*;
    use crate::{inputs::Seen, target::Target};

    #[test]
    fn what_is_remembered_of_keys_that_are_not_storable_is_bounded_whatever_visitors_say() {
        let cache = Cache::new(1);
        let key = |path: &str| {
            let target = Target::parse(path, None).unwrap();
            Seen::new(&Declared::default(), target, &HeaderMap::new(), None).key("app")
        };
        let remember = |path: &str| cache.remember_unstorable(key(path), Digest::of(b"code"), NotStored::SaysSo);
        for number in 0..2_000 {
            remember(&format!("/{number}/{}", "x".repeat(8_000)));
        }
        cache.unstorable.run_pending_tasks();
        let bytes = cache.unstorable.weighted_size();
        assert!((1..=limits::UNSTORABLE_BYTES).contains(&bytes), "{bytes}");
        assert!(cache.unstorable.entry_count() * 8_000 <= limits::UNSTORABLE_BYTES);
    }
}

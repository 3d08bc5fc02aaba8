//! Stored responses, and the renders in flight.
//!
//! Today an entry is right for the one release it was rendered on, so a switch leaves all of them behind.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use nearside_protocol::{limits, release::ReleaseId};
use tokio::sync::watch;

use crate::{
    inputs::Key,
    policy::{Lifetime, NotStored},
    refusal::Refusal,
};

/// A response, whole, as it is sent.
#[derive(Debug)]
pub struct Entry {
    pub release: ReleaseId,
    pub status: StatusCode,
    /// Ready to send, `ETag` and `Content-Length` among them.
    pub headers: HeaderMap,
    pub etag: HeaderValue,
    pub body: Bytes,
    pub expires: Option<Instant>,
}

impl Entry {
    fn is_right_for(&self, release: ReleaseId) -> bool {
        self.release == release && self.expires.is_none_or(|expires| expires > Instant::now())
    }

    fn weight_bytes(&self, key_bytes: usize) -> usize {
        const BOOKKEEPING: usize = 512;
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        self.body.len() + headers + key_bytes + BOOKKEEPING
    }
}

/// What a look into the cache gives.
pub enum Look {
    Hit(Arc<Entry>),
    /// Not there; a render may be stored, so it is shared with others who ask meanwhile.
    Miss,
    /// Not there, and the last render of it was not storable: nobody should wait for anybody.
    Unstorable(NotStored),
}

pub struct Cache {
    entries: Option<moka::sync::Cache<Key, Arc<Entry>>>,
    unstorable: moka::sync::Cache<Key, (ReleaseId, NotStored)>,
    flights: Mutex<HashMap<(Key, ReleaseId), Flight>>,
}

impl Cache {
    /// Zero MiB: nothing is stored or shared.
    pub fn new(mib: u64) -> Cache {
        let entries = (mib > 0).then(|| {
            moka::sync::Cache::builder()
                .max_capacity(mib << 20)
                .weigher(|key: &Key, entry: &Arc<Entry>| entry.weight_bytes(key.len()).try_into().unwrap_or(u32::MAX))
                .build()
        });
        let unstorable = moka::sync::Cache::builder().max_capacity(limits::UNSTORABLE_KEYS).build();
        Cache { entries, unstorable, flights: Mutex::default() }
    }

    pub fn look(&self, key: &Key, release: ReleaseId) -> Look {
        let Some(entries) = &self.entries else { return Look::Unstorable(NotStored::CacheOff) };
        if let Some(entry) = entries.get(key)
            && entry.is_right_for(release)
        {
            return Look::Hit(entry);
        }
        match self.unstorable.get(key) {
            Some((of, why)) if of == release => Look::Unstorable(why),
            _ => Look::Miss,
        }
    }

    /// Stores an entry, unless one of a newer release is there already.
    pub fn store(&self, key: Key, entry: Arc<Entry>) -> Result<(), NotStored> {
        let Some(entries) = &self.entries else { return Err(NotStored::CacheOff) };
        let release = entry.release;
        let there = entries.entry(key).and_upsert_with(|there| match there {
            Some(there) if there.value().release > entry.release => there.into_value(),
            _ => entry,
        });
        if there.value().release == release { Ok(()) } else { Err(NotStored::Overtaken) }
    }

    pub fn remember_unstorable(&self, key: Key, release: ReleaseId, why: NotStored) {
        self.unstorable.insert(key, (release, why));
    }

    /// It was storable after all.
    pub fn forget_unstorable(&self, key: &Key) {
        self.unstorable.invalidate(key);
    }

    pub fn bytes(&self) -> u64 {
        self.entries.as_ref().map_or(0, |entries| entries.weighted_size())
    }

    pub fn count(&self) -> u64 {
        self.entries.as_ref().map_or(0, |entries| entries.entry_count())
    }

    /// Joins the render in flight for this key and release, or becomes the one that makes it.
    pub fn join(self: &Arc<Self>, key: &Key, release: ReleaseId) -> Joined {
        let mut flights = self.flights.lock().expect("BUG: nothing panics while holding the flights");
        if let Some(flight) = flights.get(&(key.clone(), release)) {
            let waiter = Waiter { landed: flight.landed.clone(), count: flight.waiters.clone() };
            let others = flight.waiters.fetch_add(1, Ordering::Relaxed);
            return if others < limits::FLIGHT_WAITERS { Joined::Waits(waiter) } else { Joined::Full };
        }
        // It may have landed since the caller looked: whoever lands stores first, and leaves the flights after.
        if let Look::Hit(entry) = self.look(key, release) {
            return Joined::Landed(entry);
        }
        let (lands, landed) = watch::channel(None);
        flights.insert((key.clone(), release), Flight { landed, waiters: Arc::default() });
        Joined::Leads(Lead { cache: self.clone(), at: (key.clone(), release), lands })
    }
}

impl Key {
    fn len(&self) -> usize {
        self.as_bytes().len()
    }
}

struct Flight {
    landed: watch::Receiver<Option<Landing>>,
    waiters: Arc<AtomicUsize>,
}

/// One who waits for a render in flight.
pub struct Waiter {
    pub landed: watch::Receiver<Option<Landing>>,
    count: Arc<AtomicUsize>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

pub enum Joined {
    Leads(Lead),
    Waits(Waiter),
    Landed(Arc<Entry>),
    /// So many wait already that one more would only wait longer.
    Full,
}

/// How a shared render ended.
#[derive(Clone)]
pub enum Landing {
    Entry(Arc<Entry>),
    /// It came out, but not for sharing: each who waited renders for itself.
    Unstorable,
    Failed(Refusal),
}

/// Held by the task that renders; when it goes, however it goes, no one waits any longer.
pub struct Lead {
    cache: Arc<Cache>,
    at: (Key, ReleaseId),
    lands: watch::Sender<Option<Landing>>,
}

impl Lead {
    /// Stores what may be stored and tells those who wait.
    pub fn land(self, result: Result<(Arc<Entry>, Result<Lifetime, NotStored>), Refusal>) {
        let (key, release) = self.at.clone();
        let landing = match result {
            Ok((entry, Ok(_))) => {
                // Those who wait get it all the same, and whoever asks next finds the newer one.
                let _ = self.cache.store(key, entry.clone());
                Landing::Entry(entry)
            }
            Ok((_, Err(why))) => {
                if why.lasts() {
                    self.cache.remember_unstorable(key, release, why);
                }
                Landing::Unstorable
            }
            Err(refusal) => Landing::Failed(refusal),
        };
        self.lands.send_replace(Some(landing));
    }

    /// The render turned out to stream, or was not storable.
    pub fn land_unstorable(self, why: NotStored) {
        let (key, release) = self.at.clone();
        self.cache.remember_unstorable(key, release, why);
        self.lands.send_replace(Some(Landing::Unstorable));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.cache.flights.lock().expect("BUG: nothing panics while holding the flights").remove(&self.at);
    }
}

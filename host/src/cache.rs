//! Stored responses, and the renders in flight.
//!
//! An entry is right for the release it was made on, and for each later one by which none of what it was computed from was
//! changed. That is looked at when someone asks for it: a switch costs nothing for entries nobody asks for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use nearside_protocol::{digest::Digest, limits};
use tokio::sync::watch;

use crate::{
    evidence::Evidence,
    inputs::Key,
    past::Verdict,
    policy::{Lifetime, NotStored},
    refusal::Refusal,
    release::Release,
};

/// A response, whole, as it is sent.
#[derive(Debug)]
pub struct Entry {
    /// The generations of its app for which it is known to be right: from the one it was made in to this one.
    pub made_in: u64,
    pub right_until: AtomicU64,
    /// How it came to be right for the generation it was made in.
    pub by: By,
    pub evidence: Evidence,
    /// How long it took to make.
    pub took: Duration,
    pub status: StatusCode,
    /// Ready to send, `ETag` and `Content-Length` among them.
    pub headers: HeaderMap,
    pub etag: HeaderValue,
    pub body: Bytes,
    pub expires: Option<Instant>,
}

/// Why an entry is right where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Rendering,
    /// Pages it was computed from have changed, and all its questions got the same answers.
    SameRows,
}

/// Why an entry answers a request on this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// It was made on it.
    MadeHere,
    /// Made on an earlier one, by which no page it was computed from was changed.
    PagesUntouched,
    /// Made on an earlier one; its questions got the same answers.
    SameRows,
}

impl Entry {
    /// The same response, right for a release on which its questions got the same answers.
    pub fn confirmed(&self, release: &Release, evidence: Evidence) -> Entry {
        Entry {
            made_in: release.generation,
            right_until: AtomicU64::new(release.generation),
            by: By::SameRows,
            evidence,
            took: self.took,
            status: self.status,
            headers: self.headers.clone(),
            etag: self.etag.clone(),
            body: self.body.clone(),
            expires: self.expires,
        }
    }

    fn judge(&self, release: &Release) -> Judged {
        if self.expires.is_some_and(|expires| expires <= Instant::now()) || release.generation < self.made_in {
            return Judged::Wrong;
        }
        let until = self.right_until.load(Ordering::Acquire);
        if release.generation > until {
            match release.past.judge(&self.evidence, until) {
                // All generations between were judged with it.
                Verdict::Untouched => drop(self.right_until.fetch_max(release.generation, Ordering::AcqRel)),
                Verdict::Touched if self.evidence.questions.is_some() => return Judged::InDoubt,
                Verdict::Touched | Verdict::OtherApp => return Judged::Wrong,
            }
        }
        Judged::Right(match self.by {
            By::Rendering if self.made_in == release.generation => Right::MadeHere,
            By::Rendering => Right::PagesUntouched,
            By::SameRows => Right::SameRows,
        })
    }

    fn weight_bytes(&self, key_bytes: usize) -> usize {
        const BOOKKEEPING: usize = 512;
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        self.body.len() + headers + key_bytes + self.evidence.bytes() + BOOKKEEPING
    }
}

enum Judged {
    Right(Right),
    InDoubt,
    Wrong,
}

/// What a look into the cache gives.
pub enum Look {
    Hit(Arc<Entry>, Right),
    /// There, and pages it was computed from have changed: its questions are to be asked again.
    InDoubt(Arc<Entry>),
    /// Not there; a render may be stored, so it is shared with others who ask meanwhile.
    Miss,
    /// Not there, and the last render of it was not storable: nobody should wait for anybody.
    Unstorable(NotStored),
}

pub struct Cache {
    entries: Option<moka::sync::Cache<Key, Arc<Entry>>>,
    /// By the app's code for which that is so.
    unstorable: moka::sync::Cache<Key, (Digest, NotStored)>,
    /// By key and generation.
    flights: Mutex<HashMap<(Key, u64), Flight>>,
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

    pub fn look(&self, key: &Key, release: &Release) -> Look {
        let Some(entries) = &self.entries else { return Look::Unstorable(NotStored::CacheOff) };
        if let Some(entry) = entries.get(key) {
            match entry.judge(release) {
                Judged::Right(right) => return Look::Hit(entry, right),
                Judged::InDoubt => return Look::InDoubt(entry),
                Judged::Wrong => {}
            }
        }
        match self.unstorable.get(key) {
            Some((of, why)) if of == release.code.digest => Look::Unstorable(why),
            _ => Look::Miss,
        }
    }

    /// Stores an entry, unless one of a newer release is there already.
    pub fn store(&self, key: Key, entry: Arc<Entry>) -> Result<(), NotStored> {
        let Some(entries) = &self.entries else { return Err(NotStored::CacheOff) };
        let made_in = entry.made_in;
        let there = entries.entry(key).and_upsert_with(|there| match there {
            Some(there) if there.value().made_in > entry.made_in => there.into_value(),
            _ => entry,
        });
        if there.value().made_in == made_in { Ok(()) } else { Err(NotStored::Overtaken) }
    }

    pub fn remember_unstorable(&self, key: Key, code: Digest, why: NotStored) {
        self.unstorable.insert(key, (code, why));
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
    pub fn join(self: &Arc<Self>, key: &Key, release: &Release) -> Joined {
        let mut flights = self.flights.lock().expect("BUG: nothing panics while holding the flights");
        let at = (key.clone(), release.generation);
        if let Some(flight) = flights.get(&at) {
            let waiter = Waiter { landed: flight.landed.clone(), count: flight.waiters.clone() };
            let others = flight.waiters.fetch_add(1, Ordering::Relaxed);
            return if others < limits::FLIGHT_WAITERS { Joined::Waits(waiter) } else { Joined::Full };
        }
        // It may have landed since the caller looked: whoever lands stores first, and leaves the flights after.
        if let Look::Hit(entry, right) = self.look(key, release) {
            return Joined::Landed(entry, right);
        }
        let (lands, landed) = watch::channel(None);
        flights.insert(at.clone(), Flight { landed, waiters: Arc::default() });
        Joined::Leads(Lead { cache: self.clone(), at, code: release.code.digest, lands })
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
    Landed(Arc<Entry>, Right),
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
    at: (Key, u64),
    code: Digest,
    lands: watch::Sender<Option<Landing>>,
}

impl Lead {
    /// Stores what may be stored and tells those who wait.
    pub fn land(self, result: Result<(Arc<Entry>, Result<Lifetime, NotStored>), Refusal>) {
        let key = self.at.0.clone();
        let landing = match result {
            Ok((entry, Ok(_))) => {
                // Those who wait get it all the same, and whoever asks next finds the newer one.
                let _ = self.cache.store(key, entry.clone());
                Landing::Entry(entry)
            }
            Ok((_, Err(why))) => {
                if why.lasts() {
                    self.cache.remember_unstorable(key, self.code, why);
                }
                Landing::Unstorable
            }
            Err(refusal) => Landing::Failed(refusal),
        };
        self.lands.send_replace(Some(landing));
    }

    /// The render turned out to stream, or was not storable.
    pub fn land_unstorable(self, why: NotStored) {
        self.cache.remember_unstorable(self.at.0.clone(), self.code, why);
        self.lands.send_replace(Some(Landing::Unstorable));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.cache.flights.lock().expect("BUG: nothing panics while holding the flights").remove(&self.at);
    }
}

//! Renders in flight: one leads, and whoever asks for the same meanwhile waits for it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use nearside_protocol::{digest::Digest, limits};
use tokio::sync::watch;

use super::{
    Cache, Look,
    entry::{Entry, Right},
};
use crate::{
    inputs::Key,
    policy::{Lifetime, NotStored},
    refusal::Refusal,
    release::Release,
};

/// By key and generation.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<(Key, u64), Flight>>);

impl Flights {
    pub(super) fn has(&self, key: &Key, release: &Release) -> bool {
        self.all().contains_key(&(key.clone(), release.generation))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(Key, u64), Flight>> {
        self.0.lock().expect("BUG: nothing panics while holding the flights")
    }
}

impl Cache {
    /// Joins the render in flight for this key and release, or becomes the one that makes it.
    pub fn join(self: &Arc<Self>, key: &Key, release: &Release) -> Joined {
        let mut flights = self.flights.all();
        let at = (key.clone(), release.generation);
        if let Some(flight) = flights.get(&at) {
            return flight.wait();
        }
        // It may have landed since the caller looked: whoever lands stores first, and leaves the flights after.
        if let Look::Hit(entry, right) = self.look(key, release) {
            return Joined::Landed(entry, right);
        }
        let (lead, flight) = self.take_off(at.clone(), release);
        flights.insert(at, flight);
        Joined::Leads(lead)
    }

    /// After the one who led has failed: one of those who waited leads for all of them, once.
    pub fn join_again(self: &Arc<Self>, failed: &Waiter, key: &Key, release: &Release) -> Joined {
        let mut flights = self.flights.all();
        if let Some(second) = failed.flight.second.get() {
            return second.wait();
        }
        let at = (key.clone(), release.generation);
        // Somebody who came later leads already.
        if let Some(flight) = flights.get(&at).filter(|flight| !flight.is(&failed.flight)) {
            let _ = failed.flight.second.set(flight.clone());
            return flight.wait();
        }
        if let Look::Hit(entry, right) = self.look(key, release) {
            return Joined::Landed(entry, right);
        }
        let (lead, flight) = self.take_off(at.clone(), release);
        let _ = failed.flight.second.set(flight.clone());
        flights.insert(at, flight);
        Joined::Leads(lead)
    }

    fn take_off(self: &Arc<Self>, at: (Key, u64), release: &Release) -> (Lead, Flight) {
        let (lands, landed) = watch::channel(None);
        let flight = Flight { landed, waiters: Arc::default(), second: Arc::default() };
        let lead = Lead {
            cache: self.clone(),
            at,
            code: release.code.digest,
            flight: flight.clone(),
            lands,
            is_under_way: false,
        };
        (lead, flight)
    }
}

#[derive(Clone)]
struct Flight {
    landed: watch::Receiver<Option<Landing>>,
    waiters: Arc<AtomicUsize>,
    /// The one that those who waited went over to when it failed.
    second: Arc<OnceLock<Flight>>,
}

impl Flight {
    fn wait(&self) -> Joined {
        let others = self.waiters.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter { landed: self.landed.clone(), flight: self.clone() };
        if others < limits::FLIGHT_WAITERS { Joined::Waits(waiter) } else { Joined::Full }
    }

    fn is(&self, other: &Flight) -> bool {
        Arc::ptr_eq(&self.waiters, &other.waiters)
    }
}

/// One who waits for a render in flight.
pub struct Waiter {
    pub landed: watch::Receiver<Option<Landing>>,
    flight: Flight,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.flight.waiters.fetch_sub(1, Ordering::Relaxed);
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
    /// A sibling made it on a newer release than this one: it is for those who wait, and not kept.
    Newer(Arc<Entry>),
    /// It came out, but not for sharing: each who waited renders for itself.
    Unstorable,
    Failed(Refusal),
    /// Who led has hung up before it began.
    Left,
}

/// Held by the task that renders; when it goes, however it goes, no one waits any longer.
pub struct Lead {
    cache: Arc<Cache>,
    at: (Key, u64),
    code: Digest,
    flight: Flight,
    lands: watch::Sender<Option<Landing>>,
    is_under_way: bool,
}

impl Lead {
    /// From here on it does not matter whether the one who led is still there.
    pub fn begin(&mut self) {
        self.is_under_way = true;
    }

    /// Stores what may be stored and tells those who wait. Says whether it was stored.
    pub fn land(self, result: Result<(Arc<Entry>, Result<Lifetime, NotStored>), Refusal>) -> Result<(), NotStored> {
        let key = self.at.0.clone();
        let mut stored = Ok(());
        let landing = match result {
            Ok((entry, Ok(_))) => {
                // Those who wait get it all the same, and whoever asks next finds the newer one or renders.
                stored = self.cache.store(key, entry.clone());
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
        stored
    }

    /// It was made elsewhere, on a newer release.
    pub fn land_newer(self, entry: Arc<Entry>) {
        self.lands.send_replace(Some(Landing::Newer(entry)));
    }

    /// The render turned out to stream, or was not storable.
    pub fn land_unstorable(self, why: NotStored) {
        self.cache.remember_unstorable(self.at.0.clone(), self.code, why);
        self.lands.send_replace(Some(Landing::Unstorable));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut flights = self.cache.flights.all();
        // If it failed, another one may lead by now.
        if flights.get(&self.at).is_some_and(|flight| flight.is(&self.flight)) {
            flights.remove(&self.at);
        }
        drop(flights);
        if !self.is_under_way && self.lands.borrow().is_none() {
            self.lands.send_replace(Some(Landing::Left));
        }
    }
}

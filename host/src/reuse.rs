//! Instances that have served a request and wait for another one of their route, where the route asks for it.
//!
//! Whatever a guest left in its memory is there for the next visitor of the route. So no such route sees who asks, and what it
//! answers may depend on what was asked before: it is kept only if the handler says for how long. An instance that has failed
//! in any way, or has not come to its end, is never used again; nor is one that may remember variables or secrets that are
//! others by now.

use std::{
    sync::{Arc, Mutex, MutexGuard, Weak, atomic::AtomicBool, atomic::Ordering},
    time::Instant,
};

use nearside_protocol::{digest::Digest, limits};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::Proxy;

use crate::{
    code::Code,
    guest::{Given, Guest},
    host::Host,
    visit::Visit,
};

/// A guest's store, and the guest once it is there.
pub(crate) struct Instance {
    pub(crate) store: Store<Guest<Option<Visit>>>,
    pub(crate) proxy: Option<Proxy>,
    /// The variables and secrets that its guest was given when it began.
    settings: Digest,
    served: u32,
}

impl Instance {
    /// One that has nothing in it yet.
    pub(crate) fn fresh(engine: &wasmtime::Engine, given: Given<'_>, visit: Visit) -> Instance {
        let settings = visit.release.settings;
        Instance { store: Guest::store(engine, given, Some(visit)), proxy: None, settings, served: 0 }
    }

    /// For another visitor: all that it was given for the last one is taken from it.
    pub(crate) fn renewed(mut self, given: Given<'_>, visit: Visit) -> Instance {
        Guest::renew(&mut self.store, given, Some(visit));
        self
    }
}

/// Those of one app version that wait, by route; the latest is taken first, so that the others can go.
pub(crate) struct Idle {
    routes: Vec<Mutex<Vec<Waits>>>,
    is_swept: AtomicBool,
}

struct Waits {
    instance: Instance,
    since: Instant,
    _place: OwnedSemaphorePermit,
}

impl Idle {
    pub(crate) fn new(routes: usize) -> Idle {
        Idle { routes: (0..routes).map(|_| Mutex::default()).collect(), is_swept: AtomicBool::new(false) }
    }

    fn of(&self, route: usize) -> MutexGuard<'_, Vec<Waits>> {
        self.routes[route].lock().expect("BUG: nothing panics while holding instances")
    }

    /// One that began with these settings. Those that did not are let go: the app has others by now.
    pub(crate) fn take(&self, route: usize, settings: &Digest) -> Option<Instance> {
        let mut waiting = self.of(route);
        let gone: Vec<Waits> = waiting.extract_if(.., |waits| waits.instance.settings != *settings).collect();
        let taken = waiting.pop().map(|waits| waits.instance);
        drop(waiting);
        // Torn down after the lock.
        drop(gone);
        taken
    }

    /// Keeps an instance whose guest has come to its end, unless it has served or grown enough, or enough others wait.
    fn put(&self, route: usize, mut instance: Instance, place: OwnedSemaphorePermit) {
        instance.served += 1;
        if instance.served >= limits::REUSED_REQUESTS || instance.store.data().has_grown() {
            return;
        }
        Guest::rest(&mut instance.store);
        let mut waiting = self.of(route);
        if waiting.len() < limits::REUSED_IDLE_A_ROUTE {
            waiting.push(Waits { instance, since: Instant::now(), _place: place });
        }
    }

    /// Lets go whoever has waited for too long. Gives whether any are left.
    fn sweep(&self) -> bool {
        let mut left = false;
        for route in 0..self.routes.len() {
            let gone: Vec<Waits> = {
                let mut waiting = self.of(route);
                // Whoever came first has waited longest.
                let gone = waiting.iter().take_while(|waits| waits.since.elapsed() >= limits::REUSED_IDLE).count();
                let gone = waiting.drain(..gone).collect();
                left |= !waiting.is_empty();
                gone
            };
            // Torn down after the lock.
            drop(gone);
        }
        left
    }
}

/// Keeps an instance for the next request of its route.
pub(crate) fn keep(host: &Host, code: &Arc<Code>, route: usize, instance: Instance) {
    let Some(place) = host.idle_place() else { return };
    code.idle.put(route, instance, place);
    if !code.idle.is_swept.swap(true, Ordering::SeqCst) {
        host.spawn(sweeping(Arc::downgrade(code)));
    }
}

/// For as long as any wait.
async fn sweeping(code: Weak<Code>) {
    loop {
        tokio::time::sleep(limits::REUSED_IDLE / 4).await;
        let Some(code) = code.upgrade() else { return };
        if code.idle.sweep() {
            continue;
        }
        code.idle.is_swept.store(false, Ordering::SeqCst);
        // One may have been put in the meantime by somebody who saw that they are swept.
        if !code.idle.sweep() || code.idle.is_swept.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

//! What time and chance look like to a guest.
//!
//! A response may be kept only if it would come out the same again. So a handler's monotonic clock starts at zero and
//! moves by its own waits alone, its "insecure" seed is derived from the app, and looking at the wall clock or asking
//! for real randomness is noted. A command sees the moment it was accepted, and chance derived from its key, so that
//! applying it again gives the same rows. A task sees the world as it is.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nearside_protocol::{digest::Digest, unix_time};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtxBuilder,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

use crate::guest::Guest;

/// Which world a guest is shown.
#[derive(Clone)]
pub enum Senses {
    /// The real one (tasks).
    Real,
    /// The real one, but looks at it are noted (handlers). `seed` is the app's digest.
    Watched { taint: Taint, seed: Digest },
    /// Time stands at `now` since 1970 and chance is derived from `seed` (commands).
    Fixed { now: Duration, seed: Digest },
}

/// What a handler looked at that no cache key contains.
#[derive(Clone, Default)]
pub struct Taint(Arc<Flags>);

#[derive(Default)]
struct Flags {
    wall_clock: AtomicBool,
    random: AtomicBool,
    origin: AtomicBool,
    failure: AtomicBool,
    memory: AtomicBool,
    /// Where a part of it is good for a while only: when that is over.
    over_at: Mutex<Option<Instant>>,
}

impl Taint {
    pub fn read_clock(&self) {
        self.0.wall_clock.store(true, Ordering::Relaxed);
    }

    pub fn read_random(&self) {
        self.0.random.store(true, Ordering::Relaxed);
    }

    pub fn called_origin(&self) {
        self.0.origin.store(true, Ordering::Relaxed);
    }

    /// It met a failure of the moment - a query that ran out of time, a fragment that could not be made - and what it
    /// answers is of that moment, too.
    pub fn met_failure(&self) {
        self.0.failure.store(true, Ordering::Relaxed);
    }

    /// What is in its guest's memory was there before the request.
    pub fn keeps_memory(&self) {
        self.0.memory.store(true, Ordering::Relaxed);
    }

    /// A part of it was kept, or may be, until then.
    pub fn over_at(&self, at: Instant) {
        let mut over_at = self.over();
        *over_at = Some(over_at.map_or(at, |before| before.min(at)));
    }

    /// For how long what it includes is good.
    pub fn good_for(&self) -> Option<Duration> {
        self.over().map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn over(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.over_at.lock().expect("BUG: nothing panics while holding a moment")
    }

    pub fn memory(&self) -> bool {
        self.0.memory.load(Ordering::Relaxed)
    }

    pub fn failure(&self) -> bool {
        self.0.failure.load(Ordering::Relaxed)
    }

    pub fn clock(&self) -> bool {
        self.0.wall_clock.load(Ordering::Relaxed)
    }

    pub fn random(&self) -> bool {
        self.0.random.load(Ordering::Relaxed)
    }

    pub fn origin(&self) -> bool {
        self.0.origin.load(Ordering::Relaxed)
    }

    /// What a fragment looked at, its page has looked at too.
    pub fn join(&self, other: &Taint) {
        let over_at = *other.over();
        if let Some(at) = over_at {
            self.over_at(at);
        }
        for (mine, theirs) in [
            (&self.0.wall_clock, &other.0.wall_clock),
            (&self.0.random, &other.0.random),
            (&self.0.origin, &other.0.origin),
            (&self.0.failure, &other.0.failure),
            (&self.0.memory, &other.0.memory),
        ] {
            mine.fetch_or(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl Senses {
    pub(crate) fn give(&self, wasi: &mut WasiCtxBuilder) {
        match self {
            Senses::Real => {}
            Senses::Watched { taint, seed } => {
                wasi.wall_clock(WallClock::Watched(taint.clone()))
                    .monotonic_clock(Still)
                    .secure_random(Chance::Watched(taint.clone()))
                    .insecure_random(Chance::derived(seed))
                    .insecure_random_seed(seed_of(seed));
            }
            Senses::Fixed { now, seed } => {
                wasi.wall_clock(WallClock::Fixed(*now))
                    .monotonic_clock(Still)
                    .secure_random(Chance::derived(seed))
                    .insecure_random(Chance::derived(seed))
                    .insecure_random_seed(seed_of(seed));
            }
        }
    }
}

fn seed_of(digest: &Digest) -> u128 {
    let half = digest.as_bytes().first_chunk().expect("BUG: a digest has 32 bytes");
    u128::from_le_bytes(*half)
}

enum WallClock {
    Watched(Taint),
    Fixed(Duration),
}

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        match self {
            WallClock::Fixed(now) => *now,
            WallClock::Watched(taint) => {
                taint.read_clock();
                unix_time::now()
            }
        }
    }
}

/// Stands in for the monotonic clock in the builder; the linked interface is [`Waits`].
struct Still;

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

enum Chance {
    Watched(Taint),
    /// From the seed; begun when it is first asked for, which most guests never do.
    Derived(Digest, Option<Box<blake3::OutputReader>>),
}

impl Chance {
    fn derived(seed: &Digest) -> Chance {
        Chance::Derived(*seed, None)
    }
}

fn derivation(seed: &Digest) -> Box<blake3::OutputReader> {
    let mut hasher = blake3::Hasher::new_derive_key("nearside guest randomness v1");
    hasher.update(seed.as_bytes());
    Box::new(hasher.finalize_xof())
}

impl rand_core::TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        match self {
            Chance::Derived(seed, reader) => reader.get_or_insert_with(|| derivation(seed)).fill(bytes),
            Chance::Watched(taint) => {
                taint.read_random();
                getrandom::fill(bytes).expect("BUG: an operating system without randomness cannot serve");
            }
        }
        Ok(())
    }
}

/// The monotonic clock of handlers and commands: nanoseconds this guest has waited.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<AtomicU64>);

pub(crate) struct WaitsView<'a> {
    waits: &'a Waits,
    table: &'a mut ResourceTable,
}

struct HasWaits;

impl HasData for HasWaits {
    type Data<'a> = WaitsView<'a>;
}

/// Puts [`Waits`] in place of the machine's monotonic clock. The linker must allow shadowing.
pub(crate) fn link_waits<C: Send + 'static>(linker: &mut Linker<Guest<C>>) -> wasmtime::Result<()> {
    monotonic_clock::add_to_linker::<_, HasWaits>(linker, |guest| WaitsView {
        waits: &guest.waits,
        table: &mut guest.table,
    })
}

impl monotonic_clock::Host for WaitsView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.waits.0.load(Ordering::Relaxed))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = self.waits.0.load(Ordering::Relaxed);
        let wait = Wait {
            waits: self.waits.clone(),
            until_ns: when,
            // A wait longer than any deadline is cut to one; the deadline ends the guest first.
            wakes_at: tokio::time::Instant::now() + Duration::from_nanos(when.saturating_sub(now)).min(LONGEST_WAIT),
        };
        let wait = self.table.push(wait)?;
        subscribe(self.table, wait)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let until = self.waits.0.load(Ordering::Relaxed).saturating_add(duration);
        self.subscribe_instant(until)
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

struct Wait {
    waits: Waits,
    until_ns: u64,
    wakes_at: tokio::time::Instant,
}

#[async_trait::async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        tokio::time::sleep_until(self.wakes_at).await;
        self.waits.0.fetch_max(self.until_ns, Ordering::Relaxed);
    }
}

//! One WebAssembly instance and what it is given: nothing but what its role and its manifest grant.

use std::{sync::Arc, time::Duration};

use nearside_protocol::limits;
use wasmtime::{
    PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, UpdateDeadline, WasmBacktrace,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    budget::Budget,
    engine::{EngineError, NO_ROOM, TICK},
    log::{Ear, GuestLog},
    outbound::Outbound,
    queue::Place,
    senses::{self, Senses, Waits},
    speaker::Speaker,
    visit::Visit,
};

/// A store's data. `C` is what the role adds: a handler's visit, a command's transaction, a task's job.
pub struct Guest<C> {
    pub context: C,
    speaker: Arc<Speaker>,
    stdout: GuestLog,
    stderr: GuestLog,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    bounds: Bounds,
    pub(crate) waits: Waits,
    pub(crate) table: ResourceTable,
}

/// What a guest gets.
pub struct Given<'a> {
    pub speaker: Arc<Speaker>,
    pub senses: Senses,
    pub variables: &'a [(String, String)],
    pub outbound: Outbound,
    pub memory_mib: u64,
    pub cpu: Duration,
    /// Which is told when the guest is interrupted.
    pub place: Option<Arc<Place>>,
}

/// Why a guest did not come to its end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Ended {
    #[error("it used more than its {0} MiB of memory")]
    Memory(u64),
    #[error("it used more than its {0} ms of CPU")]
    Cpu(u128),
    #[error("it was not done within its {0} ms")]
    Deadline(u64),
    #[error("nothing more of its stream could be sent for {0} ms")]
    StreamIdle(u64),
    #[error("there is no room for another instance just now")]
    NoRoom,
    #[error("it trapped: {0}")]
    Trap(String),
}

impl Ended {
    /// The budget that was overrun, if it was that, and how much of it there is.
    pub fn overrun(&self) -> Option<(Budget, String)> {
        Some(match self {
            Ended::Memory(mib) => (Budget::Memory, format!("{mib} MiB")),
            Ended::Cpu(ms) => (Budget::Cpu, format!("{ms} ms")),
            Ended::Deadline(ms) => (Budget::Deadline, format!("{ms} ms")),
            Ended::StreamIdle(ms) => (Budget::StreamIdle, format!("{ms} ms")),
            Ended::NoRoom => (Budget::Instances, "all in use".into()),
            Ended::Trap(_) => return None,
        })
    }
}

impl<C: Send + 'static> Guest<C> {
    /// A store for one fresh instance of a component of this engine.
    pub fn store(engine: &wasmtime::Engine, given: Given<'_>, context: C) -> Store<Guest<C>> {
        Guest::store_heard(engine, given, context, None)
    }

    /// The same, where someone besides the log hears what the guest prints.
    pub fn store_heard(engine: &wasmtime::Engine, given: Given<'_>, context: C, ear: Option<Ear>) -> Store<Guest<C>> {
        let (stdout, stderr) = GuestLog::new(given.speaker.clone(), ear);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::GUEST_HEADER_BYTES);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::GUEST_RESOURCES);

        let guest = Guest {
            context,
            wasi: wasi(&given, &stdout, &stderr),
            speaker: given.speaker,
            stdout,
            stderr,
            http,
            outbound: given.outbound,
            bounds: Bounds::new(given.memory_mib, given.cpu, 0),
            waits: Waits::default(),
            table,
        };
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| &mut guest.bounds);
        bound(&mut store, given.place);
        store
    }

    /// Gives an instance that has come to its end to somebody else: nothing of what the last one was given is left, but for
    /// what is in its memory and its handles.
    pub(crate) fn renew(store: &mut Store<Guest<C>>, given: Given<'_>, context: C) {
        let guest = store.data_mut();
        guest.stdout.hand_to(given.speaker.clone());
        guest.wasi = wasi(&given, &guest.stdout, &guest.stderr);
        guest.context = context;
        guest.speaker = given.speaker;
        guest.outbound = given.outbound;
        guest.bounds = Bounds::new(given.memory_mib, given.cpu, guest.bounds.memory_bytes);
        guest.waits = Waits::default();
        bound(store, given.place);
    }

    /// Whether its memory is so large by now that the next request may not have enough.
    pub(crate) fn has_grown(&self) -> bool {
        self.bounds.memory_bytes > (self.bounds.memory_mib << 20) / 4 * 3
    }

    /// What an error out of a call into this guest means. Goes to the log, with where in the guest it was: what a
    /// visitor may come to read is the cause alone.
    pub fn ended(&self, error: &wasmtime::Error) -> Ended {
        let ended = if self.bounds.cpu_spent {
            Ended::Cpu(self.bounds.cpu.as_millis())
        } else if self.bounds.memory_refused {
            Ended::Memory(self.bounds.memory_mib)
        } else if error.is::<PoolConcurrencyLimitError>() || error.root_cause().to_string() == NO_ROOM {
            Ended::NoRoom
        } else {
            Ended::Trap(error.root_cause().to_string())
        };
        self.tell(&ended, &error.downcast_ref().map(frames).unwrap_or_default());
        ended
    }

    /// It was not done in time. Goes to the log.
    pub fn late(&self, ended: Ended) -> Ended {
        self.tell(&ended, "");
        ended
    }

    fn tell(&self, ended: &Ended, backtrace: &str) {
        let last_words = self.stderr.finish();
        self.speaker.ended(ended, backtrace, last_words.as_deref());
    }
}

fn wasi(given: &Given<'_>, stdout: &GuestLog, stderr: &GuestLog) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.allow_tcp(false)
        .allow_udp(false)
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .envs(given.variables)
        .max_random_size(1 << 20);
    given.senses.give(&mut wasi);
    wasi.build()
}

/// Bounds what a guest may use for one request.
fn bound<C: Send + 'static>(store: &mut Store<Guest<C>>, place: Option<Arc<Place>>) {
    store.set_hostcall_fuel(limits::GUEST_HOSTCALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        let bounds = &mut store.data_mut().bounds;
        if bounds.ticks_left == 0 {
            bounds.cpu_spent = true;
            return Err(Trap::Interrupt.into());
        }
        bounds.ticks_left -= 1;
        if let Some(place) = &place {
            place.tick();
        }
        // Yielding at each tick keeps one busy guest from holding up the others of its thread.
        Ok(UpdateDeadline::Yield(1))
    });
}

/// The functions a guest was in, innermost first; with files and lines where its module has them.
fn frames(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    // The first line says that this is a backtrace.
    let lines = text.lines().skip(1).filter(|line| !line.starts_with("note:"));
    lines.map(without_hash).collect::<Vec<_>>().join("\n")
}

/// Rust's compiler ends a function's name with a hash that tells nothing to a reader: `name::h0123456789abcdef`.
fn without_hash(line: &str) -> &str {
    match line.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => line,
    }
}

/// Links all of wasi:cli (granting nothing, but guests of any toolchain start) and wasi:http.
///
/// `own_time` gives the guest the clock of its own waits instead of the machine's.
pub fn link_wasi<C: Send + 'static>(linker: &mut Linker<Guest<C>>, own_time: bool) -> Result<(), EngineError> {
    let link = |linker: &mut Linker<Guest<C>>| {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        if own_time {
            linker.allow_shadowing(true);
            senses::link_waits(linker)?;
            linker.allow_shadowing(false);
        }
        Ok(())
    };
    link(linker).map_err(EngineError::Link)
}

impl Guest<Option<Visit>> {
    /// Between two visits it holds nothing of the last one.
    pub(crate) fn rest(store: &mut Store<Guest<Option<Visit>>>) {
        store.data_mut().context = None;
        store.epoch_deadline_trap();
    }
}

impl<C: Send> WasiView for Guest<C> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl<C: Send> WasiHttpView for Guest<C> {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

struct Bounds {
    memory_mib: u64,
    /// Of all its memories and tables together.
    memory_bytes: u64,
    memory_refused: bool,
    ticks_left: u128,
    cpu: Duration,
    cpu_spent: bool,
}

impl Bounds {
    fn new(memory_mib: u64, cpu: Duration, memory_bytes: u64) -> Bounds {
        let ticks_left = cpu.as_millis().div_ceil(TICK.as_millis());
        Bounds { memory_mib, memory_bytes, memory_refused: false, ticks_left, cpu, cpu_spent: false }
    }

    /// Whether it may have so many bytes more. A guest asks for what it likes: the largest numbers there are, too.
    fn may_have(&mut self, more_bytes: usize) -> bool {
        let all = self.memory_bytes.saturating_add(more_bytes as u64);
        let fits = all <= self.memory_mib << 20;
        if fits {
            self.memory_bytes = all;
        }
        self.memory_refused |= !fits;
        fits
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.may_have(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more_bytes = desired.saturating_sub(current).saturating_mul(size_of::<usize>());
        Ok(desired <= limits::GUEST_TABLE_ELEMENTS && self.may_have(more_bytes))
    }

    fn instances(&self) -> usize {
        limits::GUEST_MODULES
    }

    fn tables(&self) -> usize {
        limits::GUEST_TABLES
    }

    fn memories(&self) -> usize {
        limits::GUEST_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_what_it_may_have_and_no_more_whatever_it_asks_for() {
        const MIB: usize = 1 << 20;
        let mut bounds = Bounds::new(64, Duration::ZERO, 0);
        let mut memory = |current, desired| bounds.memory_growing(current, desired, None).unwrap();
        assert!(memory(0, 40 * MIB));
        assert!(!memory(0, usize::MAX & !0xffff), "the largest there is");
        assert!(!memory(40 * MIB, 65 * MIB) && memory(40 * MIB, 63 * MIB));
        let mut table = |current, desired| bounds.table_growing(current, desired, None).unwrap();
        assert!(table(0, 100_000) && !table(0, 100_001) && !table(0, usize::MAX));
        assert!(!table(0, 100_000), "tables are memory, too");
        assert!(bounds.memory_refused);
    }
}

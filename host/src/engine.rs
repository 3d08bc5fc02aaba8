//! The WebAssembly engine: one a process, with its clock, and compiled components kept on disk.

#[cfg(test)]
mod isolation_tests;
mod kept;
mod loaded;
mod memories;
mod slot;
mod stacks;
mod wants;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nearside_protocol::{digest::Digest, limits};
use wasmtime::{
    Config, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails, component::Component,
};

use crate::disk::Disk;
pub(crate) use memories::NO_ROOM;
pub use wants::TooMuch;
use {loaded::Loaded, memories::Memories, stacks::Stacks};

/// How often a running guest is interrupted: to yield to others, and to have its CPU time counted.
pub const TICK: Duration = Duration::from_millis(5);

/// A component up to this size is light: its data is copied into a memory that has been cleared in place. Of a heavy one - an
/// interpreter, say, with all that it begins with - a guest touches little, and what it does not touch is not copied: its memory
/// is a mapping of its data, and is given back to the kernel whole. What is known of either is in `docs/bench/instance.md`.
const LIGHT_BYTES: usize = 2 << 20;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the WebAssembly engine does not start: {0:#}")]
    Start(wasmtime::Error),
    #[error("it is not a component this host can run: {0:#}")]
    Compile(wasmtime::Error),
    #[error("it wants something that is not granted: {0:#}")]
    Link(wasmtime::Error),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// The engine and the folder of compiled components. It is two of wasmtime's, for one allocates in one way.
#[derive(Clone)]
pub struct Engine {
    light: wasmtime::Engine,
    heavy: wasmtime::Engine,
    compiled: PathBuf,
    loaded: Arc<Loaded>,
    disk: Disk,
}

impl Engine {
    /// Starts the engine; `compiled` is where machine code is kept between starts.
    pub fn start(compiled: &Path) -> Result<Engine, EngineError> {
        let light = wasmtime::Engine::new(&light()).map_err(EngineError::Start)?;
        let heavy = match wasmtime::Engine::new(&heavy(pooling())) {
            Ok(engine) => engine,
            Err(error) => {
                // A machine with little address space (a container limit, say) still runs, only slower.
                tracing::warn!(cause = %error, "no room for instance pools; instances are allocated one by one");
                wasmtime::Engine::new(&heavy(InstanceAllocationStrategy::OnDemand)).map_err(EngineError::Start)?
            }
        };
        tick(&[&light, &heavy]);
        Ok(Engine { light, heavy, compiled: compiled.to_owned(), loaded: Arc::default(), disk: Disk::real() })
    }

    fn of(&self, wasm: &[u8]) -> &wasmtime::Engine {
        if wasm.len() <= LIGHT_BYTES { &self.light } else { &self.heavy }
    }

    /// Compiles a component, or loads what this process or an earlier one compiled from the same bytes. Whoever keeps it shares
    /// it with all who ask for the same bytes meanwhile.
    ///
    /// Takes tens of milliseconds of CPU the first time: call it from a thread that may block.
    pub fn component(&self, wasm: &[u8]) -> Result<Arc<Component>, EngineError> {
        let digest = Digest::of(wasm);
        self.loaded.or_load(digest, || {
            let component = self.load(wasm, &digest)?;
            wants::within_bounds(&component)?;
            Ok(component)
        })
    }

    #[allow(unsafe_code)]
    fn load(&self, wasm: &[u8], digest: &Digest) -> Result<Component, EngineError> {
        let engine = self.of(wasm);
        let file = self.compiled.join(format!("{digest}-{}.cwasm", compatibility(engine)));
        if let Ok(bytes) = std::fs::read(&file)
            && let Some(code) = sealed(&bytes)
        {
            // SAFETY: machine code is trusted by `deserialize`. The file lies in the node's own data folder, was written
            // by `precompile_component` of an engine with this compatibility hash, and its digest has just been checked.
            if let Ok(component) = unsafe { Component::deserialize(engine, code) } {
                return Ok(component);
            }
        }
        let code = engine.precompile_component(wasm).map_err(EngineError::Compile)?;
        if let Err(error) = self.disk.write(&file, &seal(&code)) {
            tracing::warn!(file = %file.display(), cause = %error, "compiled code is not kept; it is compiled again at the next start");
        }
        // SAFETY: these bytes come from `precompile_component` of this very engine, one statement above.
        unsafe { Component::deserialize(engine, code) }.map_err(EngineError::Compile)
    }
}

fn compatibility(engine: &wasmtime::Engine) -> String {
    use std::hash::{Hash, Hasher};
    #[allow(deprecated)]
    let mut hasher = std::hash::SipHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Machine code behind its own digest, so that a damaged file is compiled anew and never run.
fn seal(code: &[u8]) -> Vec<u8> {
    [Digest::of(code).as_bytes().as_slice(), code].concat()
}

fn sealed(bytes: &[u8]) -> Option<&[u8]> {
    let (digest, code) = bytes.split_at_checked(32)?;
    (Digest::of(code).as_bytes() == digest).then_some(code)
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    // No interface here passes 64-bit addresses, and a memory that may be as large as all numbers is one more thing to bound.
    config.wasm_memory64(false);
    config.epoch_interruption(true);
    // Files and lines in backtraces, where a module has them, whatever the environment says.
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

fn light() -> Config {
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config.memory_init_cow(false);
    config.with_host_memory(Memories::new());
    config.with_host_stack(Stacks::new());
    config
}

fn heavy(allocation: InstanceAllocationStrategy) -> Config {
    let mut config = config();
    config.allocation_strategy(allocation);
    config.memory_init_cow(true);
    config
}

fn pooling() -> InstanceAllocationStrategy {
    let guests = limits::GUESTS_AT_ONCE as u32;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(guests);
    pool.total_core_instances(guests * 4);
    pool.total_memories(limits::GUEST_MEMORIES_AT_ONCE as u32);
    pool.total_tables(guests * 4);
    pool.total_stacks(guests);
    pool.max_memories_per_component(limits::GUEST_MEMORIES as u32);
    pool.max_memories_per_module(limits::GUEST_MEMORIES as u32);
    pool.max_tables_per_component(limits::GUEST_TABLES as u32);
    pool.max_tables_per_module(limits::GUEST_TABLES as u32);
    pool.max_memory_size((limits::GUEST_MEMORY_MIB_MOST as usize) << 20);
    pool.table_elements(limits::GUEST_TABLE_ELEMENTS);
    pool.max_unused_warm_slots(limits::RENDERS_AT_ONCE as u32);
    InstanceAllocationStrategy::Pooling(pool)
}

/// One thread moves the epochs for as long as one of the engines lives.
fn tick(engines: &[&wasmtime::Engine]) {
    let engines: Vec<_> = engines.iter().map(|engine| engine.weak()).collect();
    std::thread::Builder::new()
        .name("nearside-epoch".into())
        .spawn(move || {
            let is_alive = |engine: &EngineWeak| engine.upgrade().inspect(wasmtime::Engine::increment_epoch).is_some();
            while engines.iter().filter(|engine| is_alive(engine)).count() > 0 {
                std::thread::sleep(TICK);
            }
        })
        .expect("BUG: a process that cannot start one thread cannot serve");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_much_is_mapped_and_what_begins_with_little_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::start(folder.path()).unwrap();
        for (data_bytes, of) in [(1 << 10, &engine.light), (3 << 20, &engine.heavy)] {
            let data = "x".repeat(data_bytes);
            let guest = format!(r#"(component (core module (memory 64) (data (i32.const 0) "{data}")))"#);
            let component = engine.component(&wat::parse_str(&guest).unwrap()).unwrap();
            assert!(wasmtime::Engine::same(component.engine(), of), "{data_bytes}");
        }
    }
}

//! The WebAssembly engine: one a process, with its clock, and compiled components kept on disk.

#[cfg(test)]
mod isolation_tests;
mod loaded;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nearside_protocol::{digest::Digest, limits};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
    component::{Component, Linker},
};

use crate::disk::Disk;
use loaded::Loaded;

/// How often a running guest is interrupted: to yield to others, and to have its CPU time counted.
pub const TICK: Duration = Duration::from_millis(5);

/// What of an instance's memory is cleared in place when it goes, from its start: stack, data and the beginning of the
/// arena of an SDK's guest, which is what a usual page touches. The rest is given back to the kernel, and each page of it
/// that the next instance touches is a fault. Measured in `docs/bench/instance.md`.
const MEMORY_CLEARED_BYTES: usize = 320 << 10;
const TABLE_CLEARED_BYTES: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the WebAssembly engine does not start: {0:#}")]
    Start(wasmtime::Error),
    #[error("it is not a component this host can run: {0:#}")]
    Compile(wasmtime::Error),
    #[error("it wants something that is not granted: {0:#}")]
    Link(wasmtime::Error),
}

/// The engine and the folder of compiled components.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    compiled: PathBuf,
    loaded: Arc<Loaded>,
    disk: Disk,
}

impl Engine {
    /// Starts the engine; `compiled` is where machine code is kept between starts.
    pub fn start(compiled: &Path) -> Result<Engine, EngineError> {
        let wasm = match wasmtime::Engine::new(&config(pooling())) {
            Ok(engine) => engine,
            Err(error) => {
                // A machine with little address space (a container limit, say) still runs, only slower.
                tracing::warn!(cause = %error, "no room for instance pools; instances are allocated one by one");
                wasmtime::Engine::new(&config(InstanceAllocationStrategy::OnDemand)).map_err(EngineError::Start)?
            }
        };
        tick(&wasm);
        Ok(Engine { wasm, compiled: compiled.to_owned(), loaded: Arc::default(), disk: Disk::real() })
    }

    pub fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    pub fn linker<T: 'static>(&self) -> Linker<T> {
        Linker::new(&self.wasm)
    }

    /// Compiles a component, or loads what this process or an earlier one compiled from the same bytes. Whoever keeps it shares
    /// it with all who ask for the same bytes meanwhile.
    ///
    /// Takes tens of milliseconds of CPU the first time: call it from a thread that may block.
    pub fn component(&self, wasm: &[u8]) -> Result<Arc<Component>, EngineError> {
        let digest = Digest::of(wasm);
        self.loaded.or_load(digest, || self.load(wasm, &digest))
    }

    #[allow(unsafe_code)]
    fn load(&self, wasm: &[u8], digest: &Digest) -> Result<Component, EngineError> {
        let file = self.compiled.join(format!("{digest}-{}.cwasm", self.compatibility()));
        if let Ok(bytes) = std::fs::read(&file)
            && let Some(code) = sealed(&bytes)
        {
            // SAFETY: machine code is trusted by `deserialize`. The file lies in the node's own data folder, was written
            // by `precompile_component` of an engine with this compatibility hash, and its digest has just been checked.
            if let Ok(component) = unsafe { Component::deserialize(&self.wasm, code) } {
                return Ok(component);
            }
        }
        let code = self.wasm.precompile_component(wasm).map_err(EngineError::Compile)?;
        if let Err(error) = self.disk.write(&file, &seal(&code)) {
            tracing::warn!(file = %file.display(), cause = %error, "compiled code is not kept; it is compiled again at the next start");
        }
        // SAFETY: these bytes come from `precompile_component` of this very engine, one statement above.
        unsafe { Component::deserialize(&self.wasm, code) }.map_err(EngineError::Compile)
    }

    fn compatibility(&self) -> String {
        use std::hash::{Hash, Hasher};
        #[allow(deprecated)]
        let mut hasher = std::hash::SipHasher::new();
        self.wasm.precompile_compatibility_hash().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// Machine code behind its own digest, so that a damaged file is compiled anew and never run.
fn seal(code: &[u8]) -> Vec<u8> {
    [Digest::of(code).as_bytes().as_slice(), code].concat()
}

fn sealed(bytes: &[u8]) -> Option<&[u8]> {
    let (digest, code) = bytes.split_at_checked(32)?;
    (Digest::of(code).as_bytes() == digest).then_some(code)
}

fn config(allocation: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.allocation_strategy(allocation);
    config.memory_init_cow(true);
    // Files and lines in backtraces, where a module has them, whatever the environment says.
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

fn pooling() -> InstanceAllocationStrategy {
    // Includes run inside renders, each with an instance of its own.
    let instances = (limits::RENDERS_AT_ONCE * (limits::INCLUDE_DEPTH + 1) + limits::STREAMS_AT_ONCE) as u32;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances);
    pool.total_core_instances(instances * 4);
    pool.total_memories(instances);
    pool.total_tables(instances * 4);
    pool.total_stacks(instances);
    pool.max_memories_per_component(2);
    pool.max_memory_size((limits::GUEST_MEMORY_MIB_MOST as usize) << 20);
    pool.table_elements(limits::GUEST_TABLE_ELEMENTS);
    pool.max_unused_warm_slots(limits::RENDERS_AT_ONCE as u32);
    pool.linear_memory_keep_resident(MEMORY_CLEARED_BYTES);
    pool.table_keep_resident(TABLE_CLEARED_BYTES);
    InstanceAllocationStrategy::Pooling(pool)
}

/// One thread moves the epoch of the engine for as long as the engine lives.
fn tick(engine: &wasmtime::Engine) {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("nearside-epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .expect("BUG: a process that cannot start one thread cannot serve");
}

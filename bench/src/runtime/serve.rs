//! `wasmtime serve`: how wasmtime's own program answers HTTP with a component.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Runtime, program, version};
use crate::nearside::free_addresses;

/// How it is told to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// As it comes: an instance for each request, from its pool.
    Default,
    /// An instance for each request, and all that makes these cheaper.
    Tuned,
    /// The same, and instances that serve one request after another.
    Reusing,
}

/// A component that was built with Rust's std asks for all of `wasi:cli` at its start, and is refused without.
const ALWAYS: &[&str] = &["-S", "cli"];

/// Found by trying what `-O help` offers with this component, CPU a request, medians of a few short turns. As it comes 111 us; memory and
/// tables kept 125 and more, for then the guest's whole stack of 1 MiB is cleared; with `pagemap_scan` beside it 80; stacks kept, too,
/// 77. Batches of decommits and smaller memories made no difference.
const TUNED: &[&str] = &[
    "-O",
    "pooling-memory-keep-resident=2097152",
    "-O",
    "pooling-table-keep-resident=65536",
    "-O",
    "pooling-async-stack-keep-resident=65536",
    "-O",
    "pooling-pagemap-scan=y",
];

const REUSING: &[&str] = &["--max-instance-reuse-count", "1000000000", "--idle-instance-timeout", "600s"];

impl Serves {
    fn flags(self) -> Vec<&'static str> {
        match self {
            Serves::Default => ALWAYS.to_vec(),
            Serves::Tuned => [ALWAYS, TUNED].concat(),
            Serves::Reusing => [ALWAYS, TUNED, REUSING].concat(),
        }
    }

    fn says(self) -> &'static str {
        match self {
            Serves::Default => "as it comes, an instance for each request",
            Serves::Tuned => "tuned, an instance for each request",
            Serves::Reusing => "tuned, an instance for one request after another",
        }
    }
}

pub async fn start(serves: Serves, component: &Path, scratch: &Path) -> Result<Runtime> {
    let program = program("wasmtime", "WASMTIME")?;
    let version = version(&program)?;
    let [address] = free_addresses()?;
    let flags = serves.flags();
    let about = format!("{version}, {}: `wasmtime serve {}`", serves.says(), flags.join(" "));
    let mut command = Command::new(program);
    command.arg("serve").args(["--addr", &address.to_string()]).args(&flags).arg(component);
    Runtime::start(&format!("serve-{serves:?}").to_lowercase(), command, address, about, scratch).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_of_them_uses_instances_again() {
        let reuses = |serves: Serves| serves.flags().contains(&"--max-instance-reuse-count");
        assert_eq!([Serves::Default, Serves::Tuned, Serves::Reusing].map(reuses), [false, false, true]);
    }
}

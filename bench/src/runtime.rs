//! Other runtimes as contenders: programs of this machine that serve a component, or a worker that makes the same page.
//! `scripts/peers` fetches them; one that is not there is left out, and the report says so.

pub mod node;
pub mod serve;
pub mod spin;
pub mod workerd;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::Process;

/// From its signal to its end.
const END_WAIT: Duration = Duration::from_secs(2);

/// One of them, running.
#[derive(Debug)]
pub struct Runtime {
    process: Process,
    pub address: SocketAddr,
    /// Its version and what it was told, for the report.
    pub about: String,
}

impl Runtime {
    async fn start(name: &str, command: Command, address: SocketAddr, about: String, scratch: &Path) -> Result<Self> {
        let mut process = Process::spawn(name, command, scratch)?;
        process.takes_connections(address).await?;
        Ok(Self { process, address, about })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // What it started itself outlives it if it is killed, which is what the guard of a process does.
        let _ = Command::new("kill").arg(self.id().to_string()).stdin(Stdio::null()).status();
        let deadline = Instant::now() + END_WAIT;
        while self.process.still_running().is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A program of this name: where `variable` says, or on the path.
fn program(name: &str, variable: &str) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(variable) {
        return Ok(given.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not on the path, nor named by {variable}"))
}

/// The first line of what it says of its version.
fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{} does not start", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().filter(|line| output.status.success() && !line.is_empty());
    line.map(str::to_owned).with_context(|| format!("`{} --version` says nothing", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_missed_by_name() {
        let error = program("no-such-runtime", "NO_SUCH_RUNTIME").unwrap_err().to_string();
        assert!(error.contains("no-such-runtime") && error.contains("NO_SUCH_RUNTIME"), "{error}");
    }

    #[test]
    fn versions_are_told_by_programs_that_start() {
        let cargo = program("cargo", "NO_SUCH_RUNTIME").unwrap();
        assert!(version(&cargo).unwrap().starts_with("cargo "));
        assert!(version(Path::new("/no/such/runtime")).is_err());
    }
}

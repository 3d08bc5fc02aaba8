//! Where a run took place and what took part: a number without these cannot be compared with another.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
}

/// What cannot be found out is said to be unknown: no bench fails for it.
const UNKNOWN: &str = "unknown";

impl Machine {
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| UNKNOWN.to_owned());
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let memory_kib: u64 = memory.and_then(|text| text.trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cpu, cores, memory_mib: memory_kib / 1024, kernel }
    }
}

/// Of the project, the compiler and the libraries the contenders are made of, the last from the lock file in `root`.
pub fn versions(root: &Path) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    versions.insert("nearside".to_owned(), revision(root));
    versions.insert("rustc".to_owned(), output(root, "rustc", &["--version"]).unwrap_or_else(|| UNKNOWN.to_owned()));
    versions.insert("sqlite".to_owned(), rusqlite::version().to_owned());
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    for package in ["hyper", "rusqlite", "tokio", "wasmtime"] {
        versions.insert(package.to_owned(), locked(&lock, package).unwrap_or(UNKNOWN).to_owned());
    }
    versions
}

fn revision(root: &Path) -> String {
    let Some(revision) = output(root, "git", &["rev-parse", "--short=12", "HEAD"]) else {
        return UNKNOWN.to_owned();
    };
    match output(root, "git", &["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => revision,
        _ => format!("{revision} and uncommitted changes"),
    }
}

fn output(directory: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(directory).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned()).next()
}

/// The version of the first package of this name in a `Cargo.lock`.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, after) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    after.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_locked_versions() {
        assert_eq!(field("a : 1\nmodel name\t: Chip: X\nmodel name : Y\n", "model name").unwrap(), "Chip: X");
        assert_eq!(field("", "model name"), None);
        let package = |name, version| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let lock = &(package("hyper-util", "0.1.0") + &package("hyper", "1.2.3"));
        assert_eq!(locked(lock, "hyper"), Some("1.2.3"));
        assert_eq!(locked(lock, "serde"), None);
    }
}

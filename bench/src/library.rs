//! Search indexes as libraries, each in a process of its own: built once, then asked by one thread. This program is the
//! process of those that live in SQLite; tantivy's is a crate of its own, `bench/tantivy`, which is told and tells the same.

pub mod asked;
pub mod edited;
pub mod sqlite;

use serde::{Deserialize, Serialize};

/// What building an index tells, as the last line of output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Built {
    pub seconds: f64,
    pub bytes: u64,
    pub peak_resident_bytes: u64,
}

/// What asking an index tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub classes: Vec<ClassTold>,
    /// Of the process, without pages of files.
    pub resident_bytes: u64,
    /// What an index says it holds itself.
    pub memory_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassTold {
    pub name: String,
    /// How long each took that there was time for, in the order they were asked in.
    pub times_ns: Vec<u64>,
    /// How many rows each of the first ones found, up to ten.
    pub found: Vec<usize>,
}

/// A field of `/proc/self/status`, in bytes; nothing where there is no such file.
pub fn resident_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

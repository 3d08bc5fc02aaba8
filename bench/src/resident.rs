//! The memory of a process, from `/proc` (proc_pid_status(5)).

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use crate::value::Metric;

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    pub all: u64,
    pub anonymous: u64,
    pub file: u64,
}

impl Resident {
    pub fn of(process: u32) -> Result<Resident> {
        let path = format!("/proc/{process}/status");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let bytes = |name| field(&text, name).map(|kib| kib << 10).with_context(|| format!("{path} has no {name}"));
        Ok(Resident { all: bytes("VmRSS")?, anonymous: bytes("RssAnon")?, file: bytes("RssFile")? })
    }

    pub fn values(&self) -> BTreeMap<Metric, f64> {
        BTreeMap::from([
            (Metric::Resident, mib(self.all)),
            (Metric::ResidentAnonymous, mib(self.anonymous)),
            (Metric::ResidentFile, mib(self.file)),
        ])
    }
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The number in the line `name: number`.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let text = "rchar: 1\ncancelled_write_bytes: 3\nwrite_bytes: 8192\nVmRSS:\t  1234 kB\n";
        assert_eq!(field(text, "write_bytes"), Some(8192));
        assert_eq!(field(text, "VmRSS"), Some(1234));
        assert_eq!(field(text, "VmSwap"), None);
    }

    #[test]
    fn this_process_has_some() {
        let here = Resident::of(std::process::id()).unwrap();
        assert!(here.all >= here.anonymous && here.anonymous > 0);
    }
}

//! What the kernel counts of a process while it is under load, by `perf stat`: where its threads get into each other's way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::limits::TOOL_TIMEOUT;
use crate::process::Process;
use crate::value::Metric;

/// In the order of the command line, which is the one of the answers too; each with what is to be true of the event.
const EVENTS: [(&str, Option<&str>, Metric); 5] = [
    ("lock:contention_begin", None, Metric::LockWaits),
    // TLB_REMOTE_SEND_IPI: of all that empties a TLB, what interrupts another core for it.
    ("tlb:tlb_flush", Some("reason==4"), Metric::CoresInterrupted),
    ("syscalls:sys_enter_futex", None, Metric::FutexCalls),
    ("context-switches", None, Metric::Switches),
    ("minor-faults", None, Metric::Faults),
];

/// Counts for a while, beside whatever loads the process.
#[derive(Debug)]
pub struct KernelCounts {
    perf: Process,
    counted: PathBuf,
    lasts: Duration,
}

impl KernelCounts {
    pub fn begin(process: u32, lasts: Duration, scratch: &Path) -> Result<Self> {
        let counted = scratch.join("kernel-counts");
        let mut command = Command::new("perf");
        command.args(["stat", "--field-separator=;", "--output"]).arg(&counted);
        for (event, of_which, _) in EVENTS {
            command.args(["--event", event]);
            command.args(of_which.into_iter().flat_map(|of_which| ["--filter", of_which]));
        }
        command.args(["--pid", &process.to_string(), "--timeout", &lasts.as_millis().to_string()]);
        let perf = Process::spawn("perf", command, scratch).context("is perf there? apt-get install linux-perf")?;
        Ok(Self { perf, counted, lasts })
    }

    /// A second of them, event by event.
    pub async fn finish(self) -> Result<BTreeMap<Metric, f64>> {
        self.perf.finish_within(self.lasts + TOOL_TIMEOUT).await?;
        let said = fs::read_to_string(&self.counted).context("reading what perf counted")?;
        let seconds = self.lasts.as_secs_f64();
        Ok(parse(&said)?.into_iter().map(|(metric, count)| (metric, count / seconds)).collect())
    }
}

/// Lines of `COUNT;UNIT;EVENT;...`.
fn parse(said: &str) -> Result<BTreeMap<Metric, f64>> {
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(';')).collect();
    ensure!(
        lines.len() == EVENTS.len(),
        "perf was asked for {} counts and wrote {}: {said}",
        EVENTS.len(),
        lines.len()
    );
    let counted = EVENTS.iter().zip(lines).map(|((event, _, metric), line)| {
        let count = line.split(';').next().unwrap_or_default();
        let count =
            count.parse().with_context(|| format!("perf counts no {event} here (root may be needed): {line}"))?;
        Ok((*metric, count))
    });
    counted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_the_order_they_were_asked_for() {
        let said = "# started on a day\n\n12;;lock:contention_begin;9;100.00;;\n3;;tlb:tlb_flush;9;100.00;;\n\
                    40;;syscalls:sys_enter_futex;9;100.00;;\n5;;context-switches;9;100.00;;\n0;;minor-faults;9;100.00;;\n";
        let counts = parse(said).unwrap();
        assert_eq!(counts[&Metric::LockWaits], 12.0);
        assert_eq!(counts[&Metric::CoresInterrupted], 3.0);
        assert_eq!(counts[&Metric::Faults], 0.0);
    }

    #[test]
    fn what_was_not_counted_is_no_zero() {
        let said = "<not counted>;;lock:contention_begin;0;100.00;;\n".repeat(EVENTS.len());
        let error = format!("{:#}", parse(&said).unwrap_err());
        assert!(error.contains("lock:contention_begin"), "{error}");
        assert!(parse("").is_err());
    }
}

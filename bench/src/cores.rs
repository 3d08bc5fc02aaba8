//! Which cores who runs on: a load generator that shares them with what it measures slows it down, and most when it is
//! quickest.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// One core for the generator, the others for whom it measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    pub contenders: Vec<usize>,
    pub generator: usize,
}

impl Cores {
    /// Of those this thread may use; two at least.
    pub fn apart() -> Result<Self> {
        let status = fs::read_to_string("/proc/thread-self/status").context("reading /proc/thread-self/status")?;
        let mut contenders = allowed(&status).context("/proc/thread-self/status names no cores")?;
        let generator = contenders.pop().context("a process without a core")?;
        ensure!(!contenders.is_empty(), "the generator needs a core of its own, and there is only one");
        Ok(Self { contenders, generator })
    }

    /// From here on, what this thread starts - threads and processes - runs where contenders do.
    pub fn be_contenders(&self) -> Result<()> {
        stay_on(&self.contenders)
    }

    /// The same, on one of those alone.
    pub fn be_on_one(&self) -> Result<()> {
        stay_on(&self.contenders[..1])
    }

    /// From here on, where the generator does.
    pub fn be_generator(&self) -> Result<()> {
        stay_on(&[self.generator])
    }

    /// Anywhere again.
    pub fn be_free(&self) -> Result<()> {
        stay_on(&[&self.contenders[..], &[self.generator]].concat())
    }

    pub fn about(&self) -> String {
        let s = if self.contenders.len() == 1 { "" } else { "s" };
        format!("contenders on core{s} {}, the generator on core {}", list(&self.contenders), self.generator)
    }
}

fn list(cores: &[usize]) -> String {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    cores.join(",")
}

/// By util-linux' tool: asking the kernel would take a C library's function.
fn stay_on(cores: &[usize]) -> Result<()> {
    let thread = fs::read_link("/proc/thread-self").context("reading /proc/thread-self")?;
    let thread = thread.file_name().context("/proc/thread-self leads nowhere")?;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "--pid", &list(cores)]).arg(thread).stdin(Stdio::null());
    let output = command.output().context("taskset does not start: apt-get install util-linux")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "taskset does not keep to the cores {}: {}", list(cores), said.trim());
    Ok(())
}

/// `Cpus_allowed_list: 0-1,4` (proc(5)).
fn allowed(status: &str) -> Option<Vec<usize>> {
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = Vec::new();
    for range in line.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn cores_are_listed_in_ranges() {
        assert_eq!(allowed("Name:\tx\nCpus_allowed_list:\t0-2,5\n").unwrap(), [0, 1, 2, 5]);
        assert_eq!(allowed("Cpus_allowed_list:\tx"), None);
        assert_eq!(allowed(""), None);
    }

    #[test]
    fn threads_stay_where_they_were_started() {
        // On a thread of its own: other tests shall keep all cores.
        thread::spawn(|| {
            let Ok(cores) = Cores::apart() else { return };
            assert!(!cores.contenders.contains(&cores.generator), "{}", cores.about());
            let inherited = || {
                let started = thread::spawn(|| fs::read_to_string("/proc/thread-self/status").unwrap());
                allowed(&started.join().unwrap()).unwrap()
            };
            cores.be_generator().unwrap();
            assert_eq!(inherited(), [cores.generator]);
            cores.be_contenders().unwrap();
            assert_eq!(inherited(), cores.contenders);
        })
        .join()
        .unwrap();
    }
}

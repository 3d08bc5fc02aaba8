//! The processor time of a server process and its children, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// `/proc` counts in `USER_HZ`, which is 100 a second for every program on Linux whatever the kernel's own tick.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// What one line of `/proc/PID/stat` says (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// User and system time of the process.
    own_ticks: u64,
    /// The same with the children it has waited for.
    ticks: u64,
}

/// User plus system time of `pid`, its living descendants and those already waited for, in microseconds since they
/// started. Ticks are 10 ms: take the difference over seconds, not over requests.
pub fn microseconds(pid: u32) -> Result<u64> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let name = entry.context("reading /proc")?.file_name();
        if name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            // A process may end between the listing and this.
            && let Ok(line) = fs::read_to_string(format!("/proc/{}/stat", name.display()))
        {
            processes.extend(parse(&line));
        }
    }
    tree_ticks(&processes, pid)
        .map(|ticks| ticks * MICROSECONDS_PER_TICK)
        .with_context(|| format!("the server process {pid} is gone"))
}

/// The same of this process alone: the servers it started are its children, and counted for themselves.
pub fn own_microseconds() -> Result<u64> {
    let line = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    let own = parse(&line).context("reading /proc/self/stat")?;
    Ok(own.own_ticks * MICROSECONDS_PER_TICK)
}

/// How busy all cores together have been with processes, in microseconds since boot: user, nice and system time, and
/// what the hypervisor took away. Interrupts are left out, because nobody's process time has them either.
pub fn machine_microseconds() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    parse_machine(&text).map(|ticks| ticks * MICROSECONDS_PER_TICK).context("reading /proc/stat: no cpu line")
}

/// All of the machine's, however few of them this thread may use.
pub fn machine_cores() -> Result<usize> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    Ok(count_cores(&text).max(1))
}

/// A line `cpu0 ...` for each.
fn count_cores(text: &str) -> usize {
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    text.lines().filter(is_core).count()
}

/// `cpu user nice system idle iowait irq softirq steal ...` (proc(5)).
fn parse_machine(text: &str) -> Option<u64> {
    let fields = text.lines().find_map(|line| line.strip_prefix("cpu "))?.split_ascii_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    Some(ticks.get(..3)?.iter().sum::<u64>() + ticks.get(7)?)
}

fn tree_ticks(processes: &[Stat], root: u32) -> Option<u64> {
    let own = processes.iter().find(|process| process.pid == root)?.ticks;
    let children = processes.iter().filter(|process| process.parent == root && process.pid != root);
    Some(own + children.filter_map(|child| tree_ticks(processes, child.pid)).sum::<u64>())
}

/// The command name may contain spaces and parentheses; the fields start after the last one.
fn parse(line: &str) -> Option<Stat> {
    let (front, fields) = line.rsplit_once(") ")?;
    let pid = front.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let sum = |fields: &[&str]| fields.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>();
    Some(Stat { pid, parent, own_ticks: sum(fields.get(11..13)?)?, ticks: sum(fields.get(11..15)?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_a_hostile_name() {
        let line = "42 (a ) S 9 (x) R 7 42 42 0 -1 4194304 1 2 3 4 100 20 3 1 20 0 5 0 99 1 2";
        assert_eq!(parse(line), Some(Stat { pid: 42, parent: 7, own_ticks: 120, ticks: 124 }));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn the_machine_is_busy_with_processes_and_its_neighbours() {
        assert_eq!(parse_machine("cpu  100 1 20 9999 7 3 4 50 0 0\ncpu0 1 1 1 1\n"), Some(171));
        assert_eq!(parse_machine("cpu 1 2\n"), None);
        assert!(machine_microseconds().is_ok());
        assert_eq!(count_cores("cpu 1 2\ncpu0 1\ncpu1 1\nintr 5\n"), 2);
    }

    #[test]
    fn descendants_count() {
        let stat = |pid, parent, ticks| Stat { pid, parent, own_ticks: ticks, ticks };
        let processes = [stat(1, 0, 1_000), stat(5, 1, 10), stat(6, 5, 2), stat(7, 6, 1), stat(8, 1, 500)];
        assert_eq!(tree_ticks(&processes, 5), Some(13));
        assert_eq!(tree_ticks(&processes, 99), None);
    }

    #[test]
    fn this_process_has_a_time() {
        assert!(microseconds(std::process::id()).is_ok());
        assert!(microseconds(u32::MAX).is_err());
    }
}

//! What this process has used of all cores.

use std::time::Duration;

/// Nothing where the system does not say.
pub(crate) fn own_cpu() -> Option<Duration> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// proc(5): `utime` and `stime`, in hundredths of a second.
fn parse(stat: &str) -> Option<Duration> {
    // The program's name is in parentheses and may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_has_used() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(parse(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse("7 (a"), None);
        assert!(own_cpu().is_some());
    }
}

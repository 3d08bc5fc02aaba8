//! How long things took, counted in buckets: the first holds those below a microsecond, each next those up to twice as long,
//! the last all that took longer. Without the empty ones at the end.

use crate::limits;

/// In which bucket a time is counted.
pub fn bucket(time_ns: u64) -> usize {
    let us = time_ns / 1_000;
    ((u64::BITS - us.leading_zeros()) as usize).min(limits::QUERY_TIME_BUCKETS - 1)
}

/// The time, in nanoseconds, that this part of all did not exceed; as exactly as the buckets tell. None when there is nothing.
pub fn time_ns_of(times: &[u64], part: f64) -> Option<u64> {
    let all: u64 = times.iter().fold(0, |all, count| all.saturating_add(*count));
    if all == 0 {
        return None;
    }
    let wanted = (part.clamp(0.0, 1.0) * all as f64).max(1.0);
    let mut below = 0.0;
    for (bucket, count) in times.iter().take(limits::QUERY_TIME_BUCKETS).enumerate() {
        let count = *count as f64;
        if below + count >= wanted {
            let (from, to) =
                if bucket == 0 { (0.0, 1.0) } else { ((1u64 << (bucket - 1)) as f64, (1u64 << bucket) as f64) };
            return Some(((from + (to - from) * (wanted - below) / count) * 1_000.0) as u64);
        }
        below += count;
    }
    None
}

/// Bucket by bucket.
pub fn both(one: &[u64], other: &[u64], with: impl Fn(u64, u64) -> u64) -> Vec<u64> {
    let at = |times: &[u64], index: usize| times.get(index).copied().unwrap_or(0);
    let length = one.len().max(other.len()).min(limits::QUERY_TIME_BUCKETS);
    (0..length).map(|index| with(at(one, index), at(other, index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_buckets_than_there_are_is_not_a_panic() {
        let many = vec![1; 200];
        assert_eq!(both(&many, &many, u64::saturating_add).len(), limits::QUERY_TIME_BUCKETS);
        assert!(time_ns_of(&many, 0.01).is_some());
        assert_eq!(time_ns_of(&many, 1.0), None, "beyond the last bucket nothing is known");
        assert_eq!(time_ns_of(&[0, 0], 0.5), None);
    }
}

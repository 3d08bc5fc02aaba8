//! How long ago, as a person reads it.

use nearside_protocol::unix_time;

/// In the largest unit of which there are enough to tell one from another.
pub fn age(since_ms: u64) -> String {
    match unix_time::now_ms().saturating_sub(since_ms) / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

//! The time of day, as it stands in files and on the wire: since 1970. What is measured goes by `Instant`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock before 1970 stands at 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub fn now_ms() -> u64 {
    now().as_millis() as u64
}

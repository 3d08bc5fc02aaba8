//! How much may wait: of all apps, and of one, so that one cannot take all the room.

use std::collections::BTreeMap;

use nearside_protocol::limits;

use super::{Class, ToTake, Waiting};

pub(super) struct Room {
    writes: u64,
    bytes: u64,
    app_writes: u64,
    app_bytes: u64,
}

impl Room {
    pub(super) fn of(class: Class) -> Room {
        match class {
            Class::Saved => Room {
                writes: limits::OUTBOX_WRITES,
                bytes: limits::OUTBOX_BYTES,
                app_writes: limits::OUTBOX_APP_WRITES,
                app_bytes: limits::OUTBOX_APP_BYTES,
            },
            Class::Unsure => Room {
                writes: limits::UNSURE_WRITES,
                bytes: limits::UNSURE_BYTES,
                app_writes: limits::UNSURE_APP_WRITES,
                app_bytes: limits::UNSURE_APP_BYTES,
            },
        }
    }

    /// Of what there is no room for one more.
    pub(super) fn lacks(&self, waiting: &BTreeMap<String, Waiting>, take: &ToTake) -> Option<&'static str> {
        let of_app = waiting.get(&take.app).copied().unwrap_or_default();
        let (writes, bytes) = waiting.values().fold((0, 0), |all, one| (all.0 + one.writes, all.1 + one.bytes));
        let bytes_more = weight(take);
        match () {
            () if of_app.writes >= self.app_writes => Some("as many writes of this app as it may"),
            () if of_app.bytes + bytes_more > self.app_bytes => Some("as many bytes of this app as it may"),
            () if writes >= self.writes => Some("as many writes as it may"),
            () if bytes + bytes_more > self.bytes => Some("as many bytes as it may"),
            () => None,
        }
    }
}

/// One more waits.
pub(super) fn count(waiting: &mut BTreeMap<String, Waiting>, take: &ToTake, now_ms: u64) {
    let of_app = waiting.entry(take.app.clone()).or_default();
    of_app.writes += 1;
    of_app.bytes += weight(take);
    of_app.oldest_at_ms.get_or_insert(now_ms);
}

/// As the file counts them.
fn weight(take: &ToTake) -> u64 {
    (take.payload.len() + take.command.len() + take.key.to_string().len()) as u64
}

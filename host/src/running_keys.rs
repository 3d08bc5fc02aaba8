//! Idempotency keys of requests that are being worked on here: one that comes again meanwhile is not worked on twice.
//!
//! Only for a clear answer: two requests of one key that meet at different nodes, or at the origin, are applied once there.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use nearside_protocol::write::IdempotencyKey;

type Name = (String, IdempotencyKey);

/// As many as there are requests with a key; those are bounded.
#[derive(Clone, Default)]
pub struct RunningKeys(Arc<Mutex<HashSet<Name>>>);

impl RunningKeys {
    /// Until what it gives is dropped, the key is taken; None when it is already.
    pub fn begin(&self, app: &str, key: &IdempotencyKey) -> Option<Running> {
        let name = (app.to_owned(), key.clone());
        self.names().insert(name.clone()).then(|| Running { keys: self.clone(), name })
    }

    fn names(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.0.lock().expect("BUG: nothing panics while holding the keys")
    }
}

/// A key that is being worked on.
pub struct Running {
    keys: RunningKeys,
    name: Name,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.keys.names().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_until_its_request_is_done() {
        let (keys, key) = (RunningKeys::default(), IdempotencyKey::try_from("k".to_owned()).unwrap());
        let first = keys.begin("a", &key);
        assert!(first.is_some() && keys.begin("a", &key).is_none());
        assert!(keys.begin("b", &key).is_some(), "another app's keys are others");
        drop(first);
        assert!(keys.begin("a", &key).is_some() && keys.names().is_empty());
    }
}

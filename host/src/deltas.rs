//! Deltas that a node has to give to its siblings: those it pulled, as they came, and those it made; under a bound on their
//! bytes. Making one takes seconds where thousands of pages have changed.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use nearside_protocol::{digest::Digest, limits};

use crate::least_recent::LeastRecent;

/// From which pages to which.
pub(crate) type Delta = (Digest, Digest);

pub(crate) struct Deltas(Mutex<Kept>);

struct Kept {
    objects: HashMap<Delta, Bytes>,
    used: LeastRecent<Delta>,
}

impl Default for Deltas {
    fn default() -> Deltas {
        let used = LeastRecent::new(limits::PEER_DELTAS_BYTES);
        Deltas(Mutex::new(Kept { objects: HashMap::new(), used }))
    }
}

impl Deltas {
    pub(crate) fn get(&self, delta: &Delta) -> Option<Bytes> {
        let mut kept = self.kept();
        kept.used.touch(delta).then(|| kept.objects.get(delta).cloned()).flatten()
    }

    /// Keeps it in place of those that nobody has asked for lately.
    pub(crate) fn keep(&self, delta: Delta, object: Bytes) {
        let mut kept = self.kept();
        let gone = kept.used.insert(delta, object.len() as u64);
        kept.objects.insert(delta, object);
        for delta in gone {
            kept.objects.remove(&delta);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("BUG: nothing panics while holding the deltas")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_lately_stays() {
        let (deltas, bytes) = (Deltas::default(), limits::PEER_DELTAS_BYTES as usize / 2);
        let delta = |number: u8| (Digest::of(&[number]), Digest::of(&[number, 1]));
        let object = Bytes::from(vec![0; bytes]);
        deltas.keep(delta(1), object.clone());
        deltas.keep(delta(2), object.clone());
        assert!(deltas.get(&delta(1)).is_some());
        deltas.keep(delta(3), object.clone());
        assert!(deltas.get(&delta(2)).is_none() && deltas.get(&delta(1)).is_some() && deltas.get(&delta(3)).is_some());
        deltas.keep(delta(4), Bytes::from(vec![0; 2 * bytes + 1]));
        assert!((1..=4).all(|number| deltas.get(&delta(number)).is_none()), "one that is larger than all of the room");
    }
}

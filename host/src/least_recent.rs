//! Which of many things went unused the longest, under a bound on their bytes.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

pub(crate) struct LeastRecent<K> {
    most_bytes: u64,
    bytes: u64,
    /// Counts uses; each has a number of its own.
    clock: u64,
    by_key: HashMap<K, Slot>,
    by_use: BTreeMap<u64, K>,
}

struct Slot {
    bytes: u64,
    used: u64,
}

impl<K: Clone + Eq + Hash> LeastRecent<K> {
    pub(crate) fn new(most_bytes: u64) -> LeastRecent<K> {
        LeastRecent { most_bytes, bytes: 0, clock: 0, by_key: HashMap::new(), by_use: BTreeMap::new() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes a use. Whether it is there at all.
    pub(crate) fn touch(&mut self, key: &K) -> bool {
        let Some(slot) = self.by_key.get_mut(key) else { return false };
        self.clock += 1;
        let before = std::mem::replace(&mut slot.used, self.clock);
        let key = self.by_use.remove(&before).expect("BUG: each slot's last use is noted");
        self.by_use.insert(self.clock, key);
        true
    }

    /// Adds it as the last one used, and gives those that have to go for it.
    pub(crate) fn insert(&mut self, key: K, bytes: u64) -> Vec<K> {
        self.remove(&key);
        self.clock += 1;
        self.by_key.insert(key.clone(), Slot { bytes, used: self.clock });
        self.by_use.insert(self.clock, key);
        self.bytes += bytes;
        let mut gone = Vec::new();
        while self.bytes > self.most_bytes {
            let Some(oldest) = self.by_use.first_key_value().map(|(_, key)| key.clone()) else { break };
            self.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(slot) = self.by_key.remove(key) {
            self.bytes -= slot.bytes;
            self.by_use.remove(&slot.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_one_unused_the_longest_goes() {
        let mut kept = LeastRecent::new(10);
        assert!(kept.insert("a", 4).is_empty() && kept.insert("b", 4).is_empty());
        assert!(kept.touch(&"a") && !kept.touch(&"c"));
        assert_eq!(kept.insert("c", 4), ["b"]);
        assert_eq!(kept.insert("d", 11), ["a", "c", "d"]);
        assert_eq!(kept.bytes(), 0);
    }

    proptest! {
        #[test]
        fn the_bound_holds(steps in proptest::collection::vec((0..20u8, 0..9u64, 0..3u8), 0..200)) {
            let mut kept = LeastRecent::new(30);
            let mut there = std::collections::BTreeMap::new();
            for (key, bytes, what) in steps {
                match what {
                    0 => {
                        there.insert(key, bytes);
                        for gone in kept.insert(key, bytes) {
                            prop_assert!(there.remove(&gone).is_some());
                        }
                    }
                    1 => prop_assert_eq!(kept.touch(&key), there.contains_key(&key)),
                    _ => {
                        kept.remove(&key);
                        there.remove(&key);
                    }
                }
                prop_assert!(kept.bytes() <= 30);
                prop_assert_eq!(kept.bytes(), there.values().sum::<u64>());
            }
        }
    }
}

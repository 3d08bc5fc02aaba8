//! Hashes of keys whose entries went before they were asked for again: one that comes back soon was let go too early.

use std::collections::{HashSet, VecDeque};

use ahash::RandomState;

#[derive(Default)]
pub(super) struct Ghosts {
    in_order: VecDeque<u64>,
    hashes: HashSet<u64, RandomState>,
}

impl Ghosts {
    /// Remembers one more, and no more than so many of the last.
    pub fn remember(&mut self, hash: u64, most: usize) {
        if self.hashes.insert(hash) {
            self.in_order.push_back(hash);
        }
        while self.in_order.len() > most {
            let oldest = self.in_order.pop_front().expect("BUG: it is not empty");
            self.hashes.remove(&oldest);
        }
    }

    pub fn has(&self, hash: u64) -> bool {
        self.hashes.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut ghosts = Ghosts::default();
        for hash in [1, 2, 2, 3, 4] {
            ghosts.remember(hash, 3);
        }
        assert!(!ghosts.has(1) && ghosts.has(2) && ghosts.has(3) && ghosts.has(4));
        ghosts.remember(5, 1);
        assert!(!ghosts.has(4) && ghosts.has(5));
        assert_eq!((ghosts.in_order.len(), ghosts.hashes.len()), (1, 1));
    }
}

//! What was asked of the origin in vain a moment ago, and is not asked of it again for a while: anybody can make up the name
//! of what there is not, and each of them would lead there.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

pub(crate) struct InVain<K> {
    lasts: Duration,
    most: usize,
    known: Mutex<Known<K>>,
}

struct Known<K> {
    asked_at: HashMap<K, Instant>,
    /// What was asked before that may be there by now.
    forgotten_at: Option<Instant>,
}

impl<K: Eq + Hash> InVain<K> {
    /// Remembers so many, each for so long.
    pub(crate) fn new(lasts: Duration, most: usize) -> InVain<K> {
        let known = Known { asked_at: HashMap::new(), forgotten_at: None };
        InVain { lasts, most, known: Mutex::new(known) }
    }

    /// Whether it was asked for in vain just now.
    pub(crate) fn was(&self, key: &K, now: Instant) -> bool {
        self.known().asked_at.get(key).is_some_and(|at| now.duration_since(*at) < self.lasts)
    }

    /// It was asked for at `at`, and is not there. When so many are remembered, others are asked for again.
    pub(crate) fn note(&self, key: K, at: Instant, now: Instant) {
        let mut known = self.known();
        if known.forgotten_at.is_some_and(|forgotten| at <= forgotten) {
            return;
        }
        if known.asked_at.len() >= self.most {
            known.asked_at.retain(|_, at| now.duration_since(*at) < self.lasts);
        }
        if known.asked_at.len() < self.most {
            known.asked_at.insert(key, at);
        }
    }

    /// It is there now.
    pub(crate) fn forget(&self, key: &K) {
        self.known().asked_at.remove(key);
    }

    /// Any of them may be there now.
    pub(crate) fn forget_all(&self, now: Instant) {
        let mut known = self.known();
        known.asked_at.clear();
        known.forgotten_at = Some(now);
    }

    fn known(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().expect("BUG: nothing panics while holding what was asked for in vain")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_not_there_is_remembered_for_a_while_and_in_bounds() {
        let now = Instant::now();
        let in_vain = InVain::new(SECOND, 2);
        for key in ["a", "b", "c"] {
            in_vain.note(key, now, now);
        }
        let known = |at| ["a", "b", "c"].map(|key| in_vain.was(&key, at));
        assert_eq!(known(now), [true, true, false]);
        in_vain.forget(&"a");
        assert_eq!(known(now), [false, true, false]);
        assert_eq!(known(now + SECOND), [false; 3]);
        in_vain.note("a", now, now);
        in_vain.note("c", now + SECOND, now + SECOND);
        assert_eq!(known(now + SECOND), [false, false, true], "those of before made room");
    }

    #[test]
    fn what_was_asked_before_it_may_have_come_counts_for_nothing() {
        let now = Instant::now();
        let in_vain = InVain::new(SECOND, 2);
        in_vain.note("a", now, now);
        in_vain.forget_all(now + SECOND / 4);
        in_vain.note("b", now + SECOND / 5, now + SECOND / 2);
        assert!(!in_vain.was(&"a", now) && !in_vain.was(&"b", now + SECOND / 2));
    }
}

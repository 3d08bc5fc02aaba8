//! Requests by what became of them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::cache_status::CacheStatus;

pub struct Counters {
    /// By what the cache did.
    cache: [AtomicU64; CacheStatus::COUNTED],
    static_file: AtomicU64,
    blob: AtomicU64,
    redirect: AtomicU64,
    refused: AtomicU64,
    /// Connections, not requests.
    unseated: AtomicU64,
}

impl Default for Counters {
    fn default() -> Counters {
        let zero = AtomicU64::default;
        let cache = std::array::from_fn(|_| zero());
        Counters { cache, static_file: zero(), blob: zero(), redirect: zero(), refused: zero(), unseated: zero() }
    }
}

impl Counters {
    pub fn count(&self, status: CacheStatus) {
        self.cache[status.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_static(&self) {
        self.static_file.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_blob(&self) {
        self.blob.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_redirect(&self) {
        self.redirect.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed because its client had as many as it may have.
    pub(crate) fn count_unseated(&self) {
        self.unseated.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unseated(&self) -> u64 {
        self.unseated.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        let cache = CacheStatus::all().map(|status| (status.name(), &self.cache[status.index()]));
        let others = [
            ("static_file", &self.static_file),
            ("blob", &self.blob),
            ("redirect", &self.redirect),
            ("refused", &self.refused),
        ]
        .map(|(name, counter)| (name.to_owned(), counter));
        cache.chain(others).map(|(name, counter)| (name, counter.load(Ordering::Relaxed))).collect()
    }
}

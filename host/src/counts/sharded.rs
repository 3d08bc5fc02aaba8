//! Numbers that many threads add to: each thread has a part of them that it seldom shares with another, and who wants to know
//! adds the parts up.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Two lines of a processor's cache, which are fetched together, are nobody else's.
#[repr(align(128))]
struct Shard<const N: usize>([AtomicU64; N]);

pub(super) struct Sharded<const N: usize>(Box<[Shard<N>]>);

/// A power of two: as many as threads work at once, and no more than what many cores can spare.
static SHARDS: LazyLock<usize> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
    cores.next_power_of_two().min(MOST_SHARDS)
});
const MOST_SHARDS: usize = 16;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
}

impl<const N: usize> Default for Sharded<N> {
    fn default() -> Sharded<N> {
        Sharded((0..*SHARDS).map(|_| Shard([const { AtomicU64::new(0) }; N])).collect())
    }
}

impl<const N: usize> Sharded<N> {
    pub(super) fn add(&self, number: usize, more: u64) {
        self.mine()[number].fetch_add(more, Ordering::Relaxed);
    }

    /// This thread's part, for who adds to several.
    pub(super) fn mine(&self) -> &[AtomicU64; N] {
        let thread = THREAD.with(|thread| *thread);
        &self.0[thread & (self.0.len() - 1)].0
    }

    pub(super) fn sums(&self) -> [u64; N] {
        std::array::from_fn(|number| self.0.iter().map(|shard| shard.0[number].load(Ordering::Relaxed)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let numbers = Sharded::<3>::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|n| numbers.add(n % 3, 2)));
            }
        });
        assert_eq!(numbers.sums(), [8 * 2 * 3_334, 8 * 2 * 3_333, 8 * 2 * 3_333]);
    }
}

//! What became of renders that were handed over, and of those that were taken on: one value for count, log and metric.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
};

/// What became of a render there was no place for; of each sibling that was asked, one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Went {
    Made,
    /// Its handler failed there.
    Failed,
    /// That sibling had no place either.
    Busy,
    /// That sibling serves an older release, or other code.
    OtherRelease,
    /// That sibling is leaving, is another node than was meant, or has no such page.
    NotHere,
    /// The response streams.
    Streams,
    /// That sibling did not answer in time, or nothing that counts.
    Away,
    /// There was none to ask: all are behind, hot, or left alone.
    Nobody,
    /// So many are out already.
    HeldBack,
}

/// What became of a render that a sibling asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TakenAs {
    /// It was there.
    Stored,
    Made,
    Failed,
    Busy,
    OtherRelease,
    NotHere,
    Streams,
    /// Whoever asked does not hold the secret.
    Unsealed,
}

pub(super) trait Kind: Copy + 'static {
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    /// Its place among all.
    fn index(self) -> usize;
}

impl Kind for Went {
    const ALL: &'static [Went] = &[
        Went::Made,
        Went::Failed,
        Went::Busy,
        Went::OtherRelease,
        Went::NotHere,
        Went::Streams,
        Went::Away,
        Went::Nobody,
        Went::HeldBack,
    ];

    fn name(self) -> &'static str {
        match self {
            Went::Made => "made",
            Went::Failed => "failed",
            Went::Busy => "busy",
            Went::OtherRelease => "other_release",
            Went::NotHere => "not_here",
            Went::Streams => "streams",
            Went::Away => "away",
            Went::Nobody => "nobody",
            Went::HeldBack => "held_back",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Kind for TakenAs {
    const ALL: &'static [TakenAs] = &[
        TakenAs::Stored,
        TakenAs::Made,
        TakenAs::Failed,
        TakenAs::Busy,
        TakenAs::OtherRelease,
        TakenAs::NotHere,
        TakenAs::Streams,
        TakenAs::Unsealed,
    ];

    fn name(self) -> &'static str {
        match self {
            TakenAs::Stored => "stored",
            TakenAs::Made => "made",
            TakenAs::Failed => "failed",
            TakenAs::Busy => "busy",
            TakenAs::OtherRelease => "other_release",
            TakenAs::NotHere => "not_here",
            TakenAs::Streams => "streams",
            TakenAs::Unsealed => "unsealed",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// How many of each kind.
pub(super) struct Tally<K>(Vec<AtomicU64>, PhantomData<K>);

impl<K: Kind> Default for Tally<K> {
    fn default() -> Tally<K> {
        Tally(K::ALL.iter().map(|_| AtomicU64::default()).collect(), PhantomData)
    }
}

impl<K: Kind> Tally<K> {
    pub(super) fn count(&self, kind: K) {
        self.0[kind.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        let count = |kind: &K| (kind.name().to_owned(), self.0[kind.index()].load(Ordering::Relaxed));
        K::ALL.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each_has_its_place<K: Kind>() {
        let places: Vec<usize> = K::ALL.iter().map(|kind| kind.index()).collect();
        assert_eq!(places, (0..K::ALL.len()).collect::<Vec<_>>());
        assert_eq!(Tally::<K>::default().all().len(), K::ALL.len(), "a name of its own");
    }

    #[test]
    fn each_is_counted_in_a_place_and_under_a_name_of_its_own() {
        each_has_its_place::<Went>();
        each_has_its_place::<TakenAs>();
    }
}

//! The best so far: highest score first, then lowest document.

use std::collections::{BTreeSet, BinaryHeap};

use ahash::AHashMap;

/// Ordered so that the greatest is the worst hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub score: u64,
    pub document: u32,
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.score.cmp(&self.score).then(self.document.cmp(&other.document))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

pub struct Top {
    most: usize,
    hits: Hits,
    /// Nothing below this is among the best: known before it is found.
    least: u64,
}

/// With the worst at hand.
enum Hits {
    /// Of documents that are each offered once.
    Once(BinaryHeap<Hit>),
    /// Of documents that may be offered again, with a better score.
    Again { sorted: BTreeSet<Hit>, scores: AHashMap<u32, u64> },
}

impl Hits {
    fn len(&self) -> usize {
        match self {
            Hits::Once(hits) => hits.len(),
            Hits::Again { sorted, .. } => sorted.len(),
        }
    }
}

impl Top {
    pub fn new(most: usize) -> Top {
        Top { most, hits: Hits::Once(BinaryHeap::with_capacity(most.min(1 << 10))), least: 0 }
    }

    /// So many hits of at least this score are known to be there.
    pub fn expect(&mut self, least: u64) {
        self.least = self.least.max(least);
    }

    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether no document from `from` on can get in with `bound`.
    #[inline]
    pub fn shuts_out(&self, bound: u64, from: u32) -> bool {
        bound < self.least
            || self.worst().is_some_and(|worst| bound < worst.score || (bound == worst.score && from > worst.document))
    }

    #[inline]
    fn worst(&self) -> Option<&Hit> {
        if self.hits.len() < self.most {
            return None;
        }
        match &self.hits {
            Hits::Once(hits) => hits.peek(),
            Hits::Again { sorted, .. } => sorted.last(),
        }
    }

    /// The score and document that whoever wants to get in has to pass.
    pub fn bar(&self) -> Option<(u64, u32)> {
        match self.worst() {
            Some(worst) if worst.score >= self.least => Some((worst.score, worst.document)),
            _ if self.least > 0 => Some((self.least, u32::MAX)),
            _ => None,
        }
    }

    #[inline]
    pub fn offer(&mut self, hit: Hit) {
        let Hits::Once(hits) = &mut self.hits else { return self.offer_again(hit) };
        if hits.len() < self.most {
            hits.push(hit);
        } else if let Some(mut worst) = hits.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// As `offer`, of a document that may be there already: the better score counts.
    pub fn offer_again(&mut self, hit: Hit) {
        if self.shuts_out(hit.score, hit.document) {
            return;
        }
        if let Hits::Once(hits) = &mut self.hits {
            let sorted: BTreeSet<Hit> = std::mem::take(hits).into_iter().collect();
            let scores = sorted.iter().map(|hit| (hit.document, hit.score)).collect();
            self.hits = Hits::Again { sorted, scores };
        }
        let Hits::Again { sorted, scores } = &mut self.hits else { return };
        match scores.insert(hit.document, hit.score) {
            Some(score) if score >= hit.score => {
                scores.insert(hit.document, score);
                return;
            }
            Some(score) => drop(sorted.remove(&Hit { score, ..hit })),
            None => {}
        }
        sorted.insert(hit);
        if sorted.len() > self.most
            && let Some(worst) = sorted.pop_last()
        {
            scores.remove(&worst.document);
        }
    }

    pub fn into_sorted(self) -> Vec<Hit> {
        match self.hits {
            Hits::Once(hits) => hits.into_sorted_vec(),
            Hits::Again { sorted, .. } => sorted.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_of_what_is_offered_again_are_kept(
            most in 1_usize..9,
            once in prop::collection::btree_map(100_u32..120, 0_u64..6, 0..9),
            again in prop::collection::vec((0_u32..12, 0_u64..6), 0..60),
        ) {
            let mut top = Top::new(most);
            once.iter().for_each(|(document, score)| top.offer(Hit { score: *score, document: *document }));
            let mut best = once.clone();
            for (document, score) in again {
                top.offer_again(Hit { score, document });
                let held = best.entry(document).or_insert(score);
                *held = score.max(*held);
            }
            let mut expected: Vec<Hit> = best.into_iter().map(|(document, score)| Hit { score, document }).collect();
            expected.sort_unstable();
            expected.truncate(most);
            prop_assert_eq!(top.into_sorted(), expected);
        }
    }
}

//! The best so far: highest score first, then lowest document.

use std::collections::BinaryHeap;

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
    hits: BinaryHeap<Hit>,
    /// Nothing below this is among the best: known before it is found.
    least: u64,
}

impl Top {
    pub fn new(most: usize) -> Top {
        Top { most, hits: BinaryHeap::with_capacity(most.min(1 << 16)), least: 0 }
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
        if self.hits.len() < self.most { None } else { self.hits.peek() }
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
        if self.hits.len() < self.most {
            self.hits.push(hit);
        } else if let Some(mut worst) = self.hits.peek_mut()
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
        match self.hits.iter().find(|other| other.document == hit.document) {
            None => self.offer(hit),
            Some(other) if other.score >= hit.score => {}
            Some(_) => {
                self.hits.retain(|other| other.document != hit.document);
                self.hits.push(hit);
            }
        }
    }

    pub fn into_sorted(self) -> Vec<Hit> {
        self.hits.into_sorted_vec()
    }
}

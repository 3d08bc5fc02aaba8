//! Which objects to pull: out of everything on offer, the fewest bytes that lead from what is kept to what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use nearside_protocol::digest::Digest;

/// An object someone has: it makes one snapshot out of another, or out of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// None for a base.
    pub from: Option<Digest>,
    pub to: Digest,
    /// Pages of the snapshot it makes.
    pub page_count: u32,
    pub bytes: u64,
}

/// Objects in the order in which they are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The kept snapshot it begins with; none when it begins with a base.
    pub from: Option<Digest>,
    /// None of them when what is wanted is kept.
    pub steps: Vec<Offer>,
    pub bytes: u64,
}

/// The cheapest way to a snapshot. Of equally cheap ones the one with the fewest objects.
pub fn cheapest(wanted: &Digest, kept: &BTreeSet<Digest>, offers: &[Offer]) -> Option<Path> {
    // Backwards from what is wanted: what it costs to get from each snapshot there, and the first step of that way.
    let mut known: BTreeMap<Digest, Way> = BTreeMap::from([(*wanted, Way { cost: Cost::NONE, step: None })]);
    let mut settled: BTreeSet<Digest> = BTreeSet::new();
    let mut best: Option<(Cost, Option<Digest>, Option<Offer>)> = None;
    loop {
        let nearest =
            known.iter().filter(|(root, _)| !settled.contains(*root)).min_by_key(|(root, way)| (way.cost, **root));
        let Some((&root, way)) = nearest else { break };
        let cost = way.cost;
        if best.as_ref().is_some_and(|(found, ..)| *found <= cost) {
            break;
        }
        settled.insert(root);
        if kept.contains(&root) {
            best = Some((cost, Some(root), None));
            break;
        }
        for offer in offers.iter().filter(|offer| offer.to == root) {
            let further = cost.and(offer.bytes);
            match offer.from {
                None if best.as_ref().is_none_or(|(found, ..)| further < *found) => {
                    best = Some((further, None, Some(*offer)));
                }
                Some(from) if known.get(&from).is_none_or(|way| further < way.cost) => {
                    known.insert(from, Way { cost: further, step: Some(*offer) });
                }
                // A dearer way than the one that is known.
                _ => {}
            }
        }
    }
    let (cost, from, base) = best?;
    let mut steps: Vec<Offer> = base.into_iter().collect();
    let mut at = from.or(base.map(|base| base.to))?;
    while let Some(step) = known.get(&at).and_then(|way| way.step) {
        steps.push(step);
        at = step.to;
    }
    Some(Path { from, steps, bytes: cost.bytes })
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    bytes: u64,
    objects: u32,
}

impl Cost {
    const NONE: Cost = Cost { bytes: 0, objects: 0 };

    fn and(self, bytes: u64) -> Cost {
        Cost { bytes: self.bytes.saturating_add(bytes), objects: self.objects.saturating_add(1) }
    }
}

struct Way {
    cost: Cost,
    /// None at what is wanted.
    step: Option<Offer>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn root(number: u8) -> Digest {
        Digest::from_bytes([number; 32])
    }

    fn delta(from: u8, to: u8, bytes: u64) -> Offer {
        Offer { from: Some(root(from)), to: root(to), page_count: 1, bytes }
    }

    fn base(to: u8, bytes: u64) -> Offer {
        Offer { from: None, to: root(to), page_count: 1, bytes }
    }

    fn kept<const N: usize>(numbers: [u8; N]) -> BTreeSet<Digest> {
        numbers.map(root).into()
    }

    fn steps(path: Option<Path>) -> (u64, Vec<Offer>) {
        let path = path.expect("there is a way");
        (path.bytes, path.steps)
    }

    #[test]
    fn what_is_kept_costs_nothing() {
        let path = cheapest(&root(3), &kept([3]), &[base(3, 10)]).unwrap();
        assert_eq!(path, Path { from: Some(root(3)), steps: Vec::new(), bytes: 0 });
    }

    #[test]
    fn a_direct_delta_a_chain_or_the_base_whichever_is_least() {
        let chain = [delta(1, 2, 10), delta(2, 3, 10)];
        let with = |more: &[Offer]| [&chain[..], more].concat();
        assert_eq!(steps(cheapest(&root(3), &kept([1]), &with(&[]))), (20, chain.to_vec()));
        assert_eq!(steps(cheapest(&root(3), &kept([1]), &with(&[delta(1, 3, 15)]))), (15, vec![delta(1, 3, 15)]));
        assert_eq!(steps(cheapest(&root(3), &kept([1]), &with(&[delta(1, 3, 25)]))), (20, chain.to_vec()));
        assert_eq!(steps(cheapest(&root(3), &kept([1]), &with(&[base(3, 5)]))), (5, vec![base(3, 5)]));
        // As cheap: one object rather than two.
        assert_eq!(steps(cheapest(&root(3), &kept([1]), &with(&[delta(1, 3, 20)]))), (20, vec![delta(1, 3, 20)]));
    }

    #[test]
    fn an_old_base_and_the_deltas_since() {
        let offers = [base(1, 100), delta(1, 2, 1), delta(2, 3, 1)];
        assert_eq!(steps(cheapest(&root(3), &kept([]), &offers)), (102, offers.to_vec()));
        assert_eq!(steps(cheapest(&root(3), &kept([2]), &offers)), (1, vec![offers[2]]));
    }

    #[test]
    fn no_way_is_none_and_circles_end() {
        assert_eq!(cheapest(&root(3), &kept([9]), &[delta(1, 2, 1), delta(2, 1, 1), delta(2, 3, 1)]), None);
        assert_eq!(cheapest(&root(3), &kept([]), &[]), None);
        // What anybody offers may be of any size.
        let huge = [delta(1, 2, u64::MAX), delta(2, 3, u64::MAX)];
        assert_eq!(steps(cheapest(&root(3), &kept([1]), &huge)).1.len(), 2);
    }

    proptest! {
        #[test]
        fn no_other_way_is_cheaper(
            edges in proptest::collection::vec((0..7u8, 0..7u8, 0..50u64), 0..25),
            bases in proptest::collection::vec((0..7u8, 0..120u64), 0..3),
            keeps in proptest::collection::btree_set(0..7u8, 0..3),
        ) {
            let offers: Vec<Offer> = edges.iter().map(|(from, to, bytes)| delta(*from, *to, *bytes))
                .chain(bases.iter().map(|(to, bytes)| base(*to, *bytes)))
                .collect();
            let kept: BTreeSet<Digest> = keeps.iter().map(|number| root(*number)).collect();
            // Bellman and Ford's way, as plain as can be.
            let mut least = [u64::MAX; 7];
            keeps.iter().for_each(|number| least[usize::from(*number)] = 0);
            bases.iter().for_each(|(to, bytes)| least[usize::from(*to)] = least[usize::from(*to)].min(*bytes));
            for _ in 0..7 {
                for (from, to, bytes) in &edges {
                    let through = least[usize::from(*from)].saturating_add(*bytes);
                    least[usize::from(*to)] = least[usize::from(*to)].min(through);
                }
            }
            let path = cheapest(&root(6), &kept, &offers);
            prop_assert_eq!(path.as_ref().map_or(u64::MAX, |path| path.bytes), least[6]);
            if let Some(path) = path {
                let mut at = path.from;
                for step in &path.steps {
                    prop_assert!(step.from.is_none() || step.from == at);
                    prop_assert!(offers.contains(step));
                    at = Some(step.to);
                }
                prop_assert_eq!(at, Some(root(6)));
                prop_assert_eq!(path.steps.iter().map(|step| step.bytes).sum::<u64>(), path.bytes);
            }
        }
    }
}

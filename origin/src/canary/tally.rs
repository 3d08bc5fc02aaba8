//! What the nodes of a canary, and all others, have served since it began: made of totals that their heartbeats tell.

use std::collections::BTreeMap;

use nearside_protocol::{
    canary::{Candidacy, Served},
    heartbeat::ServedBeat,
    limits,
};

/// One node's totals, as it told them last.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) node: String,
    pub(crate) process: String,
    pub(crate) beat: ServedBeat,
}

#[derive(Default)]
pub(crate) struct Tally(BTreeMap<String, OfNode>);

#[derive(Default)]
struct OfNode {
    last: Option<Told>,
    /// On the candidate.
    tried: Served,
    /// On what is for everyone, since this tally began; and since the node began to count.
    meanwhile: Served,
    ever: Served,
}

impl Tally {
    pub(crate) fn hear(&mut self, told: Told, canary: &Candidacy) {
        let of = self.0.entry(told.node.clone()).or_default();
        let is_tried = told.beat.canary_ms == Some(canary.since_ms);
        let served = &told.beat.served;
        let (before, is_known) = match of.last.take() {
            Some(last) if goes_on(&last, &told) => (last.beat.served, true),
            // It has begun to count anew since then.
            Some(_) => (Served::default(), true),
            None => (Served::default(), false),
        };
        let news = served.both(&before, u64::saturating_sub);
        let add = |to: &mut Served| *to = to.both(&news, u64::saturating_add);
        if is_tried {
            add(&mut of.tried);
        } else {
            add(&mut of.ever);
            // What it had counted before anybody listened is not of this time.
            if is_known {
                add(&mut of.meanwhile);
            }
        }
        of.last = Some(told);
    }

    /// What the canary's nodes have served of it.
    pub(crate) fn canaries(&self) -> Served {
        sum(self.0.values().map(|of| &of.tried))
    }

    /// What all others have served meanwhile; where that is too little to go by, what was ever served of what is for everyone,
    /// at any node.
    pub(crate) fn rest(&self, canary: &Candidacy) -> Served {
        let others = self.0.iter().filter(|(node, _)| !canary.is_for(node));
        let meanwhile = sum(others.map(|(_, of)| &of.meanwhile));
        match meanwhile.made() >= limits::CANARY_PAGES_LEAST {
            true => meanwhile,
            false => sum(self.0.values().map(|of| &of.ever)),
        }
    }
}

/// Whether these are totals of the same counts, later.
fn goes_on(last: &Told, told: &Told) -> bool {
    let (before, now) = (&last.beat.served, &told.beat.served);
    last.process == told.process
        && last.beat.canary_ms == told.beat.canary_ms
        && now.requests >= before.requests
        && now.made() >= before.made()
}

fn sum<'a>(all: impl Iterator<Item = &'a Served>) -> Served {
    all.fold(Served::default(), |sum, one| sum.both(one, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY_MS: u64 = 7;

    fn canary() -> Candidacy {
        Candidacy { since_ms: CANARY_MS, nodes: vec!["a".into()] }
    }

    fn told(node: &str, process: &str, canary_ms: Option<u64>, requests: u64, made: u64) -> Told {
        let served = Served { requests, server_errors: 0, times: vec![0, made] };
        Told { node: node.into(), process: process.into(), beat: ServedBeat { canary_ms, served } }
    }

    fn counts(served: Served) -> (u64, u64) {
        (served.requests, served.made())
    }

    #[test]
    fn the_candidate_counts_from_nothing_and_the_rest_from_when_it_began() {
        let mut tally = Tally::default();
        let mut hear = |told| tally.hear(told, &canary());
        hear(told("a", "1", None, 900, 90));
        hear(told("b", "1", None, 5_000, 500));
        hear(told("a", "1", Some(CANARY_MS), 10, 4));
        hear(told("b", "1", None, 5_100, 530));
        hear(told("a", "1", Some(CANARY_MS), 30, 9));
        hear(told("a", "1", Some(CANARY_MS), 30, 9));
        assert_eq!(counts(tally.canaries()), (30, 9));
        assert_eq!(counts(tally.rest(&canary())), (100, 30));
    }

    #[test]
    fn a_node_that_is_started_anew_loses_nothing_that_was_told() {
        let mut tally = Tally::default();
        let mut hear = |told| tally.hear(told, &canary());
        hear(told("a", "1", Some(CANARY_MS), 30, 9));
        hear(told("a", "2", Some(CANARY_MS), 5, 2));
        hear(told("b", "1", None, 5_000, 500));
        hear(told("b", "2", None, 70, 25));
        assert_eq!(counts(tally.canaries()), (35, 11));
        assert_eq!(counts(tally.rest(&canary())), (70, 25));
    }

    #[test]
    fn where_nobody_else_has_served_enough_it_is_compared_with_what_was() {
        let mut tally = Tally::default();
        let mut hear = |told| tally.hear(told, &canary());
        hear(told("a", "1", None, 900, 90));
        hear(told("a", "1", Some(CANARY_MS), 10, 4));
        hear(told("b", "1", None, 100, 10));
        hear(told("b", "1", None, 110, 12));
        assert_eq!(counts(tally.rest(&canary())), (1_010, 102));
        // Of another canary is neither.
        tally.hear(told("c", "1", Some(CANARY_MS + 1), 40, 40), &canary());
        assert_eq!(counts(tally.canaries()), (10, 4));
    }
}

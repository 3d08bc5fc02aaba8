//! Which sibling is asked, as functions of values.

use nearside_protocol::{
    heartbeat::{Load, Sibling},
    release::ReleaseId,
};

/// Why one is not asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotAsked {
    /// By its own word no visitors should be sent there.
    NotServing,
    /// It has not said where it is reached.
    NoAddress,
    /// It does not serve this app, or an older release of it.
    OlderRelease,
    /// It refuses visitors of its own.
    Hot,
}

/// Whether it could take a render of this app on this release, by what was last heard of it.
pub(super) fn may_take(sibling: &Sibling, load: &Load, app: &str, release: ReleaseId) -> Result<(), NotAsked> {
    if !sibling.is_serving {
        return Err(NotAsked::NotServing);
    }
    if sibling.declared.admin.is_none() {
        return Err(NotAsked::NoAddress);
    }
    if sibling.releases.get(app).is_none_or(|served| *served < release) {
        return Err(NotAsked::OlderRelease);
    }
    if load.is_hot {
        return Err(NotAsked::Hot);
    }
    Ok(())
}

/// One that may be asked.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Candidate {
    /// Of the same place.
    pub is_near: bool,
    /// Renders for each thousand places: those it has told of, and those that are out there from here.
    pub busy: u64,
}

impl Candidate {
    pub(super) fn of(sibling: &Sibling, place: Option<&str>, load: &Load, out: usize) -> Candidate {
        let renders = load.renders_running.saturating_add(load.renders_waiting).saturating_add(out as u64);
        Candidate {
            is_near: place.is_some() && sibling.declared.place.as_deref() == place,
            busy: renders.saturating_mul(1_000) / load.render_places.max(1),
        }
    }
}

/// The better of two that are drawn by lot, from those near by if there are as many. Always the best by what was last heard would
/// be the same one for all who ask, until it is the worst.
pub(super) fn better_of_two(candidates: &[Candidate], lot: u64) -> Option<usize> {
    let near: Vec<usize> = (0..candidates.len()).filter(|at| candidates[*at].is_near).collect();
    let all: Vec<usize> = (0..candidates.len()).collect();
    let drawn = match near[..] {
        [] => two_of(&all, lot),
        [one] => return Some(one),
        _ => two_of(&near, lot),
    };
    drawn.into_iter().min_by_key(|at| candidates[*at].busy)
}

fn two_of(pool: &[usize], lot: u64) -> Vec<usize> {
    let count = pool.len() as u64;
    if count < 2 {
        return pool.to_vec();
    }
    let first = lot % count;
    let second = (first + 1 + (lot >> 32) % (count - 1)) % count;
    vec![pool[first as usize], pool[second as usize]]
}

#[cfg(test)]
mod tests {
    use nearside_protocol::heartbeat::Declared;
    use proptest::prelude::*;

    use super::*;

    fn sibling(seq: u64) -> Sibling {
        Sibling {
            node: "b".into(),
            declared: Declared { place: Some("fra".into()), admin: Some("http://b:1".into()), ..Declared::default() },
            is_serving: true,
            heard_ms_ago: 0,
            load: Load { render_places: 4, ..Load::default() },
            cpu_share: None,
            releases: [("shop".to_owned(), ReleaseId { epoch: 1, seq })].into(),
        }
    }

    fn candidate(is_near: bool, busy: u64) -> Candidate {
        Candidate { is_near, busy }
    }

    #[test]
    fn one_that_is_behind_hot_leaving_or_nowhere_is_not_asked() {
        let ours = ReleaseId { epoch: 1, seq: 5 };
        let asked = |sibling: &Sibling| may_take(sibling, &sibling.load, "shop", ours);
        assert_eq!((asked(&sibling(5)), asked(&sibling(6))), (Ok(()), Ok(())));
        assert_eq!(asked(&sibling(4)), Err(NotAsked::OlderRelease));
        assert_eq!(may_take(&sibling(5), &Load::default(), "other", ours), Err(NotAsked::OlderRelease));
        let hot = Load { is_hot: true, ..Load::default() };
        assert_eq!(may_take(&sibling(5), &hot, "shop", ours), Err(NotAsked::Hot));
        assert_eq!(asked(&Sibling { is_serving: false, ..sibling(5) }), Err(NotAsked::NotServing));
        assert_eq!(asked(&Sibling { declared: Declared::default(), ..sibling(5) }), Err(NotAsked::NoAddress));
    }

    #[test]
    fn what_is_out_there_already_counts() {
        let load = Load { renders_running: 1, renders_waiting: 1, render_places: 4, ..Load::default() };
        let of = |place, out| Candidate::of(&sibling(1), place, &load, out);
        assert_eq!(of(Some("fra"), 2), candidate(true, 1_000));
        assert_eq!((of(Some("ams"), 0), of(None, 0)), (candidate(false, 500), candidate(false, 500)));
    }

    #[test]
    fn near_ones_come_first_and_of_two_the_idler() {
        assert_eq!(better_of_two(&[], 7), None);
        assert_eq!(better_of_two(&[candidate(false, 9)], 7), Some(0));
        for lot in [0, 1, 1 << 32, u64::MAX] {
            assert_eq!(better_of_two(&[candidate(false, 0), candidate(true, 900)], lot), Some(1));
            assert_eq!(better_of_two(&[candidate(true, 9), candidate(true, 8), candidate(false, 0)], lot), Some(1));
        }
    }

    #[test]
    fn the_busiest_of_many_is_never_taken_and_not_always_the_idlest() {
        let candidates: Vec<Candidate> = (0..8).map(|busy| candidate(false, busy)).collect();
        let mut taken = [0; 8];
        for lot in 0..8 * 7 {
            taken[better_of_two(&candidates, (lot % 8) | ((lot / 8) << 32)).unwrap()] += 1;
        }
        assert_eq!(taken, [14, 12, 10, 8, 6, 4, 2, 0]);
    }

    proptest! {
        #[test]
        fn whoever_is_taken_was_there(near in proptest::collection::vec(any::<bool>(), 1..9), lot in any::<u64>()) {
            let candidates: Vec<Candidate> = near.iter().map(|near| candidate(*near, 1)).collect();
            let taken = better_of_two(&candidates, lot).unwrap();
            prop_assert!(taken < near.len() && (near[taken] || !near.contains(&true)));
        }
    }
}

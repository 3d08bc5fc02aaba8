//! How a node is, and why: a function of what it said and what is released.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nearside_protocol::{
    fleet::{Candidate, Health, Lag},
    heartbeat::AppBeat,
    limits,
    release::ReleaseId,
};

use super::node::Node;

/// The newest release of an app, and since when it is out: Unix time, milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) release: ReleaseId,
    pub(crate) since_ms: u64,
    /// What some nodes are to serve instead, and since when they try something out.
    pub(crate) candidate: Option<(Candidate, u64)>,
}

impl Head {
    /// What this node is to serve, and since when that is out.
    fn at(&self, node: &str) -> (ReleaseId, u64) {
        match &self.candidate {
            Some((candidate, since_ms)) if candidate.nodes.iter().any(|it| it == node) => {
                (candidate.release, self.since_ms.max(*since_ms))
            }
            _ => (self.release, self.since_ms),
        }
    }
}

/// The first of these that holds: silent, unready, behind, serving. `started` is how long the origin has listened.
pub(super) fn of(
    name: &str,
    node: &Node,
    heads: &BTreeMap<String, Head>,
    now: Instant,
    now_ms: u64,
    started: Duration,
) -> Health {
    let Some(beat) = node.beat.as_ref().filter(|_| !node.is_silent(now)) else {
        return match node.heard_at_ms {
            // One from before is given as long to be heard as any.
            Some(since_ms) if node.heard.is_some() || started > limits::SILENT_AFTER => Health::Silent { since_ms },
            _ => Health::Unknown,
        };
    };
    if let Some(why) = &beat.unready {
        return Health::Unready { why: why.clone() };
    }
    let behind = heads.iter().find_map(|(app, head)| {
        let served = beat.apps.get(app);
        let (newest, since_ms) = head.at(name);
        let why = lag(served, newest, now_ms.saturating_sub(since_ms))?;
        Some(Health::Behind { app: app.clone(), serves: served.map(|app| app.release), newest, why })
    });
    behind.unwrap_or(Health::Serving)
}

/// Why an app is not served as it is released; nothing when it is, or has hardly been out.
fn lag(served: Option<&AppBeat>, newest: ReleaseId, out_ms: u64) -> Option<Lag> {
    let has_time = out_ms <= limits::BEHIND_AFTER.as_millis() as u64;
    match served {
        Some(served) if served.release == newest => None,
        Some(served) if served.release > newest => (!has_time).then_some(Lag::Ahead),
        Some(AppBeat { refused: Some(why), .. }) => Some(Lag::Refused(why.clone())),
        _ if has_time => None,
        Some(AppBeat { pulled_permille: Some(permille), .. }) => Some(Lag::Pulling(*permille)),
        _ => Some(Lag::NotTaken { out_ms }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(seq: u64) -> ReleaseId {
        ReleaseId { epoch: 1, seq }
    }

    fn serves(seq: u64) -> AppBeat {
        AppBeat {
            release: release(seq),
            behind_at_most_ms: None,
            refused: None,
            pulled_permille: None,
            served: None,
            refusal: None,
        }
    }

    #[test]
    fn a_node_has_a_moment_to_take_what_is_new() {
        let newest = release(2);
        assert_eq!(lag(Some(&serves(2)), newest, 60_000), None);
        assert_eq!(lag(Some(&serves(1)), newest, 5_000), None);
        assert_eq!(lag(Some(&serves(1)), newest, 60_000), Some(Lag::NotTaken { out_ms: 60_000 }));
        assert_eq!(lag(None, newest, 60_000), Some(Lag::NotTaken { out_ms: 60_000 }));
        assert_eq!(lag(Some(&serves(3)), newest, 60_000), Some(Lag::Ahead));
        let refused = AppBeat { refused: Some("no key".into()), ..serves(1) };
        assert_eq!(lag(Some(&refused), newest, 0), Some(Lag::Refused("no key".into())));
        let pulling = AppBeat { pulled_permille: Some(120), ..serves(1) };
        assert_eq!(lag(Some(&pulling), newest, 60_000), Some(Lag::Pulling(120)));
    }

    #[test]
    fn a_node_that_tries_something_out_is_to_serve_that() {
        let candidate = Candidate { release: release(3), nodes: vec!["a".into()] };
        let head = Head { release: release(2), since_ms: 5, candidate: Some((candidate, 7)) };
        assert_eq!((head.at("a"), head.at("b")), ((release(3), 7), (release(2), 5)));
        assert_eq!(lag(Some(&serves(3)), head.at("a").0, 60_000), None);
        assert_eq!(lag(Some(&serves(3)), head.at("b").0, 60_000), Some(Lag::Ahead));
        assert_eq!(lag(Some(&serves(2)), head.at("a").0, 60_000), Some(Lag::NotTaken { out_ms: 60_000 }));
    }
}

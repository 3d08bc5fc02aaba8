//! How a node is, and why: a function of what it said and what is released.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nearside_protocol::{
    fleet::{Health, Lag},
    heartbeat::AppBeat,
    limits,
    release::ReleaseId,
};

use super::node::Node;

/// The newest release of an app, and since when it is out: Unix time, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) release: ReleaseId,
    pub(crate) since_ms: u64,
}

/// The first of these that holds: silent, unready, behind, serving. `started` is how long the origin has listened.
pub(super) fn of(node: &Node, heads: &BTreeMap<String, Head>, now: Instant, now_ms: u64, started: Duration) -> Health {
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
        let why = lag(served, head, now_ms.saturating_sub(head.since_ms))?;
        Some(Health::Behind { app: app.clone(), serves: served.map(|app| app.release), newest: head.release, why })
    });
    behind.unwrap_or(Health::Serving)
}

/// Why an app is not served as it is released; nothing when it is, or has hardly been out.
fn lag(served: Option<&AppBeat>, head: &Head, out_ms: u64) -> Option<Lag> {
    let has_time = out_ms <= limits::BEHIND_AFTER.as_millis() as u64;
    match served {
        Some(served) if served.release == head.release => None,
        Some(served) if served.release > head.release => (!has_time).then_some(Lag::Ahead),
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

    #[test]
    fn a_node_has_a_moment_to_take_what_is_new() {
        let head = Head { release: release(2), since_ms: 0 };
        let serves =
            |seq| AppBeat { release: release(seq), behind_at_most_ms: None, refused: None, pulled_permille: None };
        assert_eq!(lag(Some(&serves(2)), &head, 60_000), None);
        assert_eq!(lag(Some(&serves(1)), &head, 5_000), None);
        assert_eq!(lag(Some(&serves(1)), &head, 60_000), Some(Lag::NotTaken { out_ms: 60_000 }));
        assert_eq!(lag(None, &head, 60_000), Some(Lag::NotTaken { out_ms: 60_000 }));
        assert_eq!(lag(Some(&serves(3)), &head, 60_000), Some(Lag::Ahead));
        let refused = AppBeat { refused: Some("no key".into()), ..serves(1) };
        assert_eq!(lag(Some(&refused), &head, 0), Some(Lag::Refused("no key".into())));
        let pulling = AppBeat { pulled_permille: Some(120), ..serves(1) };
        assert_eq!(lag(Some(&pulling), &head, 60_000), Some(Lag::Pulling(120)));
    }
}

//! A canary: a release that some nodes try out before all take it. What is signed of it, how it stands, and what was decided.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/apps/{app}/canary` | [`Canary`]: the one that runs, or the last one |
//! | `POST /v1/apps/{app}/promote` | [`crate::wire::Pushed`]; its content becomes the release of all |
//! | `POST /v1/apps/{app}/halt` | [`crate::wire::Pushed`]; the content of all becomes that of its nodes again |

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{digest::Digest, limits, release::ReleaseId, words};

/// What a candidate's manifest says of whom it is for. A release for everyone says nothing of the kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidacy {
    /// When the canary began, Unix time in milliseconds: tells its candidates from those of another, as data releases go on.
    pub since_ms: u64,
    /// The nodes that take it, by name and in order.
    pub nodes: Vec<String>,
}

impl Candidacy {
    pub fn is_for(&self, node: &str) -> bool {
        self.nodes.iter().any(|named| named == node)
    }

    /// What no manifest can say.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if !(1..=limits::CANARY_NODES).contains(&self.nodes.len()) {
            return Some("a candidate is for 1 to 64 nodes");
        }
        let is_name =
            |name: &String| (1..=limits::NODE_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
        (!self.nodes.iter().all(is_name)).then_some("one of its `nodes` is not a node's name")
    }
}

/// Who is to try it out, as an operator says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whom {
    /// So many of a hundred nodes that are heard, and at least one.
    Percent(u8),
    Named(Vec<String>),
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum NotWhom {
    #[error("`{0}` is not a share: 1% to 99% expected")]
    Share(String),
    #[error("names of nodes expected, with commas between: `{0}` has an empty one")]
    Empty(String),
    #[error("{0} nodes; a canary has at most {most}", most = limits::CANARY_NODES)]
    TooMany(usize),
}

impl FromStr for Whom {
    type Err = NotWhom;

    fn from_str(text: &str) -> Result<Whom, NotWhom> {
        if let Some(number) = text.strip_suffix('%') {
            let share = number.parse().ok().filter(|share| (1..=99).contains(share));
            return share.map(Whom::Percent).ok_or_else(|| NotWhom::Share(text.to_owned()));
        }
        let mut names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(NotWhom::Empty(text.to_owned()));
        }
        names.sort();
        names.dedup();
        if names.len() > limits::CANARY_NODES {
            return Err(NotWhom::TooMany(names.len()));
        }
        Ok(Whom::Named(names))
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Percent(share) => write!(f, "{share}%"),
            Whom::Named(names) => f.write_str(&names.join(",")),
        }
    }
}

/// When a canary that nothing is wrong with is promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// After so many requests for pages on it, at all its nodes,
    pub requests: u64,
    /// and once they have served it for so long, in seconds.
    pub for_s: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { requests: limits::CANARY_REQUESTS, for_s: limits::CANARY_FOR.as_secs() }
    }
}

/// What answers to requests for pages came to.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Served {
    pub requests: u64,
    /// Answered with 500 and more.
    pub server_errors: u64,
    /// How long those took that were not sent at once, to the answer's head; as [`crate::times`] counts.
    pub times: Vec<u64>,
}

impl Served {
    pub fn both(&self, other: &Served, with: impl Fn(u64, u64) -> u64 + Copy) -> Served {
        Served {
            requests: with(self.requests, other.requests),
            server_errors: with(self.server_errors, other.server_errors),
            times: crate::times::both(&self.times, &other.times, with),
        }
    }

    pub fn made(&self) -> u64 {
        self.times.iter().fold(0, |all, count| all.saturating_add(*count))
    }

    /// Server errors among its answers.
    pub fn errors_share(&self) -> f64 {
        self.server_errors as f64 / self.requests.max(1) as f64
    }

    /// What this part of those that were not sent at once did not exceed, in microseconds.
    pub fn time_us(&self, part: f64) -> Option<u64> {
        crate::times::time_ns_of(&self.times, part).map(|ns| ns.div_ceil(1_000))
    }
}

/// A canary, as operators are told of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Canary {
    /// The newest candidate; absent until the first one is out.
    pub release: Option<ReleaseId>,
    pub app_digest: Digest,
    /// Whether it is another database rather than another version of the app.
    pub is_data: bool,
    /// Unix time, milliseconds.
    pub since_ms: u64,
    pub nodes: Vec<String>,
    pub rules: Rules,
    /// What its nodes have served of it, and all others meanwhile; empty after the origin's restart until nodes tell again.
    pub canaries: Served,
    pub rest: Served,
    pub stands: Stands,
}

impl Canary {
    pub fn is_running(&self) -> bool {
        matches!(self.stands, Stands::Running { .. })
    }
}

/// How a canary stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Stands {
    Running {
        waits: Waits,
    },
    Promoted {
        why: Promoted,
        /// Unix time, milliseconds.
        at_ms: u64,
    },
    Halted {
        why: Halted,
        at_ms: u64,
    },
}

/// What a canary waits for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// So many of its nodes serve it.
    Arrival {
        have: u64,
        of: u64,
    },
    /// None of its nodes is heard.
    Silent,
    Time {
        left_s: u64,
    },
    /// The time is over, and too few have come: for more of them, or for a hand.
    Requests {
        have: u64,
        of: u64,
    },
    /// Nobody else has served enough to be compared with: for that, or for a hand.
    Comparison {
        have: u64,
        of: u64,
    },
}

/// Why a canary was promoted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promoted {
    Healthy,
    ByHand,
}

/// Why a canary was halted, and its nodes went back to what all have.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halted {
    /// It answered with server errors more often than the rest: parts of all answers.
    Errors {
        canaries: f64,
        rest: f64,
        errors: u64,
    },
    /// Nine of ten pages that were not stored took up to so long, in microseconds.
    Slow {
        canaries_us: u64,
        rest_us: u64,
    },
    /// A node does not serve it: by the refusal's name, and in its words.
    Refused {
        node: String,
        reason: String,
        words: String,
    },
    ByHand,
    /// A push or a rollback came that was to replace it.
    Replaced,
}

impl Waits {
    /// As programs call it.
    pub fn name(&self) -> &'static str {
        match self {
            Waits::Arrival { .. } => "arrival",
            Waits::Silent => "silent",
            Waits::Time { .. } => "time",
            Waits::Requests { .. } => "requests",
            Waits::Comparison { .. } => "comparison",
        }
    }

    /// Whether it may wait for ever unless somebody decides.
    pub fn wants_a_hand(&self) -> bool {
        matches!(self, Waits::Silent | Waits::Requests { .. } | Waits::Comparison { .. })
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waits::Arrival { have, of } => {
                write!(f, "{have} of {} it", words::count(*of, "node serves", "nodes serve"))
            }
            Waits::Silent => f.write_str("none of its nodes is heard"),
            Waits::Time { left_s } => write!(f, "nothing is wrong so far; {} left", words::lasting(left_s * 1_000)),
            Waits::Requests { have, of } => {
                write!(f, "{have} of {of} requests have come: it waits for more, or for a hand")
            }
            Waits::Comparison { have, of } => {
                write!(f, "the rest has made {have} of {of} pages to compare with: it waits for more, or for a hand")
            }
        }
    }
}

impl Promoted {
    pub fn name(&self) -> &'static str {
        match self {
            Promoted::Healthy => "healthy",
            Promoted::ByHand => "by_hand",
        }
    }
}

impl fmt::Display for Promoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promoted::Healthy => "nothing was wrong with it",
            Promoted::ByHand => "by hand",
        })
    }
}

impl Halted {
    pub fn name(&self) -> &'static str {
        match self {
            Halted::Errors { .. } => "errors",
            Halted::Slow { .. } => "slow",
            Halted::Refused { .. } => "refused",
            Halted::ByHand => "by_hand",
            Halted::Replaced => "replaced",
        }
    }
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Halted::Errors { canaries, rest, errors } => {
                let (canaries, rest) = (words::percent(*canaries), words::percent(*rest));
                let errors = words::count(*errors, "server error", "server errors");
                write!(f, "{errors}: {canaries} of its answers, and {rest} of the rest's")
            }
            Halted::Slow { canaries_us, rest_us } => {
                let (canaries, rest) = (words::micros(*canaries_us), words::micros(*rest_us));
                write!(f, "nine of ten of its pages took up to {canaries}, and of the rest's up to {rest}")
            }
            Halted::Refused { node, words, .. } => write!(f, "{node} does not serve it: {words}"),
            Halted::ByHand => f.write_str("by hand"),
            Halted::Replaced => f.write_str("it was to be replaced"),
        }
    }
}

impl Stands {
    /// As programs call it, and why.
    pub fn names(&self) -> (&'static str, &'static str) {
        match self {
            Stands::Running { waits } => ("running", waits.name()),
            Stands::Promoted { why, .. } => ("promoted", why.name()),
            Stands::Halted { why, .. } => ("halted", why.name()),
        }
    }
}

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stands::Running { waits } => write!(f, "running: {waits}"),
            Stands::Promoted { why, .. } => write!(f, "promoted: {why}"),
            Stands::Halted { why, .. } => write!(f, "halted: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_an_operator_means() {
        assert_eq!("10%".parse(), Ok(Whom::Percent(10)));
        assert_eq!("b, a,b".parse(), Ok(Whom::Named(vec!["a".into(), "b".into()])));
        for wrong in ["0%", "100%", "%", "-1%", "1.5%"] {
            assert_eq!(wrong.parse::<Whom>(), Err(NotWhom::Share(wrong.into())));
        }
        assert_eq!("a,,b".parse::<Whom>(), Err(NotWhom::Empty("a,,b".into())));
        assert_eq!("".parse::<Whom>(), Err(NotWhom::Empty(String::new())));
        let many: Vec<String> = (0..=limits::CANARY_NODES).map(|n| n.to_string()).collect();
        assert_eq!(many.join(",").parse::<Whom>(), Err(NotWhom::TooMany(many.len())));
    }

    #[test]
    fn what_was_decided_is_a_value_with_its_words() {
        let halted = Halted::Errors { canaries: 0.25, rest: 0.001, errors: 50 };
        assert_eq!(halted.to_string(), "50 server errors: 25.0 % of its answers, and 0.1 % of the rest's");
        let stands = Stands::Halted { why: halted, at_ms: 1 };
        assert_eq!(stands.names(), ("halted", "errors"));
        let json = serde_json::to_value(&stands).unwrap();
        assert_eq!((&json["state"], &json["why"]["errors"]["errors"]), (&"halted".into(), &50.into()), "{json}");
        assert_eq!(serde_json::from_value::<Stands>(json).unwrap(), stands);
        let waits = Waits::Requests { have: 3, of: 200 };
        assert_eq!(waits.to_string(), "3 of 200 requests have come: it waits for more, or for a hand");
    }
}

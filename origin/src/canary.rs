//! A canary: a candidate that some nodes try out, and what the origin makes of how they fare.
//!
//! | module | what it holds |
//! |---|---|
//! | `whom` | which nodes take part |
//! | `record` | what is under way or was decided, in `canary.json` of the app's folder |
//! | `tally` | what its nodes and the others have served meanwhile |
//! | `judge` | what to do about it: a function of values |
//! | `watch` | looking at all of them, all the time |

pub(crate) mod judge;
pub(crate) mod record;
pub(crate) mod tally;
pub(crate) mod watch;
pub(crate) mod whom;

use nearside_protocol::{canary::Rules, limits, release::ReleaseId};

/// What an operator wants of a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub nodes: Vec<String>,
    pub rules: Rules,
}

/// Why there is no canary, or none of this kind.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotTried {
    #[error(
        "a canary runs at {nodes}: `nearside promote` or `nearside halt` decide it; --replace halts it first, and takes this instead"
    )]
    Running { nodes: String },
    #[error("no canary runs")]
    None,
    #[error("nothing is released yet, so there is nothing to compare it with: push it without --canary")]
    NothingReleased,
    #[error("no node `{name}` is heard; heard are: {heard}")]
    NoNode { name: String, heard: String },
    #[error("a share is for two nodes at least, and {heard} heard: name the nodes, or push without --canary")]
    TooFew { heard: String },
    #[error("that would be {0} nodes; at most {most} try something out", most = limits::CANARY_NODES)]
    TooMany(usize),
    #[error("its `database` is another kind than that of the version that runs: push it without --canary")]
    OtherDatabase,
    #[error(
        "its rows are merged into the one store that commands write to: data of a mirrored app is pushed without --canary"
    )]
    MergedData,
    #[error("it is what release {0} has already: there is nothing to try out")]
    Same(ReleaseId),
    #[error("requests: 1 to {most}", most = limits::CANARY_REQUESTS_MOST)]
    Requests,
    #[error("seconds: at most {most}", most = limits::CANARY_FOR_MOST.as_secs())]
    For,
}

/// Whether a canary may go by these.
pub(crate) fn checked(rules: Rules) -> Result<Rules, NotTried> {
    if !(1..=limits::CANARY_REQUESTS_MOST).contains(&rules.requests) {
        return Err(NotTried::Requests);
    }
    if rules.for_s > limits::CANARY_FOR_MOST.as_secs() {
        return Err(NotTried::For);
    }
    Ok(rules)
}

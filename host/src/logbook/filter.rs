//! Which entries are wanted. What is not set is not asked about.

use super::{Entry, Kind, Level};
use crate::trace::SHORT_DIGITS;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub app: Option<String>,
    pub place: Option<String>,
    /// Whole, or its first digits as `nearside logs` shows them.
    pub trace: Option<String>,
    /// At least.
    pub level: Option<Level>,
    /// Any of these; all when empty.
    pub kinds: Vec<Kind>,
}

impl Filter {
    pub fn admits(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
        is(&self.app, &entry.app)
            && is(&self.place, &entry.place)
            && self.trace.as_ref().is_none_or(|wanted| entry.trace.as_ref().is_some_and(|has| is_trace(wanted, has)))
            && self.level.is_none_or(|least| entry.level >= least)
            && (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
    }
}

fn is_trace(wanted: &str, has: &str) -> bool {
    let short = wanted.len() == SHORT_DIGITS && has.len() == 32 && has.bytes().all(|byte| byte.is_ascii_hexdigit());
    wanted == has || (short && has.starts_with(wanted))
}

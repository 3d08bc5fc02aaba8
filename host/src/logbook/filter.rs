//! Which entries are wanted. What is not set is not asked about.

use super::{Entry, Kind, Level};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub app: Option<String>,
    pub place: Option<String>,
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
            && is(&self.trace, &entry.trace)
            && self.level.is_none_or(|least| entry.level >= least)
            && (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
    }
}

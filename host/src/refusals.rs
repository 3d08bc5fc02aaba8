//! What a node refused of what it was offered: how often for which reason, and the last of them.

use std::{collections::BTreeMap, sync::Mutex};

use nearside_protocol::{status::Refused, unix_time};

#[derive(Default)]
pub struct Refusals(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    counts: BTreeMap<&'static str, u64>,
    last: Option<Refused>,
}

impl Refusals {
    /// `reason` is one of a fixed set of names, which programs may count on.
    pub fn note(&self, app: Option<&str>, reason: &'static str, message: String) {
        let refused =
            Refused { app: app.map(str::to_owned), reason: reason.to_owned(), message, at_ms: unix_time::now_ms() };
        let mut noted = self.0.lock().expect("BUG: nothing panics while holding the refusals");
        *noted.counts.entry(reason).or_default() += 1;
        noted.last = Some(refused);
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        let noted = self.0.lock().expect("BUG: nothing panics while holding the refusals");
        noted.counts.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    pub fn last(&self) -> Option<Refused> {
        self.0.lock().expect("BUG: nothing panics while holding the refusals").last.clone()
    }
}

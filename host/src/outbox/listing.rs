//! The outbox as its operator looks through it: a page at a time.

use std::{fmt, str::FromStr};

use nearside_protocol::limits;
use serde::{Deserialize, Serialize};

use super::{Outbox, StoreError, Written};

/// Some of what an outbox holds, old to new.
#[derive(Serialize, Deserialize)]
pub struct OutboxPage {
    pub writes: Vec<Written>,
    /// The query that goes on from here; nothing at the end.
    pub next: Option<String>,
}

/// Up to where it has been looked through: `after=APP:N`; then come those of unknown fate, `unsure=APP:N`.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    pub app: String,
    pub n: u64,
    pub is_unsure: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}`: the query is after=APP:N, as `next` has it")]
pub struct NotAfter(String);

impl FromStr for After {
    type Err = NotAfter;

    fn from_str(text: &str) -> Result<After, NotAfter> {
        let after = text.split_once('=').and_then(|(what, text)| {
            let is_unsure = match what {
                "after" => false,
                "unsure" => true,
                _ => return None,
            };
            let (app, n) = text.rsplit_once(':')?;
            Some(After { app: app.to_owned(), n: n.parse().ok()?, is_unsure })
        });
        after.ok_or_else(|| NotAfter(text.to_owned()))
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", if self.is_unsure { "unsure" } else { "after" }, self.app, self.n)
    }
}

impl Outbox {
    /// As many as an answer holds. Blocks.
    pub fn page(&self, after: Option<&After>) -> Result<OutboxPage, StoreError> {
        let mut writes = self.reads().list(after, limits::OUTBOX_LISTED)?;
        let mut bytes = 0;
        let fits = writes.iter().take_while(|write| {
            bytes += write.payload.len();
            bytes <= limits::OUTBOX_LISTED_BYTES
        });
        let fits = fits.count().max(1).min(writes.len());
        let has_more = writes.len() == limits::OUTBOX_LISTED || fits < writes.len();
        writes.truncate(fits);
        let last = writes.last().filter(|_| has_more);
        let next = last.map(|last| After { app: last.app.clone(), n: last.n, is_unsure: last.is_unsure }.to_string());
        Ok(OutboxPage { writes, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_go_on_survives_its_text_and_nonsense_is_named() {
        for is_unsure in [false, true] {
            let after = After { app: "a-b".into(), n: 7, is_unsure };
            assert_eq!(after.to_string().parse::<After>().unwrap(), after);
        }
        for nonsense in ["", "after=", "after=a", "after=a:", "after=a:x", "before=a:1"] {
            let told = nonsense.parse::<After>().unwrap_err().to_string();
            assert!(told.contains(nonsense) && told.contains("after=APP:N"), "{told}");
        }
    }
}

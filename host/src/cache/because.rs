//! Why an entry was rendered, as far as it is known.

use crate::cache_status::Cause;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    pub cause: Cause,
    /// The query whose answer was another one.
    pub query: Option<String>,
}

impl Default for Because {
    fn default() -> Because {
        Because::of(Cause::First)
    }
}

impl Because {
    pub fn of(cause: Cause) -> Because {
        Because { cause, query: None }
    }
}

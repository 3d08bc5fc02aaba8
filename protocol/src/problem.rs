//! RFC 9457 problem details: how errors are told to programs.

use serde::{Deserialize, Serialize};

use crate::token::Role;

pub const CONTENT_TYPE: &str = "application/problem+json";

/// `type` stays `about:blank`: the status code says what kind of problem it is, `detail` what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub title: String,
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where a call is refused for its token's role: the roles that may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

impl Problem {
    pub fn new(status: u16, title: impl Into<String>) -> Problem {
        Problem { title: title.into(), status, detail: None, roles: Vec::new() }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = Some(detail.into());
        self
    }

    pub fn roles(mut self, roles: impl IntoIterator<Item = Role>) -> Problem {
        self.roles = roles.into_iter().collect();
        self
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("BUG: a problem is plain data")
    }
}

//! RFC 9457 problem details: how errors are told to programs.

use serde::{Deserialize, Serialize};

pub const CONTENT_TYPE: &str = "application/problem+json";

/// `type` stays `about:blank`: the status code says what kind of problem it is, `detail` what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub title: String,
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    pub fn new(status: u16, title: impl Into<String>) -> Problem {
        Problem { title: title.into(), status, detail: None }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = Some(detail.into());
        self
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("BUG: a problem is plain data")
    }
}

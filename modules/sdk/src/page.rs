//! Making pages out of pages.

use std::fmt;

use crate::bindings::nearside::edge::page;

/// The body of a GET to `path`, a route of this app, on the same release and through the same cache.
///
/// # Errors
/// When the path has no route or answers with another status than 200.
pub fn include(path: &str) -> Result<Vec<u8>, IncludeError> {
    page::include(path).map_err(|reason| match reason {
        page::IncludeError::Refused(text) => IncludeError::Refused(text),
        page::IncludeError::Status(status) => IncludeError::Status(status),
    })
}

/// Why a page could not be included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncludeError {
    /// The path has no route, or includes are nested too deep.
    Refused(String),
    /// The route answered with this status.
    Status(u16),
}

impl fmt::Display for IncludeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => write!(f, "include: {text}"),
            Self::Status(status) => write!(f, "include: the route answered with status {status}"),
        }
    }
}

impl std::error::Error for IncludeError {}

impl From<IncludeError> for crate::Error {
    fn from(error: IncludeError) -> Self {
        Self::internal(error.to_string())
    }
}

//! What one run of a statement took.

use std::time::Duration;

use crate::pages::reads::ReadSet;

/// What SQLite says of its own work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Rows that were stepped over in full scans.
    pub scanned_rows: u64,
    pub sorts: u64,
    /// Rows put into an index that was made for this run.
    pub indexed_rows: u64,
    /// Of its machine.
    pub steps: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub time: Duration,
    /// None when it failed.
    pub rows: Option<u64>,
    /// Different pages, and pages as often as they were fetched.
    pub pages: u64,
    pub fetches: u64,
    pub steps: Steps,
}

/// A statement's answer, the pages it was read from, and what that took.
pub struct Measured<T> {
    pub answer: T,
    pub pages: ReadSet,
    pub run: Run,
}

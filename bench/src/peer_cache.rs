//! What a caching peer is told, whichever it is.

use std::net::SocketAddr;

/// A cache in front of one plain server.
#[derive(Debug, Clone, Copy)]
pub struct Fronted<'a> {
    /// Tells it from others of the same program in one run.
    pub name: &'a str,
    pub upstream: SocketAddr,
    pub keeps: Keeps,
    pub mib: u64,
}

/// What it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Every 200, for an hour, whatever the upstream says of it: a node keeps pages that browsers must ask for anew.
    Everything,
    /// What the upstream's `Cache-Control` allows.
    AsSaid,
    /// Every 200 for a second, and what it was before for as long as it is being fetched again.
    ForASecond,
}

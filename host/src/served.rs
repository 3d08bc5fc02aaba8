//! An app at a node: which of its releases is served, and why a newer one is not.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use nearside_protocol::release::ReleaseId;
use tokio::sync::watch;

use crate::{credit::Credit, release::Release, verified::Verified};

/// An app at this node: the pointer to its current release.
pub struct Served {
    pub name: String,
    pub(crate) current: ArcSwapOption<Release>,
    pub(crate) switched: watch::Sender<Option<ReleaseId>>,
    /// Held by who switches.
    pub(crate) switching: Mutex<()>,
    /// For responses that nobody waits for.
    pub(crate) credit: Credit,
    not_served: Mutex<Option<NotServed>>,
    verified: Mutex<Verified>,
    /// What responses say of how much they may be behind; nothing while that is little.
    pub(crate) behind_header: ArcSwapOption<HeaderValue>,
}

/// A newer release that did not become the one that is served.
#[derive(Clone, Debug)]
pub struct NotServed {
    pub release: ReleaseId,
    /// The refusal's name, where it is refused for good.
    pub reason: Option<&'static str>,
    pub why: String,
}

impl Served {
    pub(crate) fn new(name: &str) -> Arc<Served> {
        Arc::new(Served {
            name: name.to_owned(),
            current: ArcSwapOption::empty(),
            switched: watch::Sender::new(None),
            switching: Mutex::default(),
            credit: Credit::default(),
            not_served: Mutex::default(),
            verified: Mutex::default(),
            behind_header: ArcSwapOption::empty(),
        })
    }

    pub fn current(&self) -> Option<Arc<Release>> {
        self.current.load_full()
    }

    /// Why a newer one is not.
    pub(crate) fn not_served(&self) -> MutexGuard<'_, Option<NotServed>> {
        self.not_served.lock().expect("BUG: nothing panics while holding it")
    }

    pub(crate) fn verified(&self) -> MutexGuard<'_, Verified> {
        self.verified.lock().expect("BUG: nothing panics while holding it")
    }

    pub(crate) fn behind_at_most(&self) -> Option<Duration> {
        let current = self.current()?;
        Some(self.verified().behind_at_most(current.manifest.created_at_ms, Instant::now()))
    }

    /// What a response says of how much it may be behind.
    pub fn behind_header(&self) -> Option<HeaderValue> {
        self.behind_header.load().as_deref().cloned()
    }

    /// Tells of each switch.
    pub fn switched(&self) -> watch::Receiver<Option<ReleaseId>> {
        self.switched.subscribe()
    }
}

//! A node among others: what its operator declares of it, and what the origin last said of its siblings.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use nearside_protocol::heartbeat::{Declared, Sibling, Siblings};
use tokio::sync::{Notify, watch};

use crate::{counts::answered::Answered, sibling_keys::SiblingKeys};

pub struct InFleet {
    /// Of this process, and of no other.
    process: String,
    declared: OnceLock<(Declared, Option<Duration>)>,
    pub answered: Answered,
    siblings: ArcSwapOption<Heard>,
    pub keys: SiblingKeys,
    has_heard: watch::Sender<bool>,
    /// Something is worth telling the origin at once.
    news: Notify,
}

/// The origin's word on siblings, and when it was given.
pub(crate) struct Heard {
    pub(crate) siblings: Siblings,
    pub(crate) at: Instant,
}

impl Default for InFleet {
    fn default() -> InFleet {
        let mut chance = [0; 16];
        getrandom::fill(&mut chance).expect("BUG: an operating system without randomness cannot serve");
        InFleet {
            process: chance.iter().map(|byte| format!("{byte:02x}")).collect(),
            declared: OnceLock::new(),
            answered: Answered::default(),
            siblings: ArcSwapOption::empty(),
            keys: SiblingKeys::default(),
            has_heard: watch::Sender::new(false),
            news: Notify::new(),
        }
    }
}

impl InFleet {
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Called once, before anything is served. A release that may be further behind than `max_staleness` makes the node unready.
    pub fn declare(&self, declared: Declared, max_staleness: Option<Duration>) {
        let _ = self.declared.set((declared, max_staleness));
    }

    pub fn declared(&self) -> Declared {
        self.declared.get().map(|(declared, _)| declared.clone()).unwrap_or_default()
    }

    pub fn max_staleness(&self) -> Option<Duration> {
        self.declared.get().and_then(|(_, most)| *most)
    }

    /// Takes the origin's word.
    pub fn heard(&self, mut siblings: Siblings) {
        if let Some(secret) = siblings.secret.take() {
            self.keys.heard(secret, Instant::now());
        }
        self.has_heard.send_replace(true);
        self.siblings.store(Some(Arc::new(Heard { siblings, at: Instant::now() })));
    }

    /// Until the origin has said something, so that siblings know this node.
    pub(crate) async fn first_word(&self) {
        let _ = self.has_heard.subscribe().wait_for(|has_heard| *has_heard).await;
    }

    pub(crate) fn last_word(&self) -> Option<Arc<Heard>> {
        self.siblings.load_full()
    }

    /// What the origin said last of the other nodes, the nearest first; it stands while the origin is away, and says how old it
    /// is by now.
    pub fn siblings(&self) -> Vec<Sibling> {
        let heard = self.siblings.load();
        let Some(heard) = heard.as_deref() else { return Vec::new() };
        let since_ms = heard.at.elapsed().as_millis() as u64;
        let aged = |sibling: &Sibling| Sibling {
            heard_ms_ago: sibling.heard_ms_ago.saturating_add(since_ms),
            ..sibling.clone()
        };
        heard.siblings.siblings.iter().map(aged).collect()
    }

    pub(crate) fn has_news(&self) {
        self.news.notify_one();
    }

    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }
}

//! By what nodes know each other: the origin tells it with its answers to heartbeats, and another one every so often. They do not
//! all hear of it at once, so the one before is taken for a while.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use http::HeaderMap;
use nearside_protocol::{
    hand_over::{Seal, SealKey},
    heartbeat::SiblingSecret,
    limits,
};

use crate::credential::Credential;

#[derive(Default)]
pub struct SiblingKeys {
    known: ArcSwap<Known>,
    /// What this node shows to siblings.
    pass: Credential,
}

#[derive(Default)]
struct Known {
    now: Option<Arc<Key>>,
    before: Option<(Arc<Key>, Instant)>,
}

struct Key {
    secret: SiblingSecret,
    seal: SealKey,
    pass: Credential,
}

impl SiblingKeys {
    pub(crate) fn heard(&self, secret: SiblingSecret, at: Instant) {
        let known = self.known.load();
        if known.now.as_ref().is_some_and(|now| now.secret == secret) {
            return;
        }
        let pass = secret.pass();
        self.pass.set(&pass);
        let key = Key { seal: SealKey::of_secret(&secret), pass: Credential::of(&pass), secret };
        let before = known.now.clone().map(|before| (before, at + limits::SIBLING_SECRET_GRACE));
        self.known.store(Arc::new(Known { now: Some(Arc::new(key)), before }));
    }

    /// What siblings are shown; it changes by itself.
    pub fn pass(&self) -> &Credential {
        &self.pass
    }

    /// What to seal with; none before the origin was heard.
    pub(crate) fn seal(&self) -> Option<SealKey> {
        self.known.load().now.as_ref().map(|key| key.seal.clone())
    }

    /// The key that a question is sealed with, if it is one of a sibling's.
    pub(crate) fn sealed(&self, body: &[u8], shown: &Seal, at: Instant) -> Option<SealKey> {
        self.taken(at).map(|key| key.seal.clone()).find(|seal| seal.of_question(body) == *shown)
    }

    /// Whether a sibling asks.
    pub(crate) fn are_shown_by(&self, headers: &HeaderMap, at: Instant) -> bool {
        self.taken(at).any(|key| key.pass.is_shown_by(headers))
    }

    fn taken(&self, at: Instant) -> impl Iterator<Item = Arc<Key>> {
        let known = self.known.load();
        let before = known.before.as_ref().filter(|(_, until)| at < *until).map(|(key, _)| key.clone());
        known.now.clone().into_iter().chain(before)
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn the_one_before_is_taken_for_a_while() {
        let keys = SiblingKeys::default();
        let (began, body) = (Instant::now(), b"question");
        let secret = |text: &str| SiblingSecret(text.into());
        let seal = |text: &str| SealKey::of_secret(&secret(text)).of_question(body);
        let showing = |text: &str| {
            let value = format!("Bearer {}", secret(text).pass()).parse().unwrap();
            [(header::AUTHORIZATION, value)].into_iter().collect::<HeaderMap>()
        };
        assert!(keys.seal().is_none() && !keys.are_shown_by(&showing(""), began));
        keys.heard(secret("one"), began);
        keys.heard(secret("two"), began);
        // The same again is no news.
        keys.heard(secret("two"), began + limits::SIBLING_SECRET_GRACE / 2);
        let is_taken = |text: &str, at| {
            let taken = keys.sealed(body, &seal(text), at).is_some();
            assert_eq!(taken, keys.are_shown_by(&showing(text), at), "{text}");
            taken
        };
        let after = began + limits::SIBLING_SECRET_GRACE;
        assert!(is_taken("one", began) && is_taken("two", began) && !is_taken("three", began));
        assert!(!is_taken("one", after) && is_taken("two", after));
        assert_eq!(keys.seal().unwrap().of_question(body), seal("two"));
        assert_eq!(keys.pass().header().unwrap(), showing("two")[header::AUTHORIZATION]);
    }
}

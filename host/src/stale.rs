//! Pages that are not right any more, and may be shown for a moment: where their route says so by `stale_ms`, while the right
//! one is made.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::HeaderMap;

use crate::{cache::Entry, cache_status::Cause, freshness::receipt_of, release::Release};

/// What the cache has of a page that it cannot answer with.
pub(crate) enum Before {
    Nothing,
    /// Its questions are to be asked again.
    InDoubt(Arc<Entry>),
    Wrong(Arc<Entry>, Cause),
}

/// The page as it was, and since when it is not right any more; if it may be shown on this release.
///
/// Never to a visitor who shows a receipt: they have written, and are to see no less. Never what another version of the app
/// made, whose links and forms may lead nowhere by now. Never what its handler said is over.
pub(crate) fn may_be_shown(
    before: &Before,
    release: &Release,
    route: usize,
    headers: &HeaderMap,
) -> Option<(Arc<Entry>, Duration)> {
    let most = Duration::from_millis(release.code.app.routes[route].stale_ms);
    let entry = match before {
        Before::InDoubt(entry) => entry,
        Before::Wrong(entry, Cause::TooMuchToAsk | Cause::Fingerprint) => entry,
        Before::Wrong(..) | Before::Nothing => return None,
    };
    if most.is_zero() || receipt_of(headers).is_some() || entry.is_expired() {
        return None;
    }
    let since = release.past.touched_at(&entry.evidence, entry.right_until.load(Ordering::Acquire))?.elapsed();
    (since < most).then(|| (entry.clone(), since))
}

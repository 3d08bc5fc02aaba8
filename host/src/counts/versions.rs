//! The counts of each app, by version. They go on from release to release while the version stands, so that what a query
//! costs is told apart by the app, schema and settings it ran with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use nearside_protocol::{
    limits,
    query_report::{Counts, VersionCounted},
};

use super::AppCounts;
use crate::release::Release;

#[derive(Default)]
pub struct Versions(Mutex<BTreeMap<String, OfApp>>);

#[derive(Default)]
struct OfApp {
    /// Old to new.
    versions: Vec<Arc<AppCounts>>,
    /// Of versions that are gone, so that what monitoring reads never goes back.
    before: Counts,
}

impl Versions {
    /// The counts that a release which is about to be served goes on with.
    pub fn of(&self, release: &Release) -> Arc<AppCounts> {
        let mut apps = self.apps();
        let OfApp { versions, before } = apps.entry(release.code.app.name.clone()).or_default();
        let same = |counts: &&Arc<AppCounts>| {
            counts.fingerprint == release.manifest.fingerprint
                && counts.canary_ms == release.counts.canary_ms
                && counts.queries.iter().map(|(name, _)| name).eq(release.queries.keys().take(limits::QUERIES_COUNTED))
        };
        if let Some(counts) = versions.last().filter(same) {
            return counts.clone();
        }
        versions.push(release.counts.clone());
        while versions.len() > limits::VERSIONS_COUNTED {
            before.add(&versions.remove(0).counts());
            forget_more_than(before, limits::QUERIES_COUNTED, versions);
        }
        release.counts.clone()
    }

    /// All that was counted of each app since the node started.
    pub fn totals(&self) -> BTreeMap<String, Counts> {
        let total = |OfApp { versions, before }: &OfApp| {
            versions.iter().fold(before.clone(), |mut total, version| {
                total.add(&version.counts());
                total
            })
        };
        self.apps().iter().map(|(app, of)| (app.clone(), total(of))).collect()
    }

    /// What the origin is told of each app.
    pub(super) fn told(&self) -> BTreeMap<String, Vec<VersionCounted>> {
        let apps = self.apps();
        apps.iter().map(|(app, of)| (app.clone(), of.versions.iter().map(|version| version.told()).collect())).collect()
    }

    fn apps(&self) -> MutexGuard<'_, BTreeMap<String, OfApp>> {
        self.0.lock().expect("BUG: nothing panics while holding the counts")
    }
}

/// An app whose queries have other names with each version would leave more and more of them behind.
fn forget_more_than(before: &mut Counts, most: usize, versions: &[Arc<AppCounts>]) {
    let named = |name: &String| versions.iter().any(|version| version.queries.iter().any(|(known, _)| known == name));
    let gone: Vec<String> = before.queries.keys().filter(|name| !named(name)).cloned().collect();
    let surplus = before.queries.len().saturating_sub(most);
    gone.iter().take(surplus).for_each(|name| drop(before.queries.remove(name)));
}

//! How far a pull has come, for `status` and, where it takes long, the log.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nearside_protocol::{release::ReleaseId, status::Pulling};
use tokio::sync::watch;

/// What a longer pull says of itself, and how often.
const TELL_EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    app: String,
    release: ReleaseId,
    started: Instant,
    of_bytes: AtomicU64,
    bytes: AtomicU64,
    /// How often it has come nearer.
    steps: AtomicU64,
    told: Mutex<Instant>,
}

/// How far a pull is, for those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HowFar {
    pub steps: u64,
    /// Nothing is awaited from anybody else.
    pub has_all: bool,
}

impl Progress {
    pub fn begin(app: &str, release: ReleaseId) -> Arc<Progress> {
        let now = Instant::now();
        Arc::new(Progress {
            app: app.to_owned(),
            release,
            started: now,
            of_bytes: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            told: Mutex::new(now),
        })
    }

    /// Begins anew, with a way of so many bytes.
    pub fn expect(&self, bytes: u64) {
        self.bytes.store(0, Ordering::Relaxed);
        self.of_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Somebody who is asked for it says that it is on its way there.
    pub(crate) fn comes_nearer(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn how_far(&self) -> HowFar {
        let has_all = self.bytes.load(Ordering::Relaxed) >= self.of_bytes.load(Ordering::Relaxed);
        HowFar { steps: self.steps.load(Ordering::Relaxed), has_all }
    }

    pub fn came(&self, bytes: usize) {
        self.comes_nearer();
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut told = self.told.lock().expect("BUG: nothing panics while holding it");
        if told.elapsed() < TELL_EVERY {
            return;
        }
        *told = Instant::now();
        drop(told);
        let Pulling { release, bytes, of_bytes, bytes_per_s, seconds_left } = self.status();
        let seconds_left = seconds_left.map_or("?".to_owned(), |seconds| seconds.to_string());
        tracing::info!(app = self.app, %release, bytes, of_bytes, bytes_per_s, seconds_left, "pulling");
    }

    pub fn status(&self) -> Pulling {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let of_bytes = self.of_bytes.load(Ordering::Relaxed).max(bytes);
        let bytes_per_s = (bytes as f64 / self.started.elapsed().as_secs_f64().max(0.001)) as u64;
        let seconds_left = (of_bytes - bytes).checked_div(bytes_per_s);
        Pulling { release: self.release, bytes, of_bytes, bytes_per_s, seconds_left }
    }
}

/// The pulls under way, by app, and what all of them brought.
#[derive(Default)]
pub struct Pulls {
    under_way: Mutex<BTreeMap<String, Arc<Progress>>>,
    /// Told when one begins or ends.
    changed: watch::Sender<()>,
    bytes: AtomicU64,
}

impl Pulls {
    pub fn begin(&self, app: &str, release: ReleaseId) -> (Arc<Progress>, UnderWay<'_>) {
        let progress = Progress::begin(app, release);
        let mut under_way = self.under_way.lock().expect("BUG: nothing panics while holding the pulls");
        under_way.insert(app.to_owned(), progress.clone());
        drop(under_way);
        self.changed.send_replace(());
        (progress, UnderWay { pulls: self, app: app.to_owned() })
    }

    /// Is told when a pull begins or ends.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Nothing where no pull of this app is under way.
    pub(crate) fn how_far(&self, app: &str) -> Option<HowFar> {
        let under_way = self.under_way.lock().expect("BUG: nothing panics while holding the pulls");
        under_way.get(app).map(|progress| progress.how_far())
    }

    pub fn came(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All that ever came from others.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn status(&self) -> BTreeMap<String, Pulling> {
        let under_way = self.under_way.lock().expect("BUG: nothing panics while holding the pulls");
        under_way.iter().map(|(app, progress)| (app.clone(), progress.status())).collect()
    }
}

/// Takes a pull off the list however it ends.
pub struct UnderWay<'a> {
    pulls: &'a Pulls,
    app: String,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.pulls.under_way.lock().expect("BUG: nothing panics while holding the pulls").remove(&self.app);
        self.pulls.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_listed_until_it_ends() {
        let pulls = Pulls::default();
        let release = ReleaseId { epoch: 1, seq: 2 };
        let (progress, under_way) = pulls.begin("shop", release);
        progress.expect(100);
        progress.came(40);
        assert_eq!(pulls.how_far("shop"), Some(HowFar { steps: 1, has_all: false }));
        let status = &pulls.status()["shop"];
        assert_eq!((status.bytes, status.of_bytes, status.release), (40, 100, release));
        // More than was said is no reason to be 140 % done.
        progress.came(100);
        assert_eq!(pulls.status()["shop"].of_bytes, 140);
        drop(under_way);
        assert!(pulls.status().is_empty() && pulls.how_far("shop").is_none());
    }
}

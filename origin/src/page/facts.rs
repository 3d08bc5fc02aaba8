//! What there is to show, gathered at most once in a while however many look.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_protocol::{
    action::Action,
    fleet::Fleet,
    limits,
    query_report::{Advice, QueryShown, Window},
    status::OriginApp,
    task_report::{Kind, TaskInfo},
    wire::{ReleaseInfo, Releases},
};
use tokio::sync::Mutex;

use crate::{api, origin::Origin, site::Site, tasks::report::Asked};

pub(super) struct Facts {
    pub(super) fleet: Fleet,
    pub(super) apps: Vec<AppFacts>,
    /// New to old.
    pub(super) actions: Vec<Action>,
}

pub(super) struct AppFacts {
    pub(super) name: String,
    pub(super) status: OriginApp,
    pub(super) releases: Releases,
    pub(super) kinds: BTreeMap<String, Kind>,
    /// The oldest of them.
    pub(super) dead: Vec<TaskInfo>,
    pub(super) queries: Arc<Slow>,
    pub(super) advice: Option<Arc<Advice>>,
}

/// The queries that took most time in the last hour, the worst first.
#[derive(Default)]
pub(super) struct Slow {
    pub(super) worst: Vec<QueryShown>,
    /// Of all of them, in nanoseconds.
    pub(super) time_ns: u64,
}

#[derive(Default)]
pub(super) struct Gatherer {
    facts: Mutex<Option<(Instant, Arc<Facts>)>>,
    slow: Mutex<BTreeMap<String, (Instant, Arc<Slow>)>>,
    advice: Mutex<BTreeMap<String, Arc<Advice>>>,
}

/// Facts that are this old are as good as new.
const FRESH: Duration = Duration::from_millis(limits::FLEET_PAGE_EVERY.as_millis() as u64 * 4 / 5);

impl Gatherer {
    pub(super) async fn facts(&self, origin: &Origin) -> Arc<Facts> {
        let mut kept = self.facts.lock().await;
        if let Some((_, facts)) = kept.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return facts.clone();
        }
        let mut apps = Vec::new();
        for (name, site) in origin.sites() {
            apps.push(self.app(name, &site).await);
        }
        let actions = origin.newest_actions(limits::FLEET_PAGE_ACTIONS).await.unwrap_or_default();
        let facts = Arc::new(Facts { fleet: origin.fleet(), apps, actions });
        *kept = Some((Instant::now(), facts.clone()));
        facts
    }

    /// Something was done: who looks next is to see it.
    pub(super) async fn forget(&self) {
        *self.facts.lock().await = None;
    }

    pub(super) async fn advised(&self, advice: Advice) {
        self.advice.lock().await.insert(advice.app.clone(), Arc::new(advice));
    }

    async fn app(&self, name: String, site: &Arc<Site>) -> AppFacts {
        let asked = Asked { state: Some("dead".into()), limit: Some(limits::FLEET_PAGE_DEAD), ..Asked::default() };
        // What cannot be read is left out here; `status` says why nothing runs.
        let tasks = site.tasks(asked).await.ok().flatten();
        let (kinds, dead) = tasks.map(|tasks| (tasks.kinds, tasks.tasks)).unwrap_or_default();
        let mut releases = api::releases::list(site);
        releases.releases = worth_going_back_to(releases.releases);
        let advice = self.advice.lock().await.get(&name).cloned();
        AppFacts {
            status: site.status().await,
            releases,
            kinds,
            dead,
            queries: self.slow(&name, site).await,
            advice,
            name,
        }
    }

    async fn slow(&self, name: &str, site: &Arc<Site>) -> Arc<Slow> {
        let mut kept = self.slow.lock().await;
        if let Some((at, slow)) = kept.get(name)
            && at.elapsed() < limits::FLEET_QUERIES_EVERY
        {
            return slow.clone();
        }
        let report = api::queries::report(site, Window::Hour, None).await;
        let mut worst = report.map(|report| report.queries).unwrap_or_default();
        worst.retain(|query| time_ns(query) > 0);
        worst.sort_by_key(|query| std::cmp::Reverse(time_ns(query)));
        let time_ns = worst.iter().map(time_ns).sum();
        worst.truncate(limits::FLEET_PAGE_QUERIES);
        let slow = Arc::new(Slow { worst, time_ns });
        kept.insert(name.to_owned(), (Instant::now(), slow.clone()));
        slow
    }
}

/// Of releases for everyone, new to old: the newest, and the last of each version of the app before. Data may be released every second, and
/// nobody goes back by that.
fn worth_going_back_to(releases: Vec<ReleaseInfo>) -> Vec<ReleaseInfo> {
    const NEWEST: usize = 4;
    let mut newer = None;
    let mut worth = Vec::new();
    let for_everyone = releases.into_iter().filter(|release| release.candidate.is_none());
    for (at, release) in for_everyone.enumerate() {
        let is_last_of_version = newer.replace(release.app_digest) != Some(release.app_digest);
        if at < NEWEST || is_last_of_version || release.rolled_back_to.is_some() {
            worth.push(release);
        }
    }
    worth.truncate(limits::FLEET_PAGE_RELEASES);
    worth
}

pub(super) fn time_ns(query: &QueryShown) -> u64 {
    query.counts.rendering.time_ns.saturating_add(query.counts.again.time_ns)
}

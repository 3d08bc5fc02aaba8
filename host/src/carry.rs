//! Carried over a push: before a release is served, what visitors ask for most is made right for it, so that they do not
//! meet a cold page because somebody wrote a row.
//!
//! Entries whose pages are untouched stand. Of the others, those that
//! have answered lately are asked again, and rendered if an answer differs, the hottest first, of these the dearest, until the
//! time is over, or what visitors earned is spent (`credit.rs`). The rest is made when somebody asks, one render each; or, after
//! the switch, when there is nothing better to do.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use http::HeaderMap;
use http_body_util::Full;
use nearside_protocol::{
    limits,
    route::{Inputs, Method},
};

use crate::{
    again::ask_again,
    cache::{Because, Entry, Joined},
    cache_status::Cause,
    code::Found,
    host::Host,
    inputs::{Key, Seen},
    making,
    past::Verdict,
    release::Release,
    render::{Ask, For, render},
    served::Served,
    spans::within,
    trace::trace_id,
    way::canonical_host,
};

/// What became of an app's entries at one switch, or at all of them.
#[derive(Default, Debug)]
pub struct Carried {
    /// None of their pages was changed.
    pages: AtomicU64,
    /// Some were, and the answers are the same.
    same_rows: AtomicU64,
    rendered_ahead: AtomicU64,
    /// Left for who asks,
    on_demand: AtomicU64,
    /// and of those, made before anybody did.
    afterwards: AtomicU64,
}

impl Carried {
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        [
            ("pages_untouched", &self.pages),
            ("same_rows", &self.same_rows),
            ("rendered_ahead", &self.rendered_ahead),
            ("on_demand", &self.on_demand),
            ("afterwards", &self.afterwards),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    pub(crate) fn add(&self, other: &Carried) {
        for (mine, theirs) in [
            (&self.pages, &other.pages),
            (&self.same_rows, &other.same_rows),
            (&self.rendered_ahead, &other.rendered_ahead),
            (&self.on_demand, &other.on_demand),
            (&self.afterwards, &other.afterwards),
        ] {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// An entry that may not be right for the coming release.
pub(crate) struct Candidate {
    key: Key,
    entry: Arc<Entry>,
    verdict: Verdict,
    /// How often it has answered lately.
    hits: u32,
}

/// Makes entries right for `release`, which is not served yet. They are in its `ahead` then. Blocks, for a moment. Gives what is
/// left to be done.
pub(crate) fn carry(host: &Arc<Host>, served: &Arc<Served>, release: &Arc<Release>) -> (Arc<Carried>, Vec<Candidate>) {
    let started = Instant::now();
    let by = started + limits::CARRY_TIME;
    let carried = Arc::new(Carried::default());
    let mut all: Vec<_> =
        host.cache.of_app(&release.code.app.name).into_iter().map(|(key, entry)| (aged(&entry), key, entry)).collect();
    all.retain(|(_, _, entry)| !entry.is_expired());
    // What is asked for a hundred times as often is not asked for later because it renders in a tenth of the time.
    all.sort_unstable_by_key(|(hits, _, entry)| std::cmp::Reverse((*hits, entry.took)));
    let (mut untouched, mut candidates) = (Vec::new(), Vec::new());
    // What this does not come to is judged when somebody asks for it.
    let not_judged = until(started + limits::CARRY_JUDGE_TIME, all, |(hits, key, entry)| {
        match release.past.judge(&entry.evidence, entry.right_until.load(Ordering::Acquire)) {
            Verdict::Untouched => untouched.push(entry),
            verdict => candidates.push(Candidate { key, entry, verdict, hits }),
        }
    });
    carried.pages.store(untouched.len() as u64, Ordering::Relaxed);
    release.ahead.stand(untouched);
    let touched = candidates.len();
    candidates.truncate(limits::CARRY_ENTRIES);
    let cold = candidates.split_off(candidates.partition_point(|candidate| candidate.hits > 0));
    let mut left = match candidates.is_empty() {
        true => Vec::new(),
        false => make_right(host, served, release, candidates, &carried, by),
    };
    left.extend(cold);
    let [(_, pages), (_, same_rows), (_, rendered_ahead), ..] = carried.counts();
    let on_demand = (touched as u64).saturating_sub(same_rows + rendered_ahead);
    carried.on_demand.store(on_demand, Ordering::Relaxed);
    if pages + touched as u64 + not_judged as u64 > 0 {
        tracing::info!(
            app = %release.code.app.name,
            release = %release.manifest.release,
            pages_untouched = pages,
            same_rows,
            rendered_ahead,
            on_demand,
            not_judged,
            took_ms = started.elapsed().as_millis() as u64,
            "responses carried over"
        );
    }
    (carried, left)
}

/// After the switch: what is left, a little at a time, as long as the release is served and nobody else wants the room. What
/// nobody has asked for lately comes last, and not while one release chases the other: the next may undo it before anybody asks.
pub(crate) async fn afterwards(host: Arc<Host>, served: Arc<Served>, release: Arc<Release>, left: Vec<Candidate>) {
    let is_served = || served.current().is_some_and(|current| Arc::ptr_eq(&current, &release));
    let stands_from = tokio::time::Instant::now() + limits::CARRY_COLD_AFTER;
    let mut switches = served.switched.subscribe();
    let mut worked = Duration::ZERO;
    for candidate in left {
        if candidate.hits == 0 && tokio::time::timeout_at(stands_from, switches.changed()).await.is_ok() {
            return;
        }
        if worked >= limits::CARRY_AFTERWARDS_WORK {
            tokio::time::sleep(worked * limits::CARRY_AFTERWARDS_REST).await;
            worked = Duration::ZERO;
        }
        while !served.credit.is_left(release.counts.demand()) {
            if !is_served() {
                return;
            }
            tokio::time::sleep(limits::CARRY_AFTERWARDS_WAIT).await;
        }
        if !is_served() {
            return;
        }
        // Whoever asks meanwhile waits for this one.
        let Joined::Leads(lead) = host.cache.join(&candidate.key, &release) else { continue };
        let started = Instant::now();
        if one(&host, &release, &candidate, started + limits::CARRY_TIME).await.is_some() {
            host.carried().afterwards.fetch_add(1, Ordering::Relaxed);
        }
        drop(lead);
        served.credit.spend(started.elapsed());
        worked += started.elapsed();
    }
}

/// Does this with one after the other until then. Gives how many it did not come to.
fn until<T>(by: Instant, all: Vec<T>, mut work: impl FnMut(T)) -> usize {
    let mut all = all.into_iter();
    while Instant::now() < by
        && let Some(one) = all.next()
    {
        work(one);
    }
    all.len()
}

/// How often it has answered lately: each push halves what was.
fn aged(entry: &Entry) -> u32 {
    let hits = entry.hits.load(Ordering::Relaxed);
    entry.hits.fetch_sub(hits - hits / 2, Ordering::Relaxed);
    hits
}

/// A few at once, until all are done or the time is over. What is under way then is given up. Gives those it did not come to.
fn make_right(
    host: &Arc<Host>,
    served: &Arc<Served>,
    release: &Arc<Release>,
    candidates: Vec<Candidate>,
    carried: &Arc<Carried>,
    by: Instant,
) -> Vec<Candidate> {
    let at_once = limits::CARRY_AT_ONCE.min(host.cores().div_ceil(2)).min(candidates.len());
    let candidates = Arc::new(Mutex::new(candidates.into_iter()));
    let (tell_done, done) = mpsc::channel::<()>();
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (host, served, release) = (host.clone(), served.clone(), release.clone());
            let (carried, candidates, tell_done) = (carried.clone(), candidates.clone(), tell_done.clone());
            host.clone().spawn(async move {
                let next = || candidates.lock().expect("BUG: nothing panics while taking the next one").next();
                while Instant::now() < by && served.credit.is_left(release.counts.demand()) {
                    let Some(candidate) = next() else { break };
                    let started = Instant::now();
                    match one(&host, &release, &candidate, by).await {
                        Some(Made::SameRows) => carried.same_rows.fetch_add(1, Ordering::Relaxed),
                        Some(Made::Rendered) => carried.rendered_ahead.fetch_add(1, Ordering::Relaxed),
                        None => 0,
                    };
                    served.credit.spend(started.elapsed());
                }
                drop(tell_done);
            })
        })
        .collect();
    drop(tell_done);
    // Nobody tells anything: the last of them hangs up.
    let _ = done.recv_timeout(by.saturating_duration_since(Instant::now()));
    workers.iter().for_each(|worker| worker.abort());
    let mut left = candidates.lock().expect("BUG: nothing panics while taking the next one");
    std::iter::from_fn(|| left.next()).collect()
}

/// How one was made right.
enum Made {
    SameRows,
    Rendered,
}

/// Makes one right, unless it takes too long, may not be kept, or a visitor needs the place.
async fn one(host: &Arc<Host>, release: &Arc<Release>, candidate: &Candidate, by: Instant) -> Option<Made> {
    let Candidate { key, entry, verdict, hits } = candidate;
    let because = match verdict {
        Verdict::OtherApp => Because::of(Cause::OtherApp),
        Verdict::Touched | Verdict::AllTouched => match ask_again(release, entry) {
            Ok(confirmed) => {
                host.store(release, key, &Arc::new(confirmed));
                return Some(Made::SameRows);
            }
            Err(because) => because,
        },
        Verdict::Untouched => return None,
    };
    let left = by.saturating_duration_since(Instant::now());
    let (route, seen) = asked(release, key).filter(|_| entry.took < left)?;
    let shown = release.shows(because.cause, route).map(|span| span.with("nearside.for_nobody_yet", true));
    let ask = Ask {
        whom: For::Nobody,
        release: release.clone(),
        route,
        request: seen.request(canonical_host(release), Full::default()),
        request_key: None,
        trace: trace_id(&HeaderMap::new()),
        traced: within(&shown),
        depth: 0,
        streams: false,
        place: Some(host.spare_place()?),
    };
    let rendered = tokio::time::timeout(left, render(host, ask)).await.ok()?.ok()?;
    let made = making::Made::of(rendered, release.clone(), route, because);
    let entry = made.entry.filter(|_| made.verdict.is_ok())?;
    entry.hits.store(hits / 2, Ordering::Relaxed);
    host.store(release, key, &entry);
    Some(Made::Rendered)
}

/// The request that a key stands for, if on this release it still is the key of just that request.
fn asked(release: &Release, key: &Key) -> Option<(usize, Seen)> {
    let seen = key.seen();
    if release.code.moved(&seen.target).is_some() {
        return None;
    }
    let Found::Route(route) = release.code.find(&seen.target.path, Method::Get) else { return None };
    let Inputs::Declared(declared) = &release.code.app.routes[route].inputs else { return None };
    seen.is_as_declared(declared).then_some((route, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_time_for_is_left() {
        let (now, far) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        let mut done = Vec::new();
        assert_eq!((until(far, vec![1, 2, 3], |one| done.push(one)), done.len()), (0, 3));
        assert_eq!(until(now, vec![1, 2, 3], |_| panic!("there is no time")), 3);
        let slow = |_| std::thread::sleep(Duration::from_millis(40));
        assert!((1..=2).contains(&until(Instant::now() + Duration::from_millis(20), vec![1, 2, 3], slow)));
    }
}

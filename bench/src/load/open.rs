//! Open loop: requests leave at their scheduled times whatever the server does, and a latency is measured from the
//! time a request was *meant* to be sent. A server that stalls is charged for everyone who would have come meanwhile
//! (no coordinated omission).

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::arrivals::Arrivals;
use super::timer::Timer;
use super::{Crew, Judging, Note, Plan, Schedule, Verdict, Worker, each, phase};
use crate::limits::OVERLOAD_NICE;
use crate::percentile::percentile;

#[derive(Debug, Clone, Copy)]
pub struct Open {
    pub requests: u64,
    /// Of those, without the answer that was expected; none where that ends the phase.
    pub failed: u64,
    pub mixed: u64,
    /// Beside `requests`, and not in the latencies.
    pub refused: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    /// How late the generator itself sent, at p99: the part of the latencies that may be its own, or a queue before the
    /// server because every connection was waiting for one.
    pub send_late_p99_us: f64,
}

/// What one connection measured, in nanoseconds.
#[derive(Debug, Default)]
struct Tally {
    latencies_ns: Vec<u64>,
    late_ns: Vec<u64>,
    failed: u64,
    mixed: u64,
    refused: u64,
    notes: Vec<Note>,
}

/// The same with what was noted of each answer, in the order in which the requests were meant to be sent.
pub async fn noted(plan: &Plan, per_second: f64, lasts: Duration) -> Result<(Open, Vec<Note>)> {
    noting(Judging::Noted, plan, per_second, lasts, None).await
}

/// The same of visitors who are gone, and count as failed, when nobody has taken their request for so long. Without that a load
/// of several times what can be answered lasts several times as long.
pub async fn impatient(plan: &Plan, per_second: f64, lasts: Duration, patience: Duration) -> Result<(Open, Vec<Note>)> {
    noting(Judging::Noted, plan, per_second, lasts, Some(patience)).await
}

/// The same as visitors ask: what a form leads to, too.
pub async fn visited(plan: &Plan, per_second: f64, lasts: Duration) -> Result<(Open, Vec<Note>)> {
    noting(Judging::Visiting, plan, per_second, lasts, None).await
}

async fn noting(
    judging: Judging,
    plan: &Plan,
    per_second: f64,
    lasts: Duration,
    patience: Option<Duration>,
) -> Result<(Open, Vec<Note>)> {
    let plan = Plan { judging, ..plan.clone() };
    let mut tally = tallied(&plan, per_second, lasts, patience).await?;
    let mut notes = std::mem::take(&mut tally.notes);
    notes.sort_by_key(|note| note.at);
    Ok((summed(tally)?, notes))
}

pub async fn open(plan: &Plan, per_second: f64, lasts: Duration) -> Result<Open> {
    summed(tallied(plan, per_second, lasts, None).await?)
}

async fn tallied(plan: &Plan, per_second: f64, lasts: Duration, patience: Option<Duration>) -> Result<Tally> {
    let schedule = Schedule::new(per_second, lasts);
    let ticket = Arc::new(AtomicU64::new(0));
    let tallies = phase(plan, lasts, move |crew| run(crew, schedule, ticket.clone(), patience)).await?;
    let mut all = Tally::default();
    for tally in tallies.into_iter().flatten() {
        all.latencies_ns.extend(tally.latencies_ns);
        all.late_ns.extend(tally.late_ns);
        all.failed += tally.failed;
        all.mixed += tally.mixed;
        all.refused += tally.refused;
        all.notes.extend(tally.notes);
    }
    Ok(all)
}

fn summed(mut all: Tally) -> Result<Open> {
    all.latencies_ns.sort_unstable();
    all.late_ns.sort_unstable();
    let us = |sorted: &[u64], share| {
        percentile(sorted, share).map(|ns| ns as f64 / 1e3).context("no request of an open loop was answered")
    };
    Ok(Open {
        requests: all.latencies_ns.len() as u64,
        failed: all.failed,
        mixed: all.mixed,
        refused: all.refused,
        p50_us: us(&all.latencies_ns, 0.50)?,
        p99_us: us(&all.latencies_ns, 0.99)?,
        max_us: us(&all.latencies_ns, 1.0)?,
        send_late_p99_us: us(&all.late_ns, 0.99)?,
    })
}

async fn run(crew: Crew, schedule: Schedule, ticket: Arc<AtomicU64>, patience: Option<Duration>) -> Result<Vec<Tally>> {
    if patience.is_some() {
        give_way().context("being nice to the other load")?;
    }
    let (arrivals, start) = (Rc::new(Arrivals::default()), crew.start);
    let pacer = tokio::task::spawn_local(pace(schedule, ticket, start, arrivals.clone()));
    let tallies = each(crew.workers, |worker| ask_when_due(worker, arrivals.clone(), start, patience)).await?;
    pacer.await.context("the pacer panicked")??;
    Ok(tallies)
}

/// One for all connections of a thread: a timer for each of them would cost the machine more than the requests do.
async fn pace(schedule: Schedule, ticket: Arc<AtomicU64>, start: Instant, arrivals: Rc<Arrivals>) -> Result<()> {
    let paced = async {
        let timer = Timer::new()?;
        while let Some(at) = schedule.at(ticket.fetch_add(1, Ordering::Relaxed)) {
            timer.until(start + at).await?;
            arrivals.push(start + at);
        }
        Ok(())
    };
    let paced = paced.await;
    arrivals.end();
    paced
}

/// Whichever connection is free takes the next arrival, so a slow answer holds up its own connection and no other.
async fn ask_when_due(
    mut worker: Worker,
    arrivals: Rc<Arrivals>,
    start: Instant,
    patience: Option<Duration>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    while let Some(intended) = arrivals.next().await {
        tally.late_ns.push(nanoseconds(intended, Instant::now()));
        let is_gone = patience.is_some_and(|patience| intended.elapsed() > patience);
        let verdict = if is_gone { Verdict::Failed } else { worker.exchange().await? };
        match verdict {
            Verdict::Good => {}
            Verdict::Failed => tally.failed += 1,
            Verdict::Mixed => tally.mixed += 1,
            Verdict::Refused(_) => tally.refused += 1,
        }
        if !matches!(verdict, Verdict::Refused(_)) {
            tally.latencies_ns.push(nanoseconds(intended, Instant::now()));
        }
        if matches!(worker.judging, Judging::Noted | Judging::Visiting) {
            let failed = verdict != Verdict::Good;
            tally.notes.push(worker.note(start, intended, failed));
            if worker.judging == Judging::Visiting && !failed {
                tally.notes.extend(worker.follow(start).await);
            }
        }
        if worker.stopped() {
            break;
        }
    }
    Ok(tally)
}

fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// A load of more than can be answered is not to delay what is asked beside it, which shows what becomes of others: they are on
/// one core.
fn give_way() -> rustix::io::Result<i32> {
    rustix::process::nice(OVERLOAD_NICE)
}

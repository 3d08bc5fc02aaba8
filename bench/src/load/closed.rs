//! Closed loop: every connection sends its next request as soon as it has its answer. This finds the peak; its
//! latencies mean nothing, because a slow server slows the questions too. Who is refused for now comes again when it was
//! told to, so that as many go on asking as the server takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep_until;

use super::{Crew, Plan, Verdict, Worker, each, phase};

#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// Without those that were refused.
    pub requests: u64,
    pub refused: u64,
    pub seconds: f64,
}

impl Closed {
    pub fn per_second(self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Loads for `lasts`; answers that come later do not count.
pub async fn closed(plan: &Plan, lasts: Duration) -> Result<Closed> {
    let run = move |crew: Crew| async move {
        let end = crew.start + lasts;
        each(crew.workers, |worker| ask_until(worker, end)).await
    };
    let counts = phase(plan, lasts, run).await?;
    let sum = |count: fn(&Count) -> u64| counts.iter().flatten().map(count).sum();
    let (requests, refused) = (sum(|count| count.answered), sum(|count| count.refused));
    Ok(Closed { requests, refused, seconds: lasts.as_secs_f64() })
}

/// Of one connection.
#[derive(Default)]
struct Count {
    answered: u64,
    refused: u64,
}

async fn ask_until(mut worker: Worker, end: Instant) -> Result<Count> {
    let mut count = Count::default();
    loop {
        let verdict = worker.exchange().await?;
        if Instant::now() >= end || worker.stopped() {
            return Ok(count);
        }
        if let Verdict::Refused(again) = verdict {
            count.refused += 1;
            sleep_until(end.min(Instant::now() + again).into()).await;
        } else {
            count.answered += 1;
        }
    }
}

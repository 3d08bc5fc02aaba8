//! Closed loop: every connection sends its next request as soon as it has its answer. This finds the peak; its
//! latencies mean nothing, because a slow server slows the questions too.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Crew, Plan, Worker, each, phase};

#[derive(Debug, Clone, Copy)]
pub struct Closed {
    pub requests: u64,
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
    Ok(Closed { requests: counts.iter().flatten().sum(), seconds: lasts.as_secs_f64() })
}

async fn ask_until(mut worker: Worker, end: Instant) -> Result<u64> {
    let mut answered = 0;
    loop {
        worker.exchange().await?;
        if Instant::now() >= end || worker.stopped() {
            return Ok(answered);
        }
        answered += 1;
    }
}

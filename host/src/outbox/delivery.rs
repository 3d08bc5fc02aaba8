//! Delivering: each app's deferred commands to the origin, in their order, until none waits.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nearside_protocol::{
    limits,
    write::{Deferred, Delivery, Taken},
};
use tokio::{sync::oneshot, task::JoinSet};

use super::{Outbox, Settled, thread::Job, unsure};
use crate::{
    spans::{Kind, Span, within},
    upstream::Upstream,
};

/// What one delivery came to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Went {
    /// There may be more.
    On,
    Nothing,
    /// The origin is away, or cannot take more now.
    Later,
}

/// Delivers what is taken, and finds out what became of what was not answered, as long as the node runs.
pub async fn deliver(outbox: Arc<Outbox>, upstream: Arc<dyn Upstream>, stop: impl Future<Output = ()>) {
    let forever = async {
        let mut again = limits::DELIVERY_AGAIN_FIRST;
        loop {
            let went = round(&outbox, &upstream).await;
            outbox.shared.is_delivering.store(went != Went::Later, Ordering::Relaxed);
            again = match went {
                Went::On => limits::DELIVERY_AGAIN_FIRST,
                Went::Nothing => {
                    outbox.shared.due.notified().await;
                    limits::DELIVERY_AGAIN_FIRST
                }
                Went::Later => tokio::select! {
                    () = wait(again) => (again * 2).min(limits::DELIVERY_AGAIN_MOST),
                    () = outbox.shared.hurried.notified() => limits::DELIVERY_AGAIN_FIRST,
                },
            }
        }
    };
    tokio::select! {
        () = forever => {}
        () = unsure::find_out(&outbox, &upstream) => {}
        () = stop => {}
    }
}

/// One delivery of each app that has something waiting: an app whose commands are slow holds up itself alone.
async fn round(outbox: &Arc<Outbox>, upstream: &Arc<dyn Upstream>) -> Went {
    let mut apps = JoinSet::new();
    for app in outbox.waiting().into_keys() {
        apps.spawn(one(outbox.clone(), upstream.clone(), app));
    }
    let mut went = Went::Nothing;
    while let Some(this) = apps.join_next().await {
        match this.unwrap_or(Went::Later) {
            Went::On => went = Went::On,
            Went::Later if went == Went::Nothing => went = Went::Later,
            _ => {}
        }
    }
    went
}

async fn one(outbox: Arc<Outbox>, upstream: Arc<dyn Upstream>, app: String) -> Went {
    let reader = (outbox.clone(), app.clone());
    let next = tokio::task::spawn_blocking(move || reader.0.reads().next(&reader.1)).await;
    let (oldest, waiting) = match next {
        Ok(Ok((_, waiting))) if waiting.is_empty() => return Went::Nothing,
        Ok(Ok(next)) => next,
        Ok(Err(error)) => {
            tracing::error!(%app, cause = %error, "deferred writes cannot be read");
            return Went::Later;
        }
        Err(_) => return Went::Later,
    };
    let numbers: Vec<u64> = waiting.iter().map(|write| write.n).collect();
    let mut spans: Vec<Option<Span>> = waiting.iter().map(|write| begin_span(&outbox, write)).collect();
    let told = |(write, span): (super::Written, &Option<Span>)| Deferred {
        traced: within(span).map(|traced| traced.context()),
        ..write.deferred()
    };
    let writes = waiting.into_iter().zip(&spans).map(told).collect();
    let delivery = Delivery { outbox: outbox.id().clone(), oldest, writes };
    let taken = match upstream.deliver(&app, delivery).await {
        Ok(delivered) => delivered.taken,
        Err(unreachable) => {
            tracing::debug!(%app, cause = %unreachable, "deferred writes wait");
            // Of many tries the one that was answered is told.
            spans.drain(..).flatten().for_each(Span::discard);
            return Went::Later;
        }
    };
    let mut settled = Vec::new();
    let mut stopped = None;
    end_spans(spans, &taken);
    for (n, taken) in numbers.into_iter().zip(taken) {
        match taken {
            Taken::Settled { outcome } => settled.push((n, Settled::As(outcome))),
            Taken::Forgotten => settled.push((n, Settled::Forgotten)),
            other => {
                stopped = Some(other);
                break;
            }
        }
    }
    let any = !settled.is_empty();
    let recorded = !any || tell(&outbox, |answer| Job::Settle { app: app.clone(), settled, answer }).await;
    match stopped {
        _ if !recorded => Went::Later,
        Some(Taken::Gap { next }) => match tell(&outbox, |answer| Job::Unsettle { app, from: next, answer }).await {
            true => Went::On,
            false => Went::Later,
        },
        Some(Taken::Retry { message }) => {
            tracing::info!(%app, %message, "deferred writes wait");
            Went::Later
        }
        _ => Went::On,
    }
}

fn begin_span(outbox: &Outbox, write: &super::Written) -> Option<Span> {
    let span = outbox.traced(write.traced)?.span(Kind::Client, format!("deliver {}", write.command));
    Some(span.with("nearside.app", write.app.clone()).with("nearside.command", write.command.clone()))
}

/// What was not settled is delivered again.
fn end_spans(spans: Vec<Option<Span>>, taken: &[Taken]) {
    let mut taken = taken.iter();
    for span in spans {
        match (span, taken.next()) {
            (Some(mut span), Some(Taken::Settled { outcome })) => span.set("nearside.outcome", outcome.name()),
            (Some(mut span), Some(Taken::Forgotten)) => span.set("nearside.outcome", "forgotten"),
            (Some(span), _) => span.discard(),
            (None, _) => {}
        }
    }
}

/// Has the outbox's thread record something; false when it could not.
pub(super) async fn tell(outbox: &Outbox, job: impl FnOnce(oneshot::Sender<bool>) -> Job) -> bool {
    let (answer, recorded) = oneshot::channel();
    outbox.jobs.send(job(answer)).await.is_ok() && recorded.await.unwrap_or(false)
}

/// Between half and all of it, so that nodes do not come back all at once.
pub(super) async fn wait(most: Duration) {
    let mut byte = [0_u8; 1];
    getrandom::fill(&mut byte).expect("BUG: an operating system without randomness cannot serve");
    tokio::time::sleep(most / 2 + most / 2 * u32::from(byte[0]) / 255).await;
}

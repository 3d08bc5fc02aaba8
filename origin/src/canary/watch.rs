//! Looking at the canaries: each is promoted, halted, or waits.

use std::{sync::Arc, time::Instant};

use nearside_protocol::limits;

use super::judge::Verdict;
use crate::{actions::Operator, operate::Work, origin::Origin, site::Site};

/// For as long as the origin works.
pub(crate) async fn watch(origin: Arc<Origin>) {
    loop {
        tokio::time::sleep(limits::CANARY_LOOK).await;
        for (name, site) in origin.sites() {
            if site.is_tried() {
                look(&origin, &name, site).await;
            }
        }
    }
}

async fn look(origin: &Arc<Origin>, name: &str, site: Arc<Site>) {
    let now = Instant::now();
    let heard = origin.nodes.heard_of(name, now);
    let looked_at = site.clone();
    // What was seen may have to be written down.
    let verdict = tokio::task::spawn_blocking(move || looked_at.look_at_canary(heard, now)).await.ok().flatten();
    let work = Work { origin, operator: &Operator::origin() };
    let done = match verdict {
        None | Some((_, Verdict::Wait(_))) => return,
        Some((canary_ms, Verdict::Promote(why))) => work.promote(&site, why, Some(canary_ms)).await,
        Some((canary_ms, Verdict::Halt(why))) => work.halt(&site, why, Some(canary_ms)).await,
    };
    if done.is_err() {
        site.canary_again_later(now);
    }
}

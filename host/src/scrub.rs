//! Hashing all kept pages again, slowly, in the background: damage is found while others still have the page, and not by a
//! visitor.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use nearside_protocol::limits::{self, PAGE_BYTES};

use crate::{
    beside::beside,
    pages::Table,
    replica::{AppReplica, Replica},
};

/// Pages between two looks at the time.
const PIECE_PAGES: usize = 64;

/// Scrubs round after round, as long as it is polled.
pub async fn run(replica: Replica) {
    loop {
        for (app, disk) in replica.opened() {
            for (table, numbers) in work(&disk) {
                for piece in numbers.chunks(PIECE_PAGES) {
                    let began = Instant::now();
                    let (table, numbers) = (table.clone(), piece.to_vec());
                    // What is found is told by the table itself.
                    let hash = move || numbers.iter().filter(|number| table.scrub(**number).is_err()).count();
                    let damaged = beside(hash).await.unwrap_or_default();
                    if damaged > 0 {
                        tracing::warn!(app, damaged, "damaged pages were found");
                    }
                    replica.health().checked_pages.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    let bytes = (piece.len() * PAGE_BYTES) as f64;
                    let share = Duration::from_secs_f64(bytes / limits::SCRUB_BYTES_PER_S as f64);
                    tokio::time::sleep(share.saturating_sub(began.elapsed())).await;
                }
            }
        }
        let rounds = replica.health().rounds.fetch_add(1, Ordering::Relaxed) + 1;
        let found = replica.health().status();
        tracing::debug!(
            rounds,
            checked = found.checked_pages,
            damaged = found.damaged_pages,
            "all kept pages were hashed"
        );
        tokio::time::sleep(limits::SCRUB_PAUSE).await;
    }
}

/// The newest release's pages, and of older ones those that are different there.
fn work(disk: &AppReplica) -> Vec<(Arc<Table>, Vec<u32>)> {
    let mut work = Vec::new();
    let mut newer: Option<Arc<Table>> = None;
    for kept in disk.pages().kept().into_iter().rev() {
        let numbers: BTreeSet<u32> = match &newer {
            None => (0..kept.table.pages()).collect(),
            Some(newer) => kept.table.changed_since(newer).into_iter().collect(),
        };
        work.push((kept.table.clone(), numbers.into_iter().collect()));
        newer = Some(kept.table);
    }
    work
}

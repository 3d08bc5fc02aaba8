//! Damaged pages made whole: the very page is fetched again, proved by its hash, written elsewhere, and the release that is
//! served is opened anew with it. The query that met the damage had an error for an answer, and nothing of it was stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use nearside_protocol::{
    digest::Digest,
    limits::{self, PAGE_BYTES},
    page_object::Page,
    status::Scrub,
};
use tokio::sync::Notify;

use crate::{
    beside::{Lost, beside},
    database::{Database, DatabaseError},
    host::Host,
    origin_client::{ClientError, whole},
    pages::{Kept, PagesError, Table},
    pull::sources::{Asks, Sources},
    replica::{AppReplica, Replica, ReplicaError},
};

/// Pages of one app's snapshot.
type Damaged = BTreeMap<(String, Digest), BTreeSet<u32>>;

/// What is known of the health of a node's pages.
#[derive(Default)]
pub struct Health {
    damaged: Mutex<Damaged>,
    found: Notify,
    pub checked_pages: AtomicU64,
    pub rounds: AtomicU64,
    damaged_pages: AtomicU64,
    repaired_pages: AtomicU64,
}

impl Health {
    /// A page turned out to be damaged. Quick: whoever reads is waiting.
    pub fn damaged(&self, app: &str, root: Digest, number: u32) {
        let mut damaged = self.damaged.lock().expect("BUG: nothing panics while holding the damaged pages");
        let waiting: usize = damaged.values().map(BTreeSet::len).sum();
        // Those beyond are found again when they are used again.
        if waiting < limits::REPAIRS_WAITING && damaged.entry((app.to_owned(), root)).or_default().insert(number) {
            self.damaged_pages.fetch_add(1, Ordering::Relaxed);
            tracing::error!(app, root = %root.short(), page = number, "a page on this disk is damaged");
            self.found.notify_one();
        }
    }

    pub fn status(&self) -> Scrub {
        let damaged = self.damaged.lock().expect("BUG: nothing panics while holding the damaged pages");
        let waiting: usize = damaged.values().map(BTreeSet::len).sum();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Scrub {
            checked_pages: read(&self.checked_pages),
            rounds: read(&self.rounds),
            damaged_pages: read(&self.damaged_pages),
            repaired_pages: read(&self.repaired_pages),
            waiting_pages: waiting as u64,
        }
    }

    fn waiting(&self) -> Damaged {
        self.damaged.lock().expect("BUG: nothing panics while holding the damaged pages").clone()
    }

    fn forget(&self, key: &(String, Digest), numbers: &[u32]) {
        let mut damaged = self.damaged.lock().expect("BUG: nothing panics while holding the damaged pages");
        if let Some(waiting) = damaged.get_mut(key) {
            numbers.iter().for_each(|number| {
                waiting.remove(number);
            });
            if waiting.is_empty() {
                damaged.remove(key);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum RepairError {
    #[error("{0}")]
    NotGot(String),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error("it cannot be opened anew: {0}")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Repairs what is found damaged, as long as it is polled.
pub async fn run(host: Arc<Host>, replica: Replica, sources: Sources) {
    loop {
        let waiting = replica.health().waiting();
        if waiting.is_empty() {
            replica.health().found.notified().await;
            continue;
        }
        let mut failed = false;
        for (key, numbers) in waiting {
            let numbers: Vec<u32> = numbers.into_iter().collect();
            for batch in numbers.chunks(limits::REPAIR_PAGES) {
                match repair(&host, &replica, &sources, &key, batch).await {
                    Ok(()) => replica.health().forget(&key, batch),
                    Err(error) => {
                        failed = true;
                        let (app, root) = (&key.0, key.1.short());
                        tracing::warn!(%app, root, pages = batch.len(), cause = %error, "damaged pages are not repaired yet");
                    }
                }
            }
        }
        if failed {
            tokio::time::sleep(limits::REPAIR_RETRY).await;
        }
    }
}

async fn repair(
    host: &Arc<Host>,
    replica: &Replica,
    sources: &Sources,
    (app, root): &(String, Digest),
    numbers: &[u32],
) -> Result<(), RepairError> {
    let (opening, name) = (replica.clone(), app.clone());
    let disk = beside(move || opening.app(&name)).await??;
    let Some(kept) = disk.pages().find(root) else {
        return elsewhere(&disk, numbers).await;
    };
    let pages = fetch(sources, app, &kept.table, numbers).await?;
    let _writing = disk.writing().await;
    let (host, app, numbers) = (host.clone(), app.clone(), numbers.to_vec());
    let (health, root) = (replica.clone(), *root);
    let work = move || -> Result<(), RepairError> {
        let mut served = None;
        for (number, page) in numbers.iter().zip(&pages) {
            let repaired = disk.pages().repair(*number, page)?;
            served = repaired.into_iter().find(|kept| kept.table.root() == root).or(served);
            health.health().repaired_pages.fetch_add(1, Ordering::Relaxed);
        }
        tracing::info!(app, root = %root.short(), pages = numbers.len(), "damaged pages were repaired");
        match served {
            Some(kept) => reopen(&host, &app, &kept),
            None => Ok(()),
        }
    };
    beside(work).await?
}

/// The damage was seen in something that is not kept: a draft, or a release that is leaving. What is kept may have it, too.
async fn elsewhere(disk: &AppReplica, numbers: &[u32]) -> Result<(), RepairError> {
    let (disk, numbers) = (disk.clone(), numbers.to_vec());
    let look = move || {
        for kept in disk.pages().kept() {
            for number in numbers.iter().filter(|number| **number < kept.table.pages()) {
                // It tells by itself.
                let _ = kept.table.scrub(*number);
            }
        }
    };
    Ok(beside(look).await?)
}

/// These very pages, from the first who gives them.
async fn fetch(sources: &Sources, app: &str, table: &Table, numbers: &[u32]) -> Result<Vec<Page>, RepairError> {
    let names: Vec<String> = numbers.iter().map(u32::to_string).collect();
    let path = format!("/v1/apps/{app}/pages/{}?numbers={}", table.root(), names.join(","));
    let mut fault = None;
    for source in sources.near_first().filter(|source| !source.is_resting()) {
        let answer = match source.open(&path, Asks::AtOnce).await {
            Ok(response) => whole(response, numbers.len() * PAGE_BYTES).await,
            Err(error) => Err(error),
        };
        let why = match answer {
            Ok(bytes) => match proved(&bytes, table, numbers) {
                Some(pages) => return Ok(pages),
                None => format!("what {source} sends are not these pages"),
            },
            Err(error) => format!("{source}: {error}"),
        };
        fault = Some(why);
    }
    Err(RepairError::NotGot(fault.unwrap_or_else(|| "there is nobody to ask".into())))
}

fn proved(bytes: &[u8], table: &Table, numbers: &[u32]) -> Option<Vec<Page>> {
    let (pages, rest) = bytes.as_chunks::<PAGE_BYTES>();
    let fits = |(number, page): (&u32, &Page)| table.hash(*number) == Some(Digest::of(page));
    let all = pages.len() == numbers.len() && rest.is_empty() && numbers.iter().zip(pages).all(fits);
    all.then(|| pages.to_vec())
}

/// Serves the release that is served from its repaired pages, if it is this one.
fn reopen(host: &Host, app: &str, kept: &Kept) -> Result<(), RepairError> {
    let Some(current) = host.by_name(app).and_then(|served| served.current()) else { return Ok(()) };
    if current.manifest.root == kept.table.root() {
        host.reopen(current.reopened(Database::following(kept.table.clone(), Some(&current.database))?));
    }
    Ok(())
}

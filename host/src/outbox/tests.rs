use std::{
    collections::HashMap,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use nearside_protocol::{
    digest::Digest,
    write::{Delivered, Delivery, Outcome, Receipt, Taken, Unsure},
};

use super::*;
use crate::upstream::{NotPut, Sending, Unreachable, Upstream, Visitor};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("outbox.db")
    }

    fn open(&self) -> Arc<Outbox> {
        Outbox::open(&self.file()).unwrap()
    }
}

fn take(app: &str, key: &str, payload: &str) -> ToTake {
    let key = IdempotencyKey::try_from(key.to_owned()).unwrap();
    ToTake { app: app.into(), command: "c".into(), payload: payload.into(), key, sent_after: None, traced: None }
}

async fn saved(outbox: &Outbox, take: ToTake) -> Ticket {
    match outbox.take(Class::Saved, take).await {
        Ok(Took::Saved(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_taken_is_there_after_a_restart_and_once() {
    let place = Place::new();
    let outbox = place.open();
    let id = outbox.id().clone();
    let first = saved(&outbox, take("a", "k1", "{}")).await;
    assert_eq!(saved(&outbox, take("a", "k1", "{}")).await, first);
    assert_eq!(outbox.take(Class::Saved, take("a", "k1", "{\"x\":1}")).await, Ok(Took::KeyConflict));
    let other_app = saved(&outbox, take("b", "k1", "{}")).await;
    assert_ne!(other_app, first);
    let waiting = outbox.waiting();
    assert_eq!((waiting["a"].writes, waiting["b"].writes), (1, 1));
    drop(outbox);

    let outbox = place.open();
    assert_eq!(*outbox.id(), id);
    let again = outbox.waiting();
    assert_eq!(again, waiting);
    let written = outbox.written("a", &first).unwrap().unwrap();
    assert_eq!((written.n, written.settled), (1, None));
    // A ticket is good for its own app alone.
    assert_eq!(outbox.written("b", &first).unwrap(), None);
    saved(&outbox, take("a", "k2", "{}")).await;
    let numbers: Vec<(String, u64)> =
        outbox.page(None).unwrap().writes.into_iter().map(|written| (written.app, written.n)).collect();
    assert_eq!(numbers, [("a".into(), 1), ("a".into(), 2), ("b".into(), 1)]);
    let after = After { app: "a".into(), n: 1, is_unsure: false };
    let rest = outbox.page(Some(&after)).unwrap();
    assert_eq!((rest.writes[0].n, rest.writes.len(), rest.next), (2, 2, None));
}

#[tokio::test]
async fn one_app_cannot_take_all_the_room() {
    let place = Place::new();
    let outbox = place.open();
    let payload = "x".repeat(limits::COMMAND_PAYLOAD_BYTES);
    outbox
        .shared
        .waiting()
        .insert("a".into(), Waiting { writes: 1, bytes: limits::OUTBOX_APP_BYTES - 10, oldest_at_ms: None });
    let full = outbox.take(Class::Saved, take("a", "k", &payload)).await;
    assert!(matches!(full, Err(NotTaken::Full { .. })), "{full:?}");
    saved(&outbox, take("b", "k", &payload)).await;
    outbox.shared.waiting().insert("c".into(), Waiting { writes: limits::OUTBOX_WRITES, bytes: 0, oldest_at_ms: None });
    let full = outbox.take(Class::Saved, take("b", "k2", "{}")).await;
    assert!(matches!(full, Err(NotTaken::Full { .. })), "{full:?}");
    // What is known already needs no room.
    saved(&outbox, take("b", "k", &payload)).await;
}

#[tokio::test]
async fn a_disk_that_is_full_acknowledges_nothing_and_closes_nothing() {
    let place = Place::new();
    let outbox = place.open();
    saved(&outbox, take("a", "before", "{}")).await;
    drop(outbox);
    let store = Store::open(&place.file()).unwrap();
    let pages: u64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let shared = Arc::new(Shared::default());
    *shared.waiting() = store.waiting().unwrap();
    let (jobs, queue) = mpsc::channel(8);
    let (id, reads) = (store.id().unwrap(), Mutex::new(Store::open(&place.file()).unwrap()));
    Thread::start(store, shared.clone(), queue).unwrap();
    let outbox = Outbox { id, jobs, shared, reads, tracer: OnceLock::new() };
    let refused = outbox.take(Class::Saved, take("a", "big", &"x".repeat(100_000))).await;
    assert!(matches!(&refused, Err(NotTaken::Disk(why)) if why.contains("full")), "{refused:?}");
    assert_eq!(outbox.waiting()["a"].writes, 1);
    assert_eq!(outbox.status().closed, None);
}

/// An origin that counts, forgets nothing, and whose answers are lost now and then.
#[derive(Default)]
struct Origin {
    last: Mutex<HashMap<String, u64>>,
    applied: Mutex<Vec<(String, String)>>,
    calls: AtomicU64,
    /// Every so many calls fail, half of them after the work is done.
    fails_every: u64,
}

#[async_trait::async_trait]
impl Upstream for Origin {
    async fn deliver(&self, app: &str, delivery: Delivery) -> Result<Delivered, Unreachable> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let fails = self.fails_every > 0 && call.is_multiple_of(self.fails_every);
        if fails && call.is_multiple_of(2) {
            return Err(Unreachable::unsent("away"));
        }
        let mut taken = Vec::new();
        let mut last = self.last.lock().unwrap();
        let last = last.entry(app.to_owned()).or_default();
        // A part at a time.
        for write in delivery.writes.into_iter().take(5) {
            let receipt =
                Receipt { database: nearside_protocol::release::DatabaseId("d".into()), epoch: 1, commit: write.n };
            let outcome = Outcome::Applied { receipt, reply: "{}".into() };
            if write.n > *last + 1 {
                taken.push(Taken::Gap { next: *last + 1 });
                break;
            }
            if write.n == *last + 1 {
                *last = write.n;
                self.applied.lock().unwrap().push((app.to_owned(), write.key.to_string()));
            }
            taken.push(Taken::Settled { outcome });
        }
        if fails { Err(Unreachable::unanswered("cut off")) } else { Ok(Delivered { taken }) }
    }

    async fn find_out(&self, app: &str, unsure: Unsure) -> Result<Taken, Unreachable> {
        match unsure.key.to_string().as_str() {
            // One that is never answered, one that cannot be now, and the others, of which the first answer is lost.
            "mute" => Err(Unreachable::unanswered("cut off")),
            "busy" => Ok(Taken::Retry { message: "busy".into() }),
            key => {
                let mut applied = self.applied.lock().unwrap();
                let known = applied.contains(&(app.to_owned(), key.to_owned()));
                if !known {
                    applied.push((app.to_owned(), key.to_owned()));
                    return Err(Unreachable::unanswered("cut off"));
                }
                Ok(Taken::Settled { outcome: Outcome::Rejected { message: key.to_owned() } })
            }
        }
    }

    async fn submit(&self, _: Sending<'_>) -> Result<Outcome, Unreachable> {
        Err(Unreachable::unsent("deliveries only"))
    }

    async fn enqueue(&self, _: Sending<'_>) -> Result<u64, Unreachable> {
        Err(Unreachable::unsent("deliveries only"))
    }

    async fn render(
        &self,
        _: &str,
        _: &Digest,
        _: &str,
        _: &Visitor,
        _: &Receipt,
    ) -> Result<Response<Bytes>, Unreachable> {
        Err(Unreachable::unsent("deliveries only"))
    }

    async fn put_blob(&self, _: &str, _: Bytes) -> Result<Digest, NotPut> {
        Err(Unreachable::unsent("deliveries only").into())
    }

    async fn blob(&self, _: &str, _: &Digest) -> Result<Option<Bytes>, Unreachable> {
        Err(Unreachable::unsent("deliveries only"))
    }
}

async fn until_nothing_waits(outbox: &Outbox) {
    for _ in 0..2_000 {
        if outbox.waiting().is_empty() {
            return;
        }
        outbox.retry();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it still waits: {:?}", outbox.waiting());
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_keep_their_order_and_happen_once_though_answers_are_lost() {
    let place = Place::new();
    let outbox = place.open();
    let mut expected = HashMap::<String, Vec<String>>::new();
    let mut tickets = Vec::new();
    for at in 0..60 {
        let app = ["a", "b"][at % 2];
        let key = format!("k{at}");
        tickets.push((app, saved(&outbox, take(app, &key, "{}")).await));
        expected.entry(app.into()).or_default().push(key);
    }
    let origin = Arc::new(Origin { fails_every: 3, ..Origin::default() });
    let running = tokio::spawn(deliver(outbox.clone(), origin.clone(), std::future::pending()));
    until_nothing_waits(&outbox).await;
    running.abort();
    let applied = origin.applied.lock().unwrap().clone();
    for (app, keys) in expected {
        let of_app: Vec<String> = applied.iter().filter(|(of, _)| *of == app).map(|(_, key)| key.clone()).collect();
        assert_eq!(of_app, keys, "{app}");
    }
    for (app, ticket) in tickets {
        let written = outbox.written(app, &ticket).unwrap().unwrap();
        assert!(matches!(written.settled, Some(Settled::As(Outcome::Applied { .. }))), "{written:?}");
    }
}

/// Left to itself it would try twelve times in most of a minute.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_another_try_does_not_wait_for_the_next() {
    let place = Place::new();
    let outbox = place.open();
    saved(&outbox, take("a", "k", "{}")).await;
    let origin = Arc::new(Origin { fails_every: 1, ..Origin::default() });
    let running = tokio::spawn(deliver(outbox.clone(), origin.clone(), std::future::pending()));
    for _ in 0..1_000 {
        if origin.calls.load(Ordering::Relaxed) >= 12 {
            break;
        }
        outbox.retry();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    assert!(origin.calls.load(Ordering::Relaxed) >= 12, "{} tries", origin.calls.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_from_an_old_copy_gets_again_what_it_lost() {
    let place = Place::new();
    let outbox = place.open();
    let origin = Arc::new(Origin::default());
    for at in 0..10 {
        saved(&outbox, take("a", &format!("k{at}"), "{}")).await;
    }
    let running = tokio::spawn(deliver(outbox.clone(), origin.clone(), std::future::pending()));
    until_nothing_waits(&outbox).await;
    // The copy it is restored from was made after the fourth.
    *origin.last.lock().unwrap() = HashMap::from([("a".to_owned(), 4)]);
    origin.applied.lock().unwrap().truncate(4);
    saved(&outbox, take("a", "k10", "{}")).await;
    until_nothing_waits(&outbox).await;
    running.abort();
    let keys: Vec<String> = origin.applied.lock().unwrap().iter().map(|(_, key)| key.clone()).collect();
    assert_eq!(keys, (0..=10).map(|at| format!("k{at}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unsure_is_found_out_and_holds_up_nothing() {
    let place = Place::new();
    let outbox = place.open();
    let unsure = async |outbox: &Outbox, key: &str| match outbox.take(Class::Unsure, take("a", key, "{}")).await {
        Ok(Took::Saved(ticket)) => ticket,
        other => panic!("{other:?}"),
    };
    // Two that stay open stand before all others.
    let open = [unsure(&outbox, "mute").await, unsure(&outbox, "busy").await];
    let mut tickets = Vec::new();
    for at in 0..3 * limits::UNSURE_AT_ONCE {
        tickets.push(unsure(&outbox, &format!("u{at}")).await);
    }
    assert_eq!(unsure(&outbox, "u0").await, tickets[0], "sent again: the same one");
    let conflict = outbox.take(Class::Unsure, take("a", "u0", "{\"x\":1}")).await;
    assert_eq!(conflict, Ok(Took::KeyConflict));
    let deferred = saved(&outbox, take("a", "d0", "{}")).await;
    assert_eq!((outbox.waiting()["a"].writes, outbox.status().unsure_writes), (1, tickets.len() as u64 + 2));
    drop(outbox);

    let outbox = place.open();
    assert_eq!(outbox.status().unsure_writes, tickets.len() as u64 + 2);
    let origin = Arc::new(Origin::default());
    let running = tokio::spawn(deliver(outbox.clone(), origin.clone(), std::future::pending()));
    until_nothing_waits(&outbox).await;
    for _ in 0..2_000 {
        if outbox.status().unsure_writes == 2 {
            break;
        }
        outbox.retry();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    let written = |ticket| outbox.written("a", ticket).unwrap().unwrap();
    for (at, ticket) in tickets.iter().enumerate() {
        let message = format!("u{at}");
        assert_eq!(written(ticket).settled, Some(Settled::As(Outcome::Rejected { message })));
    }
    assert!(open.iter().all(|ticket| written(ticket).settled.is_none() && written(ticket).is_unsure));
    assert!(written(&deferred).settled.is_some() && !written(&deferred).is_unsure);
    assert_eq!(outbox.written("b", &open[0]).unwrap(), None, "a ticket is good for its own app alone");

    // The operator sees them after all others.
    let page = outbox.page(None).unwrap();
    assert_eq!((page.writes.len(), page.writes[0].is_unsure, page.next), (tickets.len() + 3, false, None));
    let after = After { app: "a".into(), n: page.writes[1].n, is_unsure: true };
    assert_eq!(outbox.page(Some(&after)).unwrap().writes.len(), tickets.len() + 1);
}

#[tokio::test]
async fn what_may_be_unsure_has_bounds_of_its_own() {
    let place = Place::new();
    let outbox = place.open();
    let full = Waiting { writes: limits::UNSURE_APP_WRITES, bytes: 0, oldest_at_ms: None };
    outbox.shared.unsure().insert("a".into(), full);
    assert!(matches!(outbox.take(Class::Unsure, take("a", "k", "{}")).await, Err(NotTaken::Full { .. })));
    assert!(matches!(outbox.take(Class::Unsure, take("b", "k", "{}")).await, Ok(Took::Saved(_))));
    saved(&outbox, take("a", "k", "{}")).await;
}

#[tokio::test]
async fn a_trace_is_kept_with_its_write_also_in_a_file_from_before() {
    let place = Place::new();
    drop(place.open());
    let before = rusqlite::Connection::open(place.file()).unwrap();
    before.busy_timeout(Duration::from_secs(5)).unwrap();
    before.execute_batch("ALTER TABLE command DROP COLUMN traced; ALTER TABLE unsure DROP COLUMN traced;").unwrap();
    drop(before);
    let outbox = place.open();
    let context: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    for (class, key) in [(Class::Saved, "saved"), (Class::Unsure, "unsure")] {
        let take = ToTake { traced: Some(context), sent_after: Some(1), ..take("a", key, "{}") };
        let Took::Saved(ticket) = outbox.take(class, take).await.unwrap() else { panic!("{key} is new") };
        assert_eq!(outbox.written("a", &ticket).unwrap().unwrap().traced, Some(context), "{key}");
    }
    let deferred = outbox.reads().next("a").unwrap().1.remove(0).deferred();
    assert_eq!(deferred.traced, Some(context));
}

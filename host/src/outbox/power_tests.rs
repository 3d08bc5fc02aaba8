//! The power is lost at every step of an outbox's life; syncs fail, and the disk is full.

use std::path::Path;

use nearside_lossy::{Loss, Watched};
use nearside_protocol::write::Outcome;

use super::{thread::Job, *};

/// Large, so that the log is copied into the database several times.
const PAYLOAD_BYTES: usize = 50_000;
const WRITES: u64 = 90;

/// More with NEARSIDE_POWER_WRITES.
fn writes() -> u64 {
    std::env::var("NEARSIDE_POWER_WRITES").map_or(WRITES, |text| text.parse().unwrap())
}

/// What was said to be durable, and after how many steps.
enum Promise {
    /// The command of this number in its key, under this ticket.
    Taken(u64, Ticket),
    Settled(Ticket),
}

fn payload(number: u64) -> String {
    format!("{{\"number\":{number},\"filler\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES))
}

fn to_take(number: u64) -> ToTake {
    ToTake {
        app: if number.is_multiple_of(3) { "a" } else { "b" }.into(),
        command: "c".into(),
        payload: payload(number),
        key: IdempotencyKey::try_from(format!("k{number}")).unwrap(),
        sent_after: number.is_multiple_of(2).then_some(number),
        traced: None,
    }
}

async fn taken(outbox: &Outbox, number: u64) -> Result<Ticket, NotTaken> {
    match outbox.take(Class::Saved, to_take(number)).await? {
        Took::Saved(ticket) => Ok(ticket),
        Took::KeyConflict => panic!("{number} is new"),
    }
}

async fn settle(outbox: &Outbox, app: &str, n: u64) -> bool {
    let settled = vec![(n, Settled::As(Outcome::Rejected { message: format!("no {n}") }))];
    let (answer, recorded) = oneshot::channel();
    outbox.jobs.send(Job::Settle { app: app.into(), settled, answer }).await.unwrap();
    recorded.await.unwrap()
}

/// What is there after a crash has all that was promised, whole and in order, and goes on with numbers nobody had.
async fn holds(folder: &Path, promised: &[Promise]) -> Result<(), String> {
    let outbox = Outbox::open(&folder.join("outbox.db")).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = outbox.page(after.as_ref()).map_err(|error| error.to_string())?;
        all.extend(page.writes);
        match page.next {
            Some(next) => after = Some(next.parse().unwrap()),
            None => break,
        }
    }
    for written in &all {
        let number: u64 = written.key.to_string()[1..].parse().unwrap();
        if written.payload != payload(number) || written.app != to_take(number).app {
            return Err(format!("{} {} is not what was sent", written.app, written.n));
        }
    }
    for promise in promised {
        let (Promise::Taken(_, ticket) | Promise::Settled(ticket)) = promise;
        let found = all.iter().find(|written| written.ticket == *ticket).ok_or("an acknowledged write is not there")?;
        match promise {
            Promise::Taken(number, _) if found.key.to_string() != format!("k{number}") => {
                return Err("a ticket shows another write".into());
            }
            Promise::Settled(_) if found.settled.is_none() => return Err("a settled one waits again".into()),
            _ => {}
        }
    }
    for app in ["a", "b"] {
        let numbers: Vec<u64> = all.iter().filter(|written| written.app == app).map(|written| written.n).collect();
        if !numbers.iter().copied().eq(1..=numbers.len() as u64) {
            return Err(format!("{app}: {numbers:?}"));
        }
    }
    // It goes on.
    let ticket = taken(&outbox, 999_999).await.map_err(|error| error.to_string())?;
    let written = outbox.written("a", &ticket).map_err(|error| error.to_string())?.ok_or("the new one is not there")?;
    let before = all.iter().filter(|written| written.app == "a").count() as u64;
    if written.n != before + 1 { Err(format!("{} after {before}", written.n)) } else { Ok(()) }
}

#[tokio::test]
async fn what_is_acknowledged_outlives_a_loss_of_power_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::folder(folder.path());
    let outbox = Outbox::open(&folder.path().canonicalize().unwrap().join("outbox.db")).unwrap();
    let made = watched.taken();
    let mut promised = Vec::new();
    let mut counts = BTreeMap::<String, u64>::new();
    for number in 0..writes() {
        let ticket = taken(&outbox, number).await.unwrap();
        promised.push((watched.taken(), Promise::Taken(number, ticket.clone())));
        let app = to_take(number).app;
        let n = counts.entry(app.clone()).or_default();
        *n += 1;
        if number.is_multiple_of(5) {
            assert!(settle(&outbox, &app, *n).await);
            promised.push((watched.taken(), Promise::Settled(ticket)));
        }
    }
    // Before each sync, after it, and at some steps between.
    let points: Vec<usize> = (made..=watched.taken())
        .filter(|at| watched.is_sync(*at) || watched.is_sync(*at - 1) || at.is_multiple_of(97))
        .collect();
    let mut replayed = 0;
    for at in points {
        let acknowledged = promised.partition_point(|(by, _)| *by <= at);
        let known: Vec<Promise> = promised[..acknowledged]
            .iter()
            .map(|(_, promise)| match promise {
                Promise::Taken(number, ticket) => Promise::Taken(*number, ticket.clone()),
                Promise::Settled(ticket) => Promise::Settled(ticket.clone()),
            })
            .collect();
        let process_only = at.is_multiple_of(7).then_some(Loss::Nothing);
        for loss in [Loss::Everything, Loss::Some(at as u64)].into_iter().chain(process_only) {
            let after = tempfile::tempdir().unwrap();
            watched.image(at, loss).lay(&watched, after.path()).unwrap();
            if let Err(why) = holds(after.path(), &known).await {
                panic!("power lost after step {at}, {loss:?}: {why}");
            }
            replayed += 1;
        }
    }
    println!("{} writes, {} steps, {replayed} crashes replayed, 0 lost", promised.len(), watched.taken());
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_intake_and_takes_nothing_back() {
    for left in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let watched = Watched::folder(folder.path());
        let file = folder.path().canonicalize().unwrap().join("outbox.db");
        let outbox = Outbox::open(&file).unwrap();
        let mut saved = vec![taken(&outbox, 0).await.unwrap()];
        watched.fail_syncs_after(Some(left));
        let mut number = 1;
        let refused = loop {
            match taken(&outbox, number).await {
                Ok(ticket) => saved.push(ticket),
                Err(refused) => break refused,
            }
            number += 1;
        };
        assert!(matches!(refused, NotTaken::Disk(_)), "{refused:?}");
        // Never tried again: nobody knows what the disk holds.
        watched.fail_syncs_after(None);
        let later = taken(&outbox, 500).await;
        assert!(matches!(later, Err(NotTaken::Closed(_))), "{later:?}");
        assert!(outbox.status().closed.is_some());
        drop(outbox);

        let again = Outbox::open(&file).unwrap();
        for ticket in &saved {
            assert!(["a", "b"].iter().any(|app| again.written(app, ticket).unwrap().is_some()), "{left}");
        }
        taken(&again, 501).await.unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::folder(folder.path());
    let file = folder.path().canonicalize().unwrap().join("outbox.db");
    let outbox = Outbox::open(&file).unwrap();
    let mut saved = Vec::new();
    let mut refused = 0;
    for number in 0..60 {
        // Now there is room for two or three, now there is not.
        if number % 10 == 0 {
            watched.full_after(Some(3 * PAYLOAD_BYTES as u32));
        }
        if number % 10 == 7 {
            watched.full_after(None);
        }
        match taken(&outbox, number).await {
            Ok(ticket) => saved.push((to_take(number).app, ticket)),
            Err(NotTaken::Disk(why)) => {
                assert!(why.contains("full"), "{why}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 5 && saved.len() > 20, "{refused} refused, {} saved", saved.len());
    assert_eq!(outbox.waiting().values().map(|waiting| waiting.writes).sum::<u64>(), saved.len() as u64);
    drop(outbox);
    let again = Outbox::open(&file).unwrap();
    for (app, ticket) in &saved {
        assert!(again.written(app, ticket).unwrap().is_some());
    }
    assert_eq!(again.waiting().values().map(|waiting| waiting.writes).sum::<u64>(), saved.len() as u64);
}

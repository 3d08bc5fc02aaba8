//! The power is lost at every step of the store's life; syncs fail, and the disk is full.

use nearside_lossy::{Loss, Watched};

use super::*;
use crate::store;

const ROUNDS: u64 = 60;
const AT_ONCE: u64 = 4;

/// More with NEARSIDE_POWER_WRITES.
fn rounds() -> u64 {
    std::env::var("NEARSIDE_POWER_WRITES").map_or(ROUNDS, |text| text.parse::<u64>().unwrap() / AT_ONCE)
}

/// What is sent under each number: most are applied, some rejected; each of the applied adds its number to both tables.
fn sent(number: u64) -> (&'static str, String) {
    match number % 7 {
        3 => ("reject", "{}".into()),
        5 => ("enqueue", format!("{{\"task\":\"ok\",\"payload\":{{\"n\":{number}}}}}")),
        _ => ("bump", format!("{{\"by\":{}}}", 1 + number % 5)),
    }
}

async fn submit(app: &Fixture, number: u64) -> Outcome {
    let (command, payload) = sent(number);
    app.submit(command, &payload, &format!("k{number}")).await
}

fn value<T: rusqlite::types::FromSql>(store: &Connection, sql: &str) -> T {
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The store has each acknowledged outcome, and of every command everything or nothing.
fn holds(file: &std::path::Path, acknowledged: &[(u64, Outcome)]) -> Result<(), String> {
    let store = store::open(file).map_err(|error| error.to_string())?;
    let check: String = value(&store, "PRAGMA integrity_check");
    if check != "ok" {
        return Err(check);
    }
    for (number, outcome) in acknowledged {
        let (command, payload) = sent(*number);
        let known = dedupe::look_up(&store, &key(&format!("k{number}")), &fingerprint("command", command, &payload));
        match known.map_err(|error| error.to_string())? {
            Known::Answered(known) if Outcome::eq(&known, outcome) => {}
            _ => return Err(format!("k{number} was answered {outcome:?}, and that is not there")),
        }
    }
    let keys = store.prepare("SELECT key FROM _nearside_dedupe WHERE outcome LIKE '%pplied%'");
    let keys: Vec<String> = keys.unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let numbers: Vec<u64> = keys.iter().map(|key| key[1..].parse().unwrap()).collect();
    let bumped: u64 = numbers.iter().filter(|number| sent(**number).0 == "bump").map(|number| 1 + number % 5).sum();
    let queued = numbers.iter().filter(|number| sent(**number).0 == "enqueue").count() as u64;
    let (left, right) = ("SELECT n FROM \"left\"", "SELECT n FROM \"right\"");
    let found: [u64; 3] =
        [value(&store, left), value(&store, right), value(&store, "SELECT count(*) FROM _nearside_task")];
    if found != [bumped, bumped, queued] {
        return Err(format!("left, right and tasks are {found:?}, and the keys say {bumped}, {bumped}, {queued}"));
    }
    let last: u64 = value(&store, "SELECT coalesce(max(commit_no), 0) FROM _nearside_change");
    let commit: u64 = value(&store, "SELECT value FROM _nearside_meta WHERE key = 'commit'");
    if last > commit { Err(format!("a change of commit {last}, and the last is {commit}")) } else { Ok(()) }
}

#[tokio::test]
async fn what_is_answered_outlives_a_loss_of_power_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::folder(folder.path());
    let Some(app) = Fixture::start_in(folder).await else { return };
    let made = watched.taken();
    let mut answered = Vec::new();
    for round in 0..rounds() {
        let [a, b, c, d] = std::array::from_fn(|at| round * AT_ONCE + at as u64);
        let outcomes = tokio::join!(submit(&app, a), submit(&app, b), submit(&app, c), submit(&app, d));
        let by = watched.taken();
        answered.extend([(by, a, outcomes.0), (by, b, outcomes.1), (by, c, outcomes.2), (by, d, outcomes.3)]);
    }
    let applied = answered.iter().filter(|(.., outcome)| matches!(outcome, Outcome::Applied { .. })).count();
    assert!(applied * 2 > answered.len(), "{applied} of {}", answered.len());
    let mut replayed = 0;
    for at in made..=watched.taken() {
        if !watched.is_sync(at) && !watched.is_sync(at - 1) && !at.is_multiple_of(13) {
            continue;
        }
        let acknowledged: Vec<(u64, Outcome)> = answered
            .iter()
            .take_while(|(by, ..)| *by <= at)
            .map(|(_, number, outcome)| (*number, outcome.clone()))
            .collect();
        let process_only = at.is_multiple_of(7).then_some(Loss::Nothing);
        for loss in [Loss::Everything, Loss::Some(at as u64)].into_iter().chain(process_only) {
            let after = tempfile::tempdir().unwrap();
            watched.image(at, loss).lay(&watched, after.path()).unwrap();
            if let Err(why) = holds(&after.path().join("store.db"), &acknowledged) {
                panic!("power lost after step {at}, {loss:?}: {why}");
            }
            replayed += 1;
        }
    }
    println!(
        "{} commands, {applied} of them applied, {} steps, {replayed} crashes replayed, 0 lost",
        answered.len(),
        watched.taken()
    );
}

#[tokio::test]
async fn a_sync_that_fails_acknowledges_nothing_and_all_of_it_can_be_sent_again() {
    for left in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let watched = Watched::folder(folder.path());
        let Some(app) = Fixture::start_in(folder).await else { return };
        let mut acknowledged = Vec::new();
        watched.fail_syncs_after(Some(left));
        for number in 0..6 {
            match submit(&app, number).await {
                Outcome::Retry { .. } => {}
                outcome => acknowledged.push((number, outcome)),
            }
        }
        assert!(acknowledged.len() <= left as usize + 1, "{acknowledged:?}");
        watched.fail_syncs_after(None);
        for number in 0..12 {
            let outcome = submit(&app, number).await;
            match acknowledged.iter().find(|(known, _)| *known == number) {
                Some((_, known)) => assert_eq!(outcome, *known),
                None => acknowledged.push((number, outcome)),
            }
        }
        holds(&app.folder.path().join("store.db"), &acknowledged).unwrap();
        // And if the power is lost now.
        let after = tempfile::tempdir().unwrap();
        watched.image(watched.taken(), Loss::Everything).lay(&watched, after.path()).unwrap();
        holds(&after.path().join("store.db"), &acknowledged).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_for_now_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::folder(folder.path());
    let Some(app) = Fixture::start_in(folder).await else { return };
    let mut acknowledged = Vec::new();
    let mut refused = Vec::new();
    for number in 0..60 {
        if number % 10 == 0 {
            watched.full_after(Some(40_000));
        }
        if number % 10 == 8 {
            watched.full_after(None);
        }
        match submit(&app, number).await {
            Outcome::Retry { .. } => refused.push(number),
            outcome => acknowledged.push((number, outcome)),
        }
    }
    assert!(refused.len() > 5 && acknowledged.len() > 10, "{} refused", refused.len());
    watched.full_after(None);
    for number in refused {
        acknowledged.push((number, submit(&app, number).await));
    }
    assert!(acknowledged.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Retry { .. })));
    holds(&app.folder.path().join("store.db"), &acknowledged).unwrap();
}

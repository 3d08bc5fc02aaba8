//! An origin is backed up while visitors write, is lost, and is restored: no write acknowledged before the backup is.

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use support::{Site, eventually, node::Release, probe, process, process::text};

#[test]
fn a_restored_origin_has_every_write_from_before_the_backup_and_nodes_follow_it() {
    let mut site = Site::probe(&["a"]);
    let node = site.nodes[0].address;
    let (done, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (done, acknowledged) = (done.clone(), acknowledged.clone());
        std::thread::spawn(move || {
            let (mut number, mut unsure) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                number += 1;
                let key = format!("before-{number}");
                match probe::try_bump(node, &key).ok().and_then(|answer| probe::read_bump(&answer)) {
                    Some(_) => drop(acknowledged.fetch_add(1, Ordering::SeqCst)),
                    None => {
                        unsure += 1;
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            }
            unsure
        })
    };
    eventually("there is a load", || (acknowledged.load(Ordering::SeqCst) > 20).then_some(()));
    let before = acknowledged.load(Ordering::SeqCst);
    let (data, dest) = (site.origin.data(), site.folder.path().join("backup"));
    process::run(&["backup", text(&dest), "--data", text(&data), "--with-keys"]).went_well();
    let after = acknowledged.load(Ordering::SeqCst);
    process::run(&["backup", text(&dest), "--data", text(&data)]).failed_with(&["is there already"]);
    let status = site.origin.status();
    let backed_up = status["apps"]["probe"]["backed_up"]["commit"].as_u64().unwrap();
    assert_eq!(status["apps"]["probe"]["backed_up"]["epoch"], 1);

    // Nothing it finds: the audit of the origin while it works.
    let audit = site.origin.operator(&["audit", "--app", "probe"]);
    audit.went_well();
    assert!(audit.out.contains("no difference"), "{audit:?}");

    std::thread::sleep(Duration::from_millis(200));
    site.origin.process.kill();
    done.store(true, Ordering::Relaxed);
    let unsure: u64 = writer.join().unwrap();
    let in_the_end = acknowledged.load(Ordering::SeqCst);
    assert!(in_the_end > before, "nothing was written after the backup");
    let served = site.nodes[0].release("probe").unwrap();

    // The machine is gone; another one has the backup.
    fs::remove_dir_all(&data).unwrap();
    let admin = format!("http://{}", site.nodes[0].admin);
    let restored = process::run(&["restore", text(&dest), text(&data), "--node", &admin]);
    restored.went_well();
    assert!(
        restored.out.contains(&format!("up to commit {backed_up} of epoch 1; it goes on as epoch 2")),
        "{restored:?}"
    );
    site.origin.start_again("");
    let release = eventually("the node serves a release of the new epoch", || {
        site.nodes[0].release("probe").filter(|release| *release > Release(2, 0))
    });
    assert!(release > served);

    // What a bump answers counts them all.
    let last = probe::bump_once(node, "after");
    let kept = last.n as u64 - 1;
    assert!((before..=in_the_end).contains(&kept), "{before} before, {kept} kept, {in_the_end} in the end");
    // Each under its key once more: what is there is there once.
    for number in 1..=before {
        let again = probe::bump_once(node, &format!("before-{number}"));
        assert!(again.n as u64 <= kept, "write {number} was applied again: {}", again.n);
    }
    assert_eq!(probe::bump_once(node, "last").n as u64, kept + 2);
    // Besides, perhaps, those that were on their way when the origin was killed: of these the node still learns what became.
    let last = kept + 2;
    eventually("the node has the last write", || {
        (last..=last + unsure).contains(&(probe::pair(&probe::get(node, "/pair")) as u64)).then_some(())
    });
    assert_eq!(site.nodes[0].status()["refusals"], serde_json::json!({}));
    println!(
        "{before} acknowledged before the backup, {after} at its end, {in_the_end} in the end; {kept} restored, each once; {release:?} after {served:?}"
    );
}

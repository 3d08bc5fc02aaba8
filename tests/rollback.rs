//! An operator goes back to older content: nodes serve it, writes go on, and nothing is published until it is resumed.

mod support;

use support::{
    Site, eventually, http,
    node::Release,
    probe,
    process::{Run, text},
};

fn released(run: &Run) -> Release {
    run.went_well();
    let line = run.out.lines().find_map(|line| line.strip_prefix("release ")).unwrap_or_else(|| panic!("{run:?}"));
    Release::parse(line).unwrap()
}

#[test]
fn old_content_is_served_again_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let app = probe::taking_data(folder.path());
    let mut site = Site::start(&[app.path()], &["a"]);
    let push = |site: &Site, n| released(&site.origin.push_data(&probe::data(folder.path(), n), "probe"));
    for n in 11..=13 {
        let release = push(&site, n);
        site.nodes[0].wait_for(release, "probe");
    }
    let node = site.nodes[0].address;
    let pair = |path: &str| probe::pair(&probe::get(node, path));
    assert_eq!(pair("/pair"), 13);

    let rolled_back = released(&site.origin.operator(&["rollback", "--app", "probe"]));
    site.nodes[0].wait_for(rolled_back, "probe");
    assert_eq!(pair("/pair"), 12);

    // A write is taken, and its visitor is told that the page does not show it.
    let bumped = probe::bump(node);
    assert_eq!(bumped.n, 14);
    let seen = http::request(node, probe::SITE, "GET", "/pair", &[("Cookie", &bumped.cookie())], "").unwrap();
    assert_eq!(probe::pair(&seen), 12);
    assert_ne!(seen.header("nearside-behind"), "", "{seen:?}");

    // Held over a restart; `status` and `releases` say so, and a push is refused with what to do.
    site.origin.process.kill();
    site.origin.start_again("");
    assert_eq!(site.origin.status()["apps"]["probe"]["held"]["rolled_back_to"], "1.3");
    let list =
        site.origin.operator(&["releases", "--app", "probe", "--node", &format!("http://{}", site.nodes[0].admin)]);
    list.went_well();
    assert!(list.out.starts_with("held ") && list.out.contains("rolled back to 1.3"), "{}", list.out);
    let newest = list.out.lines().find(|line| line.starts_with("1.5 ")).unwrap();
    assert!(newest.ends_with(" a"), "it is live at the node: {newest}");
    let refused = site.origin.push_data(&probe::data(folder.path(), 20), "probe");
    assert!(refused.err.contains("releases are held since the rollback to 1.3"), "{refused:?}");
    assert_eq!(pair("/pair"), 12);

    let resumed = released(&site.origin.operator(&["resume", "--app", "probe"]));
    site.nodes[0].wait_for(resumed, "probe");
    assert_eq!(pair("/pair"), 14);
    eventually("it is held no longer", || site.origin.status()["apps"]["probe"]["held"].is_null().then_some(()));

    // To a release by its number, and on with a push that says so.
    let back = released(&site.origin.operator(&["rollback", "1.2", "--app", "probe"]));
    site.nodes[0].wait_for(back, "probe");
    assert_eq!(pair("/pair"), 11);
    let file = probe::data(folder.path(), 21);
    let pushed = released(&site.origin.operator(&["push", text(&file), "--app", "probe", "--resume"]));
    site.nodes[0].wait_for(pushed, "probe");
    assert_eq!(pair("/pair"), 21);
}

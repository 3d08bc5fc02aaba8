//! A secret reaches the app's components at every node, and nobody else.

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use support::{Site, eventually, probe};

const SET: &str = "[apps.probe]\nsecrets = { PROBE_SECRET = \"set by the operator\" }\n";

#[test]
fn a_secret_nobody_set_is_made_once_and_lies_beside_the_manifests() {
    let mut site = Site::probe(&["a", "b"]);
    let secret = probe::get(site.nodes[0].address, "/secret").text();
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    assert_eq!(probe::get(site.nodes[1].address, "/secret").text(), secret);

    for data in [site.origin.data(), site.nodes[0].data()] {
        let kept = files(&data.join("apps/probe/secrets"));
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // Neither what any mirror may hold, nor the records of a node.
    for public in [site.origin.data().join("objects"), site.nodes[0].data().join("apps/probe/pages")] {
        let all = all_files(&public);
        assert!(!all.is_empty(), "{}", public.display());
        for file in all {
            let bytes = fs::read(&file).unwrap();
            let tells = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!tells, "{}", file.display());
        }
    }

    site.origin.process.kill();
    site.nodes[0].process.kill();
    site.nodes[0].start_again(None);
    site.nodes[0].wait_for_apps(1);
    assert_eq!(probe::get(site.nodes[0].address, "/secret").text(), secret, "a node needs no origin to know it");
}

#[test]
fn a_secret_the_operator_sets_is_a_release_of_its_own() {
    let mut site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    let made = probe::get(a, "/secret").text();
    site.origin.process.kill();
    site.origin.start_again(SET);
    eventually("the node has the operator's secret", || {
        (probe::get(a, "/secret").text() == "set by the operator").then_some(())
    });
    site.origin.process.kill();
    site.origin.start_again("");
    eventually("the one that was made is still there", || (probe::get(a, "/secret").text() == made).then_some(()));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn all_files(folder: &Path) -> Vec<std::path::PathBuf> {
    files(folder).into_iter().flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

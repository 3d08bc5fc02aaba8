//! A file that a visitor sends to one node is there at every node, and stays when processes die.

mod support;

use support::{Site, eventually, http, probe};

const PICTURE: &str = "a picture, say";

#[test]
fn a_file_sent_to_one_node_is_shown_by_all_and_outlives_them() {
    let mut site = Site::probe(&["a", "b"]);
    let [a, b] = [site.nodes[0].address, site.nodes[1].address];
    let send = |content: &str| http::request(a, probe::SITE, "POST", "/blob", &[], content).unwrap().text();
    let hash = send(PICTURE);
    assert_eq!((hash.len(), send(PICTURE)), (64, hash.clone()), "the same again is the same");
    let path = format!("/_blob/{hash}.png");
    for node in [a, b] {
        let answer = probe::get(node, &path);
        assert_eq!((answer.status, answer.text().as_str()), (200, PICTURE));
        assert_eq!(answer.header("content-type"), "image/png");
        assert_eq!(probe::get(node, &path.replace(&hash[..4], "0000")).status, 404);
    }
    let later = send("another one");
    site.origin.process.kill();
    site.nodes[1].process.kill();
    site.nodes[1].start_again(None);
    let [a, b] = [site.nodes[0].address, site.nodes[1].address];
    for node in [a, b] {
        assert_eq!(probe::get(node, &path).text(), PICTURE, "without the origin");
        assert_eq!(probe::get(node, &format!("/_blob/{later}.txt")).status, 503, "it never came here");
    }
    let refused = http::request(a, probe::SITE, "POST", "/blob", &[], "x").unwrap();
    assert!(refused.text().starts_with("unavailable: "), "{refused:?}");

    site.origin.start_again("");
    let path = format!("/_blob/{later}.txt");
    eventually("the origin gives what it was sent", || (probe::get(a, &path).text() == "another one").then_some(()));
}

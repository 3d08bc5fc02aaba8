//! An app of nothing but files: compressed where it is pushed, checked at the origin, served by nodes.

mod support;

use std::fs;

use support::{Site, http};

const SITE: &str = "files.localhost";

#[test]
fn a_push_compresses_and_a_quick_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path();
    let style = "a { color: red }\n".repeat(200);
    fs::create_dir(app.join("public")).unwrap();
    fs::write(app.join("public/app.css"), &style).unwrap();
    fs::write(app.join("nearside.toml"), format!("name = \"files\"\nhosts = [\"{SITE}\"]\nstatic = \"public\"\n"))
        .unwrap();

    let site = Site::start(&[app], &["a"]);
    let node = &site.nodes[0];
    let get = || http::request(node.address, SITE, "GET", "/static/app.css", &[("Accept-Encoding", "br")], "").unwrap();
    let compressed = get();
    assert_eq!((compressed.status, compressed.header("content-encoding")), (200, "br"));
    assert!(compressed.body.len() < style.len() / 10);

    let pushed = site.origin.operator(&["push", app.to_str().unwrap(), "--quick"]);
    node.wait_for(pushed.release(), "files");
    let plain = get();
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", ""));
    assert_eq!(plain.text(), style);
}

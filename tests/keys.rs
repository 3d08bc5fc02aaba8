//! Keys: whose releases and whose code a node takes, and how keys give way to others.

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use support::{
    Node, Origin, eventually,
    node::Release,
    process::{run, text},
};

/// The smallest app there can be: one static file.
fn plain(folder: &Path, text: &str) -> PathBuf {
    let app = folder.join("plain");
    fs::create_dir_all(app.join("public")).unwrap();
    let manifest = "name = \"plain\"\nhosts = [\"plain.localhost\"]\nstatic = \"public\"\n";
    fs::write(app.join("nearside.toml"), manifest).unwrap();
    fs::write(app.join("public/page.txt"), text).unwrap();
    app
}

/// A new key: its file and its public half.
fn new_key(folder: &Path, name: &str) -> (PathBuf, String) {
    let file = folder.join(name);
    let made = run(&["key", "new", text(&file)]);
    made.went_well();
    (file, word(&made.out, "public"))
}

fn word(out: &str, name: &str) -> String {
    let line = out.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn public(file: &Path) -> String {
    let shown = run(&["key", "show", text(file)]);
    shown.went_well();
    word(&shown.out, "public")
}

fn trust(node: &Path, key: &str, roles: &[&str]) {
    let roles = roles.iter().flat_map(|role| ["--role", role]);
    let arguments: Vec<&str> = ["key", "add", "--data", text(node), key].into_iter().chain(roles).collect();
    run(&arguments).went_well();
}

/// Waits until the node says why it takes no release.
fn refused(node: &Node, app: &str) -> String {
    eventually("the node refuses a release", || {
        let status = node.status().to_string();
        let log = node.process.log_text();
        [&status, &log]
            .into_iter()
            .find_map(|text| text.find(app).map(|_| text.clone()))
            .filter(|text| text.contains("trusted"))
    })
}

#[test]
fn a_secret_key_is_for_one_reader_and_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = new_key(folder.path(), "one.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(public(&file), key);
    let before = fs::read(&file).unwrap();
    run(&["key", "new", text(&file)]).failed_with(&["one.key cannot be made"]);
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::write(&file, "nonsense").unwrap();
    run(&["key", "show", text(&file)]).failed_with(&["one.key holds no secret key", "64 hexadecimal digits"]);
}

#[test]
fn the_list_of_a_node_is_kept_by_commands() {
    let folder = tempfile::tempdir().unwrap();
    let node = folder.path().join("node");
    run(&["key", "list", "--data", text(&node)]).failed_with(&["is not a folder"]);
    fs::create_dir(&node).unwrap();
    let list = || run(&["key", "list", "--data", text(&node)]).out;
    assert!(list().contains("will trust the first origin"));

    let ((_, one), (two_file, two)) = (new_key(folder.path(), "1"), new_key(folder.path(), "2"));
    run(&["key", "add", "--data", text(&node), &two, "--role", "app"]).failed_with(&["add the origin's first"]);
    trust(&node, &one, &["data"]);
    trust(&node, &two, &["app"]);
    let listed = list();
    let line = |key: &str| listed.lines().find(|line| line.contains(key)).unwrap().to_owned();
    assert!(line(&one).contains("  data ") && line(&two).contains("  app "), "{listed}");

    let remove = |id: &str, more: &[&str]| run(&[&["key", "remove", "--data", text(&node), id], more].concat());
    remove(&one, &[]).failed_with(&["is the last one trusted for data", "--force"]);
    remove("0000000000000000", &[]).failed_with(&["is not in it"]);
    let id = word(&run(&["key", "show", text(&two_file)]).out, "id");
    remove(&id, &[]).went_well();
    assert!(!list().contains(&two));
    remove(&one, &["--force"]).went_well();
    assert!(list().contains("trusts nobody"));
    let typed = run(&["key", "add", "--data", text(&node), "12ab"]);
    assert!(typed.err.contains("a key is 64 hexadecimal digits"), "{typed:?}");
}

/// Whoever has the origin, its key and its token cannot bring in code.
#[test]
fn code_comes_only_from_whom_the_node_trusts_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start(folder.path(), "");
    let (developer, developers) = new_key(folder.path(), "developer.key");
    let (stranger, _) = new_key(folder.path(), "stranger.key");
    let data = folder.path().join("node");
    fs::create_dir(&data).unwrap();
    trust(&data, &public(&origin.data().join("signing.key")), &["data"]);
    trust(&data, &developers, &["app"]);
    let app = plain(folder.path(), "one");
    let push = |key: Option<&Path>| {
        let key = key.map(|key| ["--key", text(key)]);
        origin.operator(&[&["push", text(&app)][..], key.as_ref().map_or(&[], |key| &key[..])].concat())
    };

    let node = Node::start(folder.path(), "node", Some(&origin));
    push(None).went_well();
    let why = refused(&node, "plain");
    assert!(why.contains("trusted here, but not for apps"), "{why}");
    assert_eq!(node.release("plain"), None);

    push(Some(&stranger)).went_well();
    eventually("the stranger is refused", || node.process.log_text().contains("vouched for by key").then_some(()));
    assert_eq!(node.release("plain"), None);

    push(Some(&developer)).went_well();
    node.wait_for(Release(1, 3), "plain");
    // The same code again, pushed without the key: who vouched for it still does.
    push(None).went_well();
    assert_eq!(node.release("plain"), Some(Release(1, 3)));
}

/// A new key at the nodes, then at the origin; then the old one goes. Nothing stops meanwhile.
#[test]
fn keys_are_exchanged_without_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let mut origin = Origin::start(folder.path(), "");
    origin.push(&plain(folder.path(), "one")).went_well();
    let mut node = Node::start(folder.path(), "node", Some(&origin));
    node.wait_for(Release(1, 1), "plain");

    let signing = origin.data().join("signing.key");
    let old = public(&signing);
    let (next, new) = new_key(folder.path(), "next.key");
    trust(&node.data(), &new, &[]);
    origin.process.kill();
    fs::copy(&next, &signing).unwrap();
    origin.start_again("");
    node.wait_for(Release(1, 2), "plain");

    run(&["key", "remove", "--data", text(&node.data()), &old]).went_well();
    origin.push(&plain(folder.path(), "two")).went_well();
    node.wait_for(Release(1, 3), "plain");
    node.process.kill();
    node.start_again(Some(&origin));
    eventually("what is on its disk is by the new key", || node.release("plain"));
}

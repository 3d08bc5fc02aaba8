//! `nearside new`, as far as it goes without building: what it makes, and what it refuses.
//! `scripts/test-templates` builds and serves every template.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use nearside_host::archive::Archive;
use nearside_protocol::app::App;
use support::process::run_in;

const TEMPLATES: &[(&str, &str)] = &[
    ("rust", "page"),
    ("rust", "search"),
    ("rust", "form"),
    ("rust", "api"),
    ("javascript", "page"),
    ("python", "page"),
];

fn new(folder: &Path, name: &str, language: &str, template: &str) -> support::process::Run {
    run_in(folder, &["new", name, "--language", language, "--template", template])
}

#[test]
fn each_template_is_an_app_that_can_be_packed_once_it_is_built() {
    let folder = tempfile::tempdir().unwrap();
    for (language, template) in TEMPLATES {
        let name = format!("{language}-{template}");
        let made = new(folder.path(), &name, language, template);
        made.went_well();
        assert!(made.out.contains(&format!("./{name}")) && made.out.contains("nearside dev"), "{}", made.out);

        let app = folder.path().join(&name);
        let manifest = App::parse(&fs::read_to_string(app.join("nearside.toml")).unwrap()).unwrap();
        assert_eq!(manifest.name, name);
        assert_eq!(manifest.hosts, [&format!("{name}.localhost"), "localhost", "127.0.0.1"]);
        for component in manifest.components.values() {
            let built = app.join(component);
            fs::create_dir_all(built.parent().unwrap()).unwrap();
            fs::write(built, b"\0asm").unwrap();
        }
        let archive = Archive::collect(&app).unwrap();
        assert!(archive.static_files().any(|(path, _)| path == "style.css"), "{name}");
        assert!(fs::read_dir(app.join("tests")).unwrap().flatten().any(|file| is_hurl(&file.path())), "{name}");
    }
}

fn is_hurl(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "hurl")
}

/// The sources in the repository, and those a new app carries along.
#[test]
fn an_app_carries_the_whole_sdk_where_it_looks_for_its_interfaces() {
    let folder = tempfile::tempdir().unwrap();
    new(folder.path(), "shop", "rust", "form").went_well();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vendor = folder.path().join("shop/vendor");
    for sources in ["modules/sdk/Cargo.toml", "modules/sdk/src", "wit"] {
        for file in files(&repository.join(sources)) {
            let carried = vendor.join(file.strip_prefix(repository).unwrap());
            assert_eq!(fs::read(&carried).ok(), fs::read(&file).ok(), "{}", carried.display());
        }
    }
    let workspace = fs::read_to_string(vendor.join("modules/Cargo.toml")).unwrap();
    assert!(workspace.contains("wit-bindgen") && !workspace.contains("hello"), "{workspace}");
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files(&entry)).collect()
}

#[test]
fn nothing_is_left_to_fill_in() {
    let folder = tempfile::tempdir().unwrap();
    for (language, template) in TEMPLATES {
        let name = format!("{language}-{template}");
        new(folder.path(), &name, language, template).went_well();
        for file in files(&folder.path().join(&name)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("{{name}}") && !text.contains("{{crate."), "{}", file.display());
        }
    }
}

#[test]
fn names_that_are_none_and_templates_that_are_not_there_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["Shop", "9lives", "a_b", "../up", "a/b", ""] {
        let refused = run_in(folder.path(), &["new", name]);
        refused.failed_with(&[&format!("`{name}` cannot be an app's name"), "a-z, 0-9 and `-`"]);
    }
    let refused = new(folder.path(), "shop", "python", "form");
    refused.failed_with(&["no form template in python", "only: page"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_with_something_in_it_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    fs::create_dir(&shop).unwrap();
    fs::write(shop.join("mine.txt"), "mine").unwrap();
    run_in(folder.path(), &["new", "shop"]).failed_with(&["./shop is there already and not empty"]);
    assert_eq!(files(&shop), [shop.join("mine.txt")]);

    fs::write(folder.path().join("file"), "").unwrap();
    run_in(folder.path(), &["new", "file"]).failed_with(&["./file is there already, and a file"]);

    fs::create_dir(folder.path().join("empty")).unwrap();
    run_in(folder.path(), &["new", "empty"]).went_well();
    assert!(folder.path().join("empty/nearside.toml").is_file());
}

//! Apps of `modules/`, and copies of them that tests change.

#![allow(dead_code, unreachable_pub)]

use std::{
    fs,
    path::{Path, PathBuf},
};

const BUILT: &str = "target/wasm32-wasip2/release";

/// An app of `modules/`, built.
pub fn module(name: &str) -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
    let app = modules.join(name);
    for component in components(&app) {
        let built = modules.join(BUILT).join(&component);
        assert!(built.is_file(), "{} is not there: run scripts/test, which builds the modules", built.display());
    }
    app
}

/// The probe app in a folder of its own, its components beside its manifest.
pub fn probe(into: &Path) -> PathBuf {
    let app = module("probe");
    let copy = into.join("probe");
    fs::create_dir_all(copy.join("tests")).unwrap();
    for folder in ["", "migrations", "schemas"] {
        fs::create_dir_all(copy.join(folder)).unwrap();
        for entry in fs::read_dir(app.join(folder)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), copy.join(folder).join(entry.file_name())).unwrap();
        }
    }
    for component in components(&app) {
        fs::copy(app.join("..").join(BUILT).join(&component), copy.join(&component)).unwrap();
    }
    let manifest = fs::read_to_string(app.join("nearside.toml")).unwrap();
    fs::write(copy.join("nearside.toml"), manifest.replace(&format!("../{BUILT}/"), "")).unwrap();
    copy
}

fn components(app: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(app.join("nearside.toml")).unwrap();
    let file = |line: &str| Some(line.split_once(&format!("{BUILT}/"))?.1.split('"').next()?.to_owned());
    manifest.lines().filter_map(file).collect()
}

//! Apps with one fault each, in `tests/broken`: what `nearside check` says of them is in their `expected.txt`, word for
//! word. With `UPDATE_EXPECTED=1` the files are written anew, to be read before they are committed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const EXPECTED: &str = "expected.txt";

#[test]
fn each_broken_app_is_told_what_is_wrong_where_and_what_to_do() {
    let apps = apps();
    assert!(apps.len() >= 30, "{} apps", apps.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut different = String::new();
    for app in apps {
        let name = app.file_name().unwrap().to_string_lossy();
        let (told, code) = check(&app);
        let last = told.lines().last().unwrap_or_default();
        let is_error = last.starts_with(".: 1 error;");
        if !is_error && !last.starts_with(".: 1 warning;") {
            different += &format!("== {name}: not exactly one fault\n{told}");
        }
        if code != Some(i32::from(is_error)) {
            different += &format!("== {name}: ended with {code:?}\n{told}");
        }
        let file = app.join(EXPECTED);
        if update {
            fs::write(&file, &told).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != told {
            different += &format!("== {name}\n{told}");
        }
    }
    assert!(different.is_empty(), "other than expected (UPDATE_EXPECTED=1 takes it over):\n{different}");
}

fn apps() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut apps: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    apps.sort();
    apps
}

/// What is printed for people, the findings and the count, and how it ended.
fn check(app: &Path) -> (String, Option<i32>) {
    let copy = tempfile::tempdir().unwrap();
    let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/components");
    copy_files(&components, copy.path());
    copy_files(app, copy.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearside"));
    let command = command.args(["--log", "error", "check"]).current_dir(copy.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout) + &text(&output.stderr), output.status.code())
}

/// Components are kept as text.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_files(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "wat") {
            fs::write(target.with_extension("wasm"), wat::parse_file(&path).unwrap()).unwrap();
        } else if path.file_name().is_some_and(|name| name != EXPECTED) {
            fs::copy(&path, target).unwrap();
        }
    }
}

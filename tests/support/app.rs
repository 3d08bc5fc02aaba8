//! Apps of `modules/`, and copies of them that tests change.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where `modules/` has its components once they are built.
const BUILT: &str = "target/wasm32-wasip2/release";

/// An app of `modules/`, built.
pub fn module(name: &str) -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    let app = modules.join(name);
    for component in components(&fs::read_to_string(app.join("nearside.toml")).unwrap()) {
        let built = modules.join(BUILT).join(&component);
        assert!(built.is_file(), "{} is not there: run scripts/test, which builds the modules", built.display());
    }
    app
}

/// An app's own files, with its components beside its manifest.
pub struct App(PathBuf);

impl App {
    /// A copy of an app of `modules/`, to be changed.
    pub fn copy(name: &str, into: &Path) -> App {
        let app = module(name);
        let copy = App(into.to_owned());
        copy_files(&app, into);
        let manifest = copy.read("nearside.toml");
        for component in components(&manifest) {
            fs::copy(app.join("..").join(BUILT).join(&component), into.join(&component)).unwrap();
        }
        copy.write("nearside.toml", manifest.replace(&format!("../{BUILT}/"), ""));
        copy
    }

    /// The same files in another folder.
    pub fn copy_to(&self, into: &Path) -> App {
        copy_files(&self.0, into);
        App(into.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn append(&self, file: &str, text: &str) {
        self.write(file, self.read(file) + text);
    }

    pub fn replace(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "no `{from}` in {file}");
        self.write(file, text.replacen(from, to, 1));
    }

    /// Replaces text in a component by text of the same length.
    pub fn patch(&self, component: &str, from: &str, to: &str) {
        assert_eq!(from.len(), to.len());
        let mut wasm = fs::read(self.0.join(component)).unwrap();
        let at = wasm.windows(from.len()).position(|part| part == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("no `{from}` in {component}"));
        wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
        self.write(component, wasm);
    }
}

/// The components' file names in a manifest.
fn components(manifest: &str) -> Vec<String> {
    let file = |line: &str| Some(line.split_once(&format!("{BUILT}/"))?.1.split('"').next()?.to_owned());
    manifest.lines().filter_map(file).collect()
}

/// All but sources and what was built.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_file() {
            fs::copy(&path, target).unwrap();
        } else if !path.join("Cargo.toml").exists() && entry.file_name() != "src" {
            copy_files(&path, &target);
        }
    }
}

//! What a changed file means for the app.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use nearside_host::archive;
use nearside_protocol::{
    app::{self, App},
    queries,
};

/// What has to be done; the greater includes the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is packed as it is: checked and pushed.
    Push,
    /// The components may come out differently.
    Build,
}

/// Folders of tools, whoever's they are.
const TOOLS: &[&str] = &["target", "node_modules", "__pycache__"];

/// Which files matter, by what the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    /// The app's folder, absolute.
    app: PathBuf,
    /// Folders besides it, absolute.
    watched: Vec<PathBuf>,
    components: BTreeSet<PathBuf>,
    /// What is packed as it is, besides what every app has.
    schemas: BTreeSet<PathBuf>,
    static_folder: Option<PathBuf>,
    seed: Option<PathBuf>,
}

impl Files {
    /// Of a manifest that cannot be read, nothing is known but where it is.
    pub fn of(folder: &Path, app: Option<&App>, seed: Option<&Path>) -> Files {
        let at = |path: &str| plain(&folder.join(path));
        let build = app.and_then(|app| app.build.as_ref());
        let commands = app.iter().flat_map(|app| app.commands.values());
        Files {
            app: folder.to_owned(),
            watched: build.map(|build| build.watch.iter().map(|path| at(path)).collect()).unwrap_or_default(),
            components: app.iter().flat_map(|app| app.components.values()).map(|path| at(path)).collect(),
            schemas: commands.map(|command| at(&command.schema)).collect(),
            static_folder: app.and_then(|app| app.static_folder.as_deref()).map(at),
            seed: seed.map(plain),
        }
    }

    pub fn app(&self) -> &Path {
        &self.app
    }

    /// The folders that are looked after, with all below them that is not [`Files::is_left_alone`].
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.app.clone()];
        folders.extend(self.watched.iter().filter(|folder| !folder.starts_with(&self.app)).cloned());
        // A seed may lie elsewhere.
        folders.extend(self.seed.iter().filter_map(|seed| Some(seed.parent()?.to_owned())));
        folders
    }

    /// Tools' folders, hidden files, editors' copies, and what the build makes.
    pub fn is_left_alone(&self, path: &Path) -> bool {
        let root = self.root_of(path).unwrap_or(&self.app);
        let below = path.strip_prefix(root).unwrap_or(path);
        let tool = below.components().any(|part| {
            let Component::Normal(name) = part else { return false };
            let name = name.to_string_lossy();
            TOOLS.contains(&name.as_ref()) || name.starts_with('.')
        });
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let editors = name.ends_with('~')
            || name.starts_with('#')
            || [".swp", ".swx", ".swo", ".tmp", ".bak"].iter().any(|end| name.ends_with(end))
            // Vim tries out whether it can write, by this name.
            || name == "4913";
        tool || editors || self.components.contains(path)
    }

    /// What a change of this file asks for; nothing if it is none of the app's.
    pub fn change(&self, path: &Path) -> Option<Change> {
        if self.seed.as_deref() == Some(path) {
            return Some(Change::Push);
        }
        self.root_of(path)?;
        if self.is_left_alone(path) {
            return None;
        }
        let packed = |file: &str| path == self.app.join(file);
        if packed(app::FILE_NAME) || packed(queries::FILE_NAME) || packed(archive::SNAPSHOT) {
            return Some(Change::Push);
        }
        let migrations = self.app.join(archive::MIGRATIONS);
        let in_static = self.static_folder.as_ref().is_some_and(|folder| path.starts_with(folder));
        if path.starts_with(migrations) || in_static || self.schemas.contains(path) {
            return Some(Change::Push);
        }
        // Tests are of the app, not in it.
        (!path.starts_with(self.app.join("tests"))).then_some(Change::Build)
    }

    fn root_of(&self, path: &Path) -> Option<&Path> {
        // The innermost: a watched folder may lie inside a tool's.
        let watched = self.watched.iter().map(PathBuf::as_path);
        watched
            .chain([self.app.as_path()])
            .filter(|root| path.starts_with(root))
            .max_by_key(|root| root.as_os_str().len())
    }
}

/// A path without `.` and `..`, as far as it can be said without looking.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
name = "a"
hosts = ["a"]
static = "public"
[build]
command = "make"
watch = ["../sdk", "target/generated"]
[components]
pages = "../target/pages.wasm"
own = "built.wasm"
[commands.post]
component = "own"
schema = "schemas/post.json"
"#;

    #[test]
    fn each_file_asks_for_what_it_needs() {
        let app = App::parse(MANIFEST).unwrap();
        let files = Files::of(Path::new("/w/app"), Some(&app), Some(Path::new("/w/app/tests/seed.sql")));
        let change = |path: &str| files.change(Path::new(path));
        for path in [
            "/w/app/nearside.toml",
            "/w/app/queries.sql",
            "/w/app/snapshot.sql",
            "/w/app/migrations/1.sql",
            "/w/app/public/a/b.css",
            "/w/app/schemas/post.json",
            "/w/app/tests/seed.sql",
        ] {
            assert_eq!(change(path), Some(Change::Push), "{path}");
        }
        for path in ["/w/app/src/lib.rs", "/w/app/Cargo.toml", "/w/sdk/src/lib.rs", "/w/app/target/generated/x.rs"] {
            assert_eq!(change(path), Some(Change::Build), "{path}");
        }
        for path in [
            "/w/app/target/x.rs",
            "/w/sdk/target/x.rs",
            "/w/app/node_modules/a/index.js",
            "/w/app/.git/HEAD",
            "/w/app/.nearside/dev/x",
            "/w/app/src/.lib.rs.swp",
            "/w/app/src/lib.rs~",
            "/w/app/src/4913",
            "/w/app/built.wasm",
            "/w/target/pages.wasm",
            "/w/app/tests/home.hurl",
            "/elsewhere/lib.rs",
        ] {
            assert_eq!(change(path), None, "{path}");
        }
        assert_eq!(Change::Build.max(Change::Push), Change::Build);
    }
}

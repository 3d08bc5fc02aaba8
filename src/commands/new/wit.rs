//! The interfaces a component is built against, WASI's among them.

use super::{Files, embedded};

/// As they lie in the repository: `sql.wit`, `deps/http.wit`.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    embedded::WIT.iter().copied()
}

/// For an app that brings a world of its own in `wit/`: everything else is what that world depends on.
pub(super) fn add_as_dependencies(files: &mut Files) {
    files.extend(self::files().map(|(path, text)| {
        let place = if path.starts_with("deps/") { format!("wit/{path}") } else { format!("wit/deps/nearside/{path}") };
        (place, text.to_owned())
    }));
}

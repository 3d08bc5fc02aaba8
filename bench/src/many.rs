//! Many small apps of one origin: the shelf of books that docs/build-an-app.md builds, each under a name, with a database and a
//! host of its own, and of the same three components.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::limits::{MANY_TIMEOUT, SHOWN_POLL};
use crate::nearside::{Cluster, Setup};
use crate::request::Request;

const APP: &str = "modules/shelf";
const BUILT: &str = "modules/target/wasm32-wasip2/release";
/// What the manifest calls its components' files, but for the name.
const BUILT_PREFIX: &str = "../target/wasm32-wasip2/release/shelf_";
const COMPONENTS: [&str; 3] = ["pages", "commands", "tasks"];
const AS_IT_IS: [&str; 5] = ["migrations", "schemas", "static", "queries.sql", "snapshot.sql"];

/// An origin and a node with so many of them.
#[derive(Debug)]
pub struct Many {
    pub cluster: Cluster,
    folders: Vec<PathBuf>,
}

/// Where they come from and go to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub root: &'a Path,
    pub scratch: &'a Path,
    pub program: &'a Path,
    /// The node's cache.
    pub cache_mib: Option<u32>,
}

impl Many {
    pub async fn start(count: usize, place: &Place<'_>) -> Result<Many> {
        let folders = (0..count).map(|number| make(place, number)).collect::<Result<Vec<_>>>()?;
        let Place { scratch, program, cache_mib, .. } = *place;
        let first = folders.first().context("BUG: no app at all")?;
        let setup = Setup { program, app: first, name: &name(0), data: None, scratch, cache_mib, webhook: None };
        let many = Many { cluster: Cluster::start(&setup).await?, folders };
        // As many at once as an origin takes.
        let next = AtomicUsize::new(1);
        tokio::try_join!(many.push_from(&next), many.push_from(&next))?;
        many.all_are_served().await?;
        Ok(many)
    }

    async fn push_from(&self, next: &AtomicUsize) -> Result<()> {
        while let Some(folder) = self.folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            self.cluster.push(folder, &["--quick"]).await?;
        }
        Ok(())
    }

    pub fn count(&self) -> usize {
        self.folders.len()
    }

    /// Pushes another version of one of them: the same code, told something else.
    pub async fn push_version(&self, number: usize, version: usize) -> Result<()> {
        let file = self.folders[number].join("nearside.toml");
        let text = fs::read_to_string(&file).context("reading a manifest")?;
        let told = |line: &str| match line.starts_with("WEBHOOK_URL") {
            true => format!("WEBHOOK_URL = \"https://hooks.example/{version}\"\n"),
            false => format!("{line}\n"),
        };
        fs::write(&file, text.lines().map(told).collect::<String>()).context("writing a manifest")?;
        self.cluster.push(&self.folders[number], &["--quick"]).await.map(drop)
    }

    /// Waits until the node serves all of them.
    pub async fn all_are_served(&self) -> Result<()> {
        let deadline = Instant::now() + MANY_TIMEOUT;
        loop {
            // A node that has just been started does not listen yet.
            let served = self.cluster.apps_served().await.unwrap_or(0);
            if served == self.count() {
                return Ok(());
            }
            let late = format!("{served} of {} apps are served after {MANY_TIMEOUT:?}", self.count());
            ensure!(Instant::now() < deadline, "{late}:\n{}", self.cluster.log_tail());
            tokio::time::sleep(SHOWN_POLL).await;
        }
    }

    /// The first page of each, a list of its books.
    pub fn pages(&self) -> Vec<Request> {
        let page = |number| Request::get(&format!("{}.localhost", name(number)), "/", &[]);
        (0..self.count()).map(page).collect()
    }
}

fn name(number: usize) -> String {
    format!("shelf-{number:04}")
}

/// A folder that can be pushed.
fn make(place: &Place<'_>, number: usize) -> Result<PathBuf> {
    let (from, folder) = (place.root.join(APP), place.scratch.join("apps").join(name(number)));
    let from = from.canonicalize().with_context(|| format!("finding {}", from.display()))?;
    fs::create_dir_all(&folder).context("making an app's folder")?;
    let linked = |from: PathBuf, name: &str| {
        symlink(&from, folder.join(name)).with_context(|| format!("making a link to {}", from.display()))
    };
    AS_IT_IS.iter().try_for_each(|name| linked(from.join(name), name))?;
    let built = place.root.join(BUILT).canonicalize().context("finding components: scripts/bench builds them")?;
    for component in COMPONENTS {
        linked(built.join(format!("shelf_{component}.wasm")), &format!("{component}.wasm"))?;
    }
    let text = fs::read_to_string(from.join("nearside.toml")).context("reading the app's manifest")?;
    fs::write(folder.join("nearside.toml"), manifest(&text, &name(number))).context("writing a manifest")?;
    Ok(folder)
}

/// The same under another name, with its components beside it and nothing to build.
fn manifest(text: &str, name: &str) -> String {
    let mut manifest = String::new();
    let mut is_build = false;
    for line in text.lines() {
        is_build = if line.starts_with('[') { line == "[build]" } else { is_build };
        match line.split_once(" = ").map(|(key, _)| key) {
            _ if is_build => continue,
            Some("name") => manifest += &format!("name = \"{name}\""),
            Some("hosts") => manifest += &format!("hosts = [\"{name}.localhost\"]"),
            _ => manifest += &line.replace(BUILT_PREFIX, ""),
        }
        manifest.push('\n');
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_and_nothing_to_build() {
        let text = "# A shelf\nname = \"shelf\"\nhosts = [\"a\"]\n\n[build]\ncommand = \"x\"\nwatch = []\n\n[components]\n\
            pages = \"../target/wasm32-wasip2/release/shelf_pages.wasm\"\n";
        let expected = "# A shelf\nname = \"shelf-0007\"\nhosts = [\"shelf-0007.localhost\"]\n\n[components]\npages = \"pages.wasm\"\n";
        assert_eq!(manifest(text, &name(7)), expected);
    }
}

//! Origins and nodes as real processes, each on free ports and with its own folder; they end with the test.

#![allow(dead_code, unreachable_pub)]

pub mod app;
pub mod desk;
pub mod http;
pub mod mirror;
pub mod node;
pub mod origin;
pub mod packages;
pub mod probe;
pub mod process;

use std::{
    path::Path,
    time::{Duration, Instant},
};

#[allow(unused_imports)]
pub use app::{App, module};
pub use node::Node;
pub use origin::Origin;

/// Longer than anything takes on a slow machine that does other things as well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An origin and its nodes.
pub struct Site {
    pub origin: Origin,
    pub nodes: Vec<Node>,
    pub folder: tempfile::TempDir,
}

impl Site {
    /// With these apps pushed, and ready to answer for all of them at each node.
    pub fn start(apps: &[&Path], nodes: &[&str]) -> Site {
        Site::configured("", apps, nodes)
    }

    /// `settings` is what the origin's configuration says of single apps.
    pub fn configured(settings: &str, apps: &[&Path], nodes: &[&str]) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::start(folder.path(), settings);
        apps.iter().for_each(|app| origin.push(app).went_well());
        let nodes: Vec<Node> = nodes.iter().map(|name| Node::start(folder.path(), name, Some(&origin))).collect();
        nodes.iter().for_each(|node| node.wait_for_apps(apps.len()));
        Site { origin, nodes, folder }
    }

    /// The probe app at these nodes.
    pub fn probe(nodes: &[&str]) -> Site {
        Site::start(&[&module("probe")], nodes)
    }
}

/// Asks until there is an answer; panics when there is none in time.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! A node process, and what its visitors and its operator see.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use super::{
    Origin, eventually,
    http::{self, Answer},
    process::{Process, text},
};

pub struct Node {
    name: String,
    folder: PathBuf,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub process: Process,
}

impl Node {
    /// Keeps all it has in a folder of its name below `folder`.
    pub fn start(folder: &Path, name: &str, origin: Option<&Origin>) -> Node {
        match origin {
            Some(origin) => {
                Node::start_with(folder, name, &["--origin", &origin.url(), "--token-file", text(&origin.token_file())])
            }
            None => Node::start_with(folder, name, &[]),
        }
    }

    /// The same, with someone between it and the origin.
    pub fn start_at(folder: &Path, name: &str, url: &str, token: &Path) -> Node {
        Node::start_with(folder, name, &["--origin", url, "--token-file", text(token)])
    }

    pub fn start_with(folder: &Path, name: &str, more: &[&str]) -> Node {
        Node::launch(folder, name, "127.0.0.1:0", more).unwrap_or_else(|log| panic!("{name} does not start:\n{log}"))
    }

    /// One that tells its siblings where they reach it.
    pub fn start_reachable(folder: &Path, name: &str, more: &[&str]) -> Node {
        eventually("a node starts at an address it knows beforehand", || {
            // The port is free for a moment: somebody else may take it.
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let url = format!("http://{free}");
            Node::launch(folder, name, &free, &[more, &["--admin-url", &url]].concat()).ok()
        })
    }

    /// One that operators reach at this address.
    pub fn start_admin(folder: &Path, name: &str, admin: &str, more: &[&str]) -> Node {
        Node::launch(folder, name, admin, more).unwrap_or_else(|log| panic!("{name} does not start:\n{log}"))
    }

    /// The node; or what it logged, if it does not start.
    fn launch(folder: &Path, name: &str, admin: &str, more: &[&str]) -> Result<Node, String> {
        let log = folder.join(format!("{name}.log"));
        let data = folder.join(name);
        let arguments = ["host", "--name", name, "--listen", "127.0.0.1:0", "--admin", admin, "--data", text(&data)];
        let mut process = Process::start(&log, &[&arguments, more].concat());
        let mut address = || process.address();
        let (Some(visitors), Some(admin)) = (address(), address()) else { return Err(process.log_text()) };
        Ok(Node { name: name.to_owned(), folder: folder.to_owned(), address: visitors, admin, process })
    }

    /// Starts it again from its own folder, after it was killed or stopped.
    pub fn start_again(&mut self, origin: Option<&Origin>) {
        *self = Node::start(&self.folder, &self.name, origin);
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub fn get(&self, site: &str, path: &str) -> Answer {
        self.request(site, "GET", path, &[], "")
    }

    pub fn request(&self, site: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http::request(self.address, site, method, path, headers, body).unwrap()
    }

    /// What its admin address says of it.
    pub fn status(&self) -> serde_json::Value {
        let answer = http::request(self.admin, "admin", "GET", "/status", &[], "").unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The release of an app that it serves.
    pub fn release(&self, app: &str) -> Option<Release> {
        Release::parse(self.status()["apps"][app]["release"].as_str()?)
    }

    pub fn wait_for_apps(&self, count: usize) {
        eventually("the node serves its apps", || {
            (self.status()["apps"].as_object().unwrap().len() >= count).then_some(())
        });
    }

    /// Waits until it serves what the origin has published.
    pub fn wait_for(&self, release: Release, app: &str) {
        eventually(&format!("the node serves {release:?} of {app}"), || {
            self.release(app).filter(|served| *served >= release)
        });
    }
}

/// `epoch.seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(pub u64, pub u64);

impl Release {
    pub fn parse(text: &str) -> Option<Release> {
        let (epoch, seq) = text.split_once('.')?;
        Some(Release(epoch.parse().ok()?, seq.parse().ok()?))
    }

    /// The release an answer comes from.
    pub fn of(answer: &Answer) -> Release {
        Release::parse(answer.header("nearside-release")).unwrap_or_else(|| panic!("no release: {answer:?}"))
    }
}

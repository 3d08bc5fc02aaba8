//! Nearside as a contender: an origin, the app and a catalogue, if any, pushed to it, and one node.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::connection::fetch;
use crate::limits::READY_TIMEOUT;
use crate::process::Process;
use crate::request::Request;

pub(crate) const POLL: Duration = Duration::from_millis(50);
const APP: &str = "packages";

/// What is started, and how.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The `nearside` program.
    pub program: &'a Path,
    /// The app's folder, built.
    pub app: &'a Path,
    /// Data for the app, if it takes any.
    pub catalogue: Option<&'a Path>,
    pub scratch: &'a Path,
    /// The node's cache; its default if none.
    pub cache_mib: Option<u32>,
}

/// A running origin and node. The node is the contender; the origin idles beside it.
#[derive(Debug)]
pub struct Cluster {
    node: Process,
    _origin: Process,
    data: PathBuf,
    pub address: SocketAddr,
}

impl Cluster {
    pub async fn start(setup: &Setup<'_>) -> Result<Self> {
        let [origin_at, address, admin] = free_addresses()?;
        let origin_data = setup.scratch.join("origin");
        let mut command = Command::new(setup.program);
        command.args(["origin", "--listen", &origin_at.to_string(), "--data"]).arg(&origin_data);
        let mut origin = Process::spawn("origin", command, setup.scratch)?;
        let token = origin_data.join("token");
        wait_for_origin(&mut origin, origin_at, &token).await?;

        let url = format!("http://{origin_at}");
        let push = |what: &Path, options: &[&str]| {
            let mut command = Command::new(setup.program);
            command.arg("push").arg(what).args(options).args(["--origin", &url, "--token-file"]).arg(&token);
            command
        };
        Process::spawn("push-app", push(setup.app, &[]), setup.scratch)?.finish().await?;
        if let Some(catalogue) = setup.catalogue {
            Process::spawn("push-data", push(catalogue, &["--app", APP]), setup.scratch)?.finish().await?;
        }

        let data = setup.scratch.join("node");
        let mut command = Command::new(setup.program);
        command.args(["host", "--name", "a", "--listen", &address.to_string(), "--admin", &admin.to_string()]);
        command.args(["--origin", &url, "--token-file"]).arg(&token).arg("--data").arg(&data);
        if let Some(mib) = setup.cache_mib {
            command.args(["--cache-mib", &mib.to_string()]);
        }
        let mut node = Process::spawn("node", command, setup.scratch)?;
        wait_until_ready(&mut node, admin).await?;
        Ok(Self { node, _origin: origin, data, address })
    }

    pub fn node_process(&self) -> u32 {
        self.node.id()
    }

    /// The newest SQLite file the node has: the one its release was opened from.
    pub fn release_file(&self) -> Result<PathBuf> {
        let newest = newest_database(&self.data)?;
        newest.with_context(|| format!("the node has no *.db below {}", self.data.display()))
    }
}

/// Ports nobody listens on now. Another process may take one before it is used: its server then fails, and says so.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    // All are bound at once, so that no two are the same.
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port");
    let listeners = (0..N).map(bind).collect::<Result<Vec<_>>>()?;
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

async fn wait_for_origin(origin: &mut Process, address: SocketAddr, token: &Path) -> Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    while !token.exists() || tokio::net::TcpStream::connect(address).await.is_err() {
        origin.still_running()?;
        ensure!(Instant::now() < deadline, "the origin was not up within {READY_TIMEOUT:?}:\n{}", origin.log_tail());
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

async fn wait_until_ready(node: &mut Process, admin: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    let request = Request::get(&admin.to_string(), "/readyz", &[]);
    while !fetch(admin, &request).await.is_ok_and(|response| response.status == 200) {
        node.still_running()?;
        ensure!(Instant::now() < deadline, "the node was not ready within {READY_TIMEOUT:?}:\n{}", node.log_tail());
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn newest_database(directory: &Path) -> Result<Option<PathBuf>> {
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "db") {
                let modified = fs::metadata(&path)?.modified()?;
                if newest.as_ref().is_none_or(|(found, _)| modified > *found) {
                    newest = Some((modified, path));
                }
            }
        }
    }
    Ok(newest.map(|(_, path)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_database_wherever_it_lies() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(newest_database(directory.path()).unwrap(), None);
        let (old, new) = (directory.path().join("old.db"), directory.path().join("a/b/new.db"));
        fs::create_dir_all(new.parent().unwrap()).unwrap();
        fs::write(&new, "").unwrap();
        let earlier = SystemTime::now() - Duration::from_secs(60);
        fs::File::create(&old).unwrap().set_modified(earlier).unwrap();
        fs::write(directory.path().join("a/other.txt"), "").unwrap();
        assert_eq!(newest_database(directory.path()).unwrap(), Some(new));
    }

    #[test]
    fn addresses_differ() {
        let [a, b, c] = free_addresses().unwrap();
        assert!(a != b && b != c && a != c);
    }
}

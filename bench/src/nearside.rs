//! Nearside as a contender: an origin, an app and its data, if any, pushed to it, and one node.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::connection::fetch;
use crate::limits::{PUSH_TIMEOUT, READY_TIMEOUT};
use crate::origin::Origin;
use crate::process::Process;
use crate::request::Request;

pub(crate) const POLL: Duration = Duration::from_millis(50);

/// What is started, and how.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The `nearside` program.
    pub program: &'a Path,
    /// The app's folder, built, and the app's name.
    pub app: &'a Path,
    pub name: &'a str,
    /// Data for the app, if it takes any.
    pub data: Option<&'a Path>,
    pub scratch: &'a Path,
    /// The node's cache; its default if none.
    pub cache_mib: Option<u32>,
    /// Where the app's webhooks go, which is on this machine.
    pub webhook: Option<SocketAddr>,
}

/// A running origin and node. The node is the contender; the origin idles beside it.
#[derive(Debug)]
pub struct Cluster {
    /// None between its end and its next start.
    node: Option<Process>,
    origin_process: Process,
    program: PathBuf,
    scratch: PathBuf,
    cache_mib: Option<u32>,
    pub admin: SocketAddr,
    pub address: SocketAddr,
    pub origin: Origin,
}

/// Another node of the same origin, which ends with this.
#[derive(Debug)]
pub struct Beside {
    process: Process,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

/// Who another node is, where it is, and by which way it goes to the origin.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub name: &'a str,
    /// Below the cluster's.
    pub folder: &'a str,
    pub visitors: SocketAddr,
    pub admin: SocketAddr,
    pub origin: SocketAddr,
}

impl Beside {
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        wait_until_ready(&mut self.process, self.admin).await
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// What the node says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    /// Which release of the app it serves.
    pub release: String,
    /// What it pulled since it started.
    pub pulled_bytes: u64,
}

impl Cluster {
    pub async fn start(setup: &Setup<'_>) -> Result<Self> {
        let [origin_at, address, admin] = free_addresses()?;
        let origin_data = setup.scratch.join("origin");
        let config = setup.scratch.join("origin.toml");
        fs::write(&config, configuration(setup, origin_at)).context("writing the origin's configuration")?;
        let mut command = Command::new(setup.program);
        command.arg("origin").arg("--config").arg(&config);
        let mut origin_process = Process::spawn("origin", command, setup.scratch)?;
        let token = origin_data.join("token");
        wait_for_origin(&mut origin_process, origin_at, &token).await?;
        let token = fs::read_to_string(&token).context("reading the origin's token")?.trim().to_owned();
        let origin = Origin { address: origin_at, token, app: setup.name.to_owned() };
        let mut cluster = Self {
            node: None,
            origin_process,
            program: setup.program.to_owned(),
            scratch: setup.scratch.to_owned(),
            cache_mib: setup.cache_mib,
            admin,
            address,
            origin,
        };
        cluster.push(setup.app, &[]).await?;
        if let Some(data) = setup.data {
            cluster.push(data, &["--app", setup.name]).await?;
        }
        cluster.start_node()?;
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// `nearside push`; what it printed.
    pub async fn push(&self, what: &Path, options: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("push").arg(what).args(options).args(["--origin", &format!("http://{}", self.origin.address)]);
        command.arg("--token-file").arg(self.token_file());
        Process::spawn("push", command, &self.scratch)?.finish_within(PUSH_TIMEOUT).await
    }

    /// Starts the node, and does not wait for it.
    pub fn start_node(&mut self) -> Result<()> {
        let (visitors, admin, origin) = (self.address, self.admin, self.origin.address);
        let place = Place { name: "a", folder: "node", visitors, admin, origin };
        self.node = Some(self.spawn_node(&place, self.cache_mib, &[])?);
        Ok(())
    }

    /// Starts another node of the same origin, and waits until it is ready.
    pub async fn start_beside(&self, name: &str, cache_mib: Option<u32>) -> Result<Beside> {
        self.start_beside_with(name, cache_mib, &[]).await
    }

    /// The same with more to say to it.
    pub async fn start_beside_with(&self, name: &str, cache_mib: Option<u32>, more: &[&str]) -> Result<Beside> {
        let [visitors, admin] = free_addresses()?;
        let place = Place { name, folder: &format!("node-{name}"), visitors, admin, origin: self.origin.address };
        let mut node = self.start_at(&place, cache_mib, more)?;
        node.wait_until_ready().await?;
        Ok(node)
    }

    /// The same at addresses that are known beforehand. It is not waited for.
    pub fn start_at(&self, place: &Place<'_>, cache_mib: Option<u32>, more: &[&str]) -> Result<Beside> {
        let process = self.spawn_node(place, cache_mib, more)?;
        Ok(Beside { process, address: place.visitors, admin: place.admin })
    }

    fn spawn_node(&self, place: &Place<'_>, cache_mib: Option<u32>, more: &[&str]) -> Result<Process> {
        let Place { name, folder, visitors, admin, origin } = place;
        let mut command = Command::new(&self.program);
        command.args(["host", "--name", name, "--listen", &visitors.to_string()]);
        command.args(["--admin", &admin.to_string(), "--origin", &format!("http://{origin}")]);
        command.arg("--token-file").arg(self.token_file()).arg("--data").arg(self.scratch.join(folder));
        if let Some(mib) = cache_mib {
            command.args(["--cache-mib", &mib.to_string()]);
        }
        command.args(more);
        Process::spawn(folder, command, &self.scratch)
    }

    /// Kills the node.
    pub fn stop_node(&mut self) {
        self.node = None;
    }

    pub fn node_process(&self) -> Result<u32> {
        Ok(self.node.as_ref().context("BUG: the node is not running")?.id())
    }

    pub fn origin_process(&self) -> u32 {
        self.origin_process.id()
    }

    pub async fn status(&self) -> Result<NodeStatus> {
        self.status_at(self.admin).await
    }

    /// What the node with this admin address says of itself.
    pub async fn status_at(&self, admin: SocketAddr) -> Result<NodeStatus> {
        let request = Request::get(&admin.to_string(), "/status", &[]);
        let response = fetch(admin, &request).await?;
        request.verify(&response)?;
        let status: Value = serde_json::from_slice(response.body()).context("reading the node's status")?;
        let release = status["apps"][&self.origin.app]["release"].as_str().context("the node serves no release")?;
        let pulled_bytes = status["pulled_bytes"].as_u64().context("the node does not say what it pulled")?;
        Ok(NodeStatus { release: release.to_owned(), pulled_bytes })
    }

    /// How many apps the node serves.
    pub async fn apps_served(&self) -> Result<usize> {
        let request = Request::get(&self.admin.to_string(), "/status", &[]);
        let response = fetch(self.admin, &request).await?;
        request.verify(&response)?;
        let status: Value = serde_json::from_slice(response.body()).context("reading the node's status")?;
        Ok(status["apps"].as_object().context("the node does not say what it serves")?.len())
    }

    /// The SQLite file of the release that the node serves.
    pub async fn export(&self, to: &Path) -> Result<()> {
        self.origin.export(&self.status().await?.release, to).await
    }

    pub async fn wait_until_ready(&mut self) -> Result<()> {
        self.origin_process.still_running()?;
        wait_until_ready(self.node.as_mut().context("BUG: the node is not running")?, self.admin).await
    }

    /// Fails with the log of whoever has ended.
    pub fn still_running(&mut self) -> Result<()> {
        self.origin_process.still_running()?;
        self.node.as_mut().context("BUG: the node is not running")?.still_running()
    }

    /// The end of the node's log.
    pub fn log_tail(&self) -> String {
        self.node.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    fn token_file(&self) -> PathBuf {
        self.scratch.join("origin/token")
    }
}

/// The origin's, beside its folder.
fn configuration(setup: &Setup<'_>, listen: SocketAddr) -> String {
    let mut text = format!("listen = \"{listen}\"\ndata = \"origin\"\n");
    if let Some(webhook) = setup.webhook {
        text += &format!(
            "[apps.{}]\nvariables = {{ WEBHOOK_URL = \"http://{webhook}/reviews\" }}\nallow_private = [\"{webhook}\"]\n",
            setup.name,
        );
    }
    text
}

async fn wait_until_ready(node: &mut Process, admin: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    let request = Request::get(&admin.to_string(), "/readyz", &[]);
    while !fetch(admin, &request).await.is_ok_and(|response| response.status == 200) {
        node.still_running()?;
        let late = format!("the node was not ready within {READY_TIMEOUT:?}");
        ensure!(Instant::now() < deadline, "{late}:\n{}", node.log_tail());
        tokio::time::sleep(POLL).await;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_differ() {
        let [a, b, c] = free_addresses().unwrap();
        assert!(a != b && b != c && a != c);
    }
}

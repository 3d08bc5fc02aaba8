//! An origin and two nodes, as processes of their own, with the package directory on them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    http::{self, Answer},
    process::{Process, nearside},
    sink::Sink,
};

/// How long the origin may take to have its port again.
const AGAIN: Duration = Duration::from_secs(10);
pub const APP: &str = "modules/packages";
pub const SITE: &str = "packages.localhost";

/// Whether people will look for the site, or a check that takes what is free.
#[derive(Clone, Copy, PartialEq)]
pub enum Ports {
    WellKnown,
    Free,
}

pub struct Site {
    pub origin: Process,
    pub a: Node,
    pub b: Node,
    pub sink: Sink,
    folder: PathBuf,
    origin_url: String,
}

pub struct Node {
    process: Process,
    pub address: SocketAddr,
    admin: SocketAddr,
}

impl Site {
    /// Starts everything anew below `.nearside/demo`.
    pub fn start(catalogue: &Path, ports: Ports) -> anyhow::Result<Site> {
        let folder = PathBuf::from(".nearside/demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let sink = Sink::start()?;
        let listen = if ports == Ports::WellKnown { "127.0.0.1:7600" } else { "127.0.0.1:0" };
        let (origin, origin_url) = start_origin(&folder, &sink, listen)?;
        push(&folder, &origin_url, &[APP])?;
        let file = catalogue.to_str().context("the catalogue's path is not UTF-8")?;
        push(&folder, &origin_url, &[file, "--app", "packages"])?;
        let a = Node::start(&folder, "a", &origin_url, ports, 8080)?;
        let b = Node::start(&folder, "b", &origin_url, ports, 8090)?;
        let site = Site { origin, a, b, sink, folder, origin_url };
        site.a.wait_until_ready()?;
        site.b.wait_until_ready()?;
        Ok(site)
    }

    pub fn status_command(&self) -> String {
        let (origin, token) = (&self.origin_url, self.folder.join("origin/token"));
        let nodes = [&self.a, &self.b].map(|node| format!("--node http://{}", node.admin)).join(" ");
        format!("target/release/nearside status --origin {origin} --token-file {} {nodes}", token.display())
    }

    /// At the address its nodes know, after it was killed.
    pub fn start_origin_again(&mut self) -> anyhow::Result<()> {
        let listen = self.origin_url.strip_prefix("http://").context("the origin's address")?;
        let deadline = Instant::now() + AGAIN;
        // Its port was free for a moment: someone else's connection may be leaving from it.
        loop {
            match start_origin(&self.folder, &self.sink, listen) {
                Ok((origin, _)) => {
                    self.origin = origin;
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Stops the nodes, then the origin; fails if one of them does not go in time.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.a.process.stop()?;
        self.b.process.stop()?;
        self.origin.stop()
    }
}

fn start_origin(folder: &Path, sink: &Sink, listen: &str) -> anyhow::Result<(Process, String)> {
    let config = folder.join("origin.toml");
    // The webhook goes to this very machine, which an app may reach only because its operator says so.
    let Sink { address, secret, .. } = sink;
    let text = format!(
        "listen = \"{listen}\"\ndata = \"origin\"\n\n[apps.packages]\nvariables = {{ WEBHOOK_URL = \"http://{address}/reviews\" }}\n\
         allow_private = [\"{address}\"]\nsecrets = {{ WEBHOOK_KEY = \"{secret}\" }}\n"
    );
    std::fs::write(&config, text)?;
    let config = config.to_str().context("this folder's path is not UTF-8")?;
    let mut origin = Process::start("origin", &folder.join("origin.log"), &["origin", "--config", config])?;
    let url = format!("http://{}", origin.address()?);
    Ok((origin, url))
}

fn push(folder: &Path, origin: &str, what: &[&str]) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut command = Command::new(nearside()?);
    command.arg("push").args(what).args(["--origin", origin, "--token-file"]).arg(folder.join("origin/token"));
    let output = command.output()?;
    if !output.status.success() {
        bail!("pushing {} failed: {}", what[0], String::from_utf8_lossy(&output.stderr));
    }
    println!("  pushed     {} in {:.1} s", what[0], started.elapsed().as_secs_f64());
    Ok(())
}

impl Node {
    fn start(folder: &Path, name: &str, origin: &str, ports: Ports, port: u16) -> anyhow::Result<Node> {
        let listen = |port: u16| format!("127.0.0.1:{}", if ports == Ports::WellKnown { port } else { 0 });
        let (listen, admin) = (listen(port), listen(port + 1));
        let data = folder.join(name);
        let token = folder.join("origin/token");
        let text = |path: &Path| path.to_str().map(str::to_owned).context("this folder's path is not UTF-8");
        let (data, token) = (text(&data)?, text(&token)?);
        let arguments = [
            "host",
            "--name",
            name,
            "--listen",
            &listen,
            "--admin",
            &admin,
            "--origin",
            origin,
            "--token-file",
            &token,
            "--data",
            &data,
        ];
        let mut process = Process::start(name, &folder.join(format!("{name}.log")), &arguments)?;
        let address = process.address()?;
        let admin = process.address()?;
        Ok(Node { process, address, admin })
    }

    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        while http::request(self.admin, "admin", "GET", "/readyz", &[], "").map_or(0, |answer| answer.status) != 200 {
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the node at {} has no release after a minute; see its log", self.address);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        Ok(http::request(self.address, SITE, "GET", path, headers, "")?)
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> anyhow::Result<Answer> {
        let form_type = ("Content-Type", "application/x-www-form-urlencoded");
        Ok(http::request(self.address, SITE, "POST", path, &[&[form_type], headers].concat(), form)?)
    }
}

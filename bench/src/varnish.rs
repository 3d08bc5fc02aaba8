//! Varnish as a contender: this machine's own, an ordinary process in memory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::nearside::free_addresses;
use crate::peer_cache::{Fronted, Keeps};
use crate::process::Process;

const INSTALL: &str = "apt-get install varnish";

/// The manager and the one child that does the work, which ends with it.
#[derive(Debug)]
pub struct Varnish {
    process: Process,
    pub address: SocketAddr,
    /// Its version and what it was told, for the report.
    pub about: String,
}

impl Varnish {
    pub async fn start(fronted: &Fronted<'_>, scratch: &Path) -> Result<Self> {
        let version = installed()?;
        let [address] = free_addresses()?;
        let own = scratch.join(format!("varnish-{}", fronted.name));
        fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
        let file = own.join("bench.vcl");
        fs::write(&file, vcl(fronted)).context("writing Varnish's configuration")?;
        let storage = format!("malloc,{}m", fronted.mib);
        let mut command = Command::new(program()?);
        // Without a jail: the scratch folder is readable by its owner alone. `-T none`: nobody listens for operators.
        command.args(["-j", "none", "-F", "-T", "none", "-n"]).arg(own.join("work")).arg("-f").arg(&file);
        command.args(["-a", &address.to_string(), "-s", &storage]);
        // It would otherwise take brotli out of what a client accepts.
        command.args(["-p", "http_gzip_support=off", "-p", "thread_pool_min=200"]);
        let mut process = Process::spawn(&format!("varnish-{}", fronted.name), command, scratch)?;
        process.takes_connections(address).await?;
        let about = format!("{version}: -s {storage}, http_gzip_support=off, 200 threads a pool ready");
        Ok(Self { process, address, about })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Where it is: a distribution puts it where only the operator's path looks.
fn program() -> Result<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    folders.push("/usr/sbin".into());
    let found = folders.into_iter().map(|folder| folder.join("varnishd")).find(|path| path.is_file());
    found.with_context(|| format!("there is no varnishd: {INSTALL}"))
}

fn installed() -> Result<String> {
    let output = Command::new(program()?).arg("-V").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("varnishd does not start: {INSTALL}"))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    told(&text).with_context(|| format!("`varnishd -V` does not say its version: {text}"))
}

/// `varnishd (varnish-7.1.1 revision ...)`.
fn told(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('(')?;
    rest.split([' ', ')']).next().filter(|version| version.starts_with("varnish")).map(str::to_owned)
}

/// The built-in rules follow where a subroutine does not return.
fn vcl(fronted: &Fronted<'_>) -> String {
    let (host, port) = (fronted.upstream.ip(), fronted.upstream.port());
    let keeps = match fronted.keeps {
        Keeps::Everything => {
            "sub vcl_recv { return (hash); }
sub vcl_backend_response { set beresp.ttl = 1h; set beresp.grace = 0s; unset beresp.http.Vary; return (deliver); }
"
        }
        Keeps::ForASecond => "sub vcl_backend_response { set beresp.ttl = 1s; set beresp.grace = 1s; }\n",
        Keeps::AsSaid => "sub vcl_backend_response { set beresp.grace = 0s; }\n",
    };
    format!(
        "vcl 4.1;\nbackend upstream {{ .host = \"{host}\"; .port = \"{port}\"; .max_connections = 2000; }}\n{keeps}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varnish_says_of_itself() {
        let text = "varnishd (varnish-7.1.1 revision 7cee1c)\nCopyright (c) 2006 Verdens Gang AS\n";
        assert_eq!(told(text), Some("varnish-7.1.1".to_owned()));
        assert_eq!(told("nonsense (really)"), None);
    }
}

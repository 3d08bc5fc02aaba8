//! nginx as a contender: this machine's own, serving a folder as a careful operator would have it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::limits::READY_TIMEOUT;
use crate::nearside::{POLL, free_addresses};
use crate::process::Process;

const BROTLI_MODULE: &str = "ngx_http_brotli_static_module.so";
const INSTALL: &str = "apt-get install nginx libnginx-mod-http-brotli-static";

/// A running nginx: a master, and as many workers as the machine has cores, like a node has threads.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    pub address: SocketAddr,
    /// Its version and what it was told, for the report.
    pub about: String,
}

impl Nginx {
    /// Serves `root`, with `*.br` beside the files for those who take brotli.
    pub async fn start(root: &Path, scratch: &Path) -> Result<Self> {
        let (version, modules) = installed()?;
        let module = modules.join(BROTLI_MODULE);
        ensure!(module.is_file(), "{} is not there: {INSTALL}", module.display());
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let [address] = free_addresses()?;
        let own = scratch.join("nginx");
        fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
        let file = own.join("nginx.conf");
        fs::write(&file, configuration(&module, workers, address, root)).context("writing nginx's configuration")?;

        let mut command = Command::new("nginx");
        command.arg("-p").arg(&own).arg("-c").arg(&file).args(["-e", "stderr"]);
        let mut process = Process::spawn("nginx", command, scratch)?;
        let deadline = Instant::now() + READY_TIMEOUT;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            process.still_running()?;
            ensure!(Instant::now() < deadline, "nginx was not up within {READY_TIMEOUT:?}:\n{}", process.log_tail());
            tokio::time::sleep(POLL).await;
        }
        let about = format!("{version}: {workers} workers, sendfile, open_file_cache, brotli_static, no access log");
        Ok(Self { process, address, about })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Its version, and where its modules lie.
fn installed() -> Result<(String, PathBuf)> {
    let output = Command::new("nginx").arg("-V").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("nginx does not start: {INSTALL}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    told(&text).with_context(|| format!("`nginx -V` says neither its version nor --modules-path: {text}"))
}

/// `nginx version: nginx/1.22.1` and, among the arguments, `--modules-path=DIR`.
fn told(text: &str) -> Option<(String, PathBuf)> {
    let version = text.lines().find_map(|line| line.strip_prefix("nginx version: "))?.trim().to_owned();
    let modules = text.split_ascii_whitespace().find_map(|word| word.strip_prefix("--modules-path="))?;
    Some((version, modules.into()))
}

/// Every worker keeps its files open and its connections for ever; nothing is logged.
fn configuration(module: &Path, workers: usize, address: SocketAddr, root: &Path) -> String {
    let (module, root) = (module.display(), root.display());
    format!(
        "daemon off;
# The scratch folder is readable by its owner alone; without privileges this line says nothing.
user root root;
worker_processes {workers};
pid nginx.pid;
load_module {module};
events {{ worker_connections 4096; }}
http {{
    types {{ text/css css; text/javascript js; }}
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    open_file_cache max=100 inactive=600s;
    open_file_cache_valid 600s;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {address} backlog=1024;
        root {root};
        brotli_static on;
        location / {{ add_header Cache-Control no-cache; }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nginx_says_of_itself() {
        let text = "nginx version: nginx/1.22.1\nbuilt with OpenSSL\n\
            configure arguments: --prefix=/usr/share/nginx --modules-path=/usr/lib/nginx/modules --with-x\n";
        assert_eq!(told(text), Some(("nginx/1.22.1".to_owned(), PathBuf::from("/usr/lib/nginx/modules"))));
        assert_eq!(told("nonsense"), None);
    }
}

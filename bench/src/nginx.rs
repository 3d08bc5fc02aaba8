//! nginx as a contender: this machine's own, as a careful operator would have it, serving a folder or caching for a
//! plain server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::nearside::free_addresses;
use crate::peer_cache::{Fronted, Keeps};
use crate::process::Process;

const BROTLI_MODULE: &str = "ngx_http_brotli_static_module.so";
const INSTALL: &str = "apt-get install nginx";
const INSTALL_BROTLI: &str = "apt-get install nginx libnginx-mod-http-brotli-static";
/// A folder in memory, on Linux.
const SHARED_MEMORY: &str = "/dev/shm";
/// From its signal to its end.
const END_WAIT: Duration = Duration::from_secs(2);

/// A running nginx: a master, and as many workers as the machine has cores, like a node has threads.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    pub address: SocketAddr,
    /// Its version and what it was told, for the report.
    pub about: String,
    /// What it caches, which is gone with it.
    _memory: Option<TempDir>,
}

impl Nginx {
    /// Serves `root`, with `*.br` beside the files for those who take brotli.
    pub async fn start(root: &Path, scratch: &Path) -> Result<Self> {
        let (version, modules) = installed()?;
        let module = modules.join(BROTLI_MODULE);
        ensure!(module.is_file(), "{} is not there: {INSTALL_BROTLI}", module.display());
        let about =
            format!("{version}: {} workers, sendfile, open_file_cache, brotli_static, no access log", workers());
        let load = format!("load_module {};\n", module.display());
        Self::run("nginx", &load, |address| files(address, root), about, None, scratch).await
    }

    /// Caches in memory what `fronted.upstream` says. With `lock`, only one request at a time fills an entry.
    pub async fn cache(fronted: &Fronted<'_>, lock: bool, scratch: &Path) -> Result<Self> {
        let (version, _) = installed()?;
        let shared = Path::new(SHARED_MEMORY);
        let folder = if shared.is_dir() { shared } else { scratch };
        let memory = tempfile::Builder::new().prefix("nearside-bench-").tempdir_in(folder);
        let memory = memory.context("making a folder for nginx's cache")?;
        let keeps = match fronted.keeps {
            Keeps::Everything | Keeps::AsSaid => "",
            Keeps::ForASecond => ", proxy_cache_valid 200 1s, proxy_cache_use_stale updating",
        };
        let about = format!(
            "{version}: {} workers, proxy_cache of {} MiB below {}, sendfile, open_file_cache, keepalive, \
             proxy_cache_lock {}{keeps}, no access log",
            workers(),
            fronted.mib,
            folder.display(),
            on_off(lock),
        );
        let path = memory.path().join("cache");
        let name = format!("nginx-{}", fronted.name);
        let site = |address| cache(address, fronted, lock, &path);
        Self::run(&name, "", site, about, Some(memory), scratch).await
    }

    async fn run(
        name: &str,
        modules: &str,
        site: impl FnOnce(SocketAddr) -> String,
        about: String,
        memory: Option<TempDir>,
        scratch: &Path,
    ) -> Result<Self> {
        let [address] = free_addresses()?;
        let own = scratch.join(name);
        fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
        let file = own.join("nginx.conf");
        fs::write(&file, configuration(modules, &site(address))).context("writing nginx's configuration")?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&own).arg("-c").arg(&file).args(["-e", "stderr"]);
        let mut process = Process::spawn(name, command, scratch)?;
        process.takes_connections(address).await?;
        Ok(Self { process, address, about, _memory: memory })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers outlive a master that is killed, which is what the guard of a process does.
        let _ = Command::new("kill").arg(self.id().to_string()).stdin(Stdio::null()).status();
        let deadline = Instant::now() + END_WAIT;
        while self.process.still_running().is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
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
fn configuration(modules: &str, site: &str) -> String {
    let workers = workers();
    format!(
        "daemon off;
# The scratch folder is readable by its owner alone; without privileges this line says nothing.
user root root;
worker_processes {workers};
pid nginx.pid;
{modules}events {{ worker_connections 4096; }}
http {{
    types {{ text/css css; text/javascript js; }}
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    open_file_cache max=20000 inactive=600s;
    open_file_cache_valid 600s;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{site}}}
"
    )
}

fn files(address: SocketAddr, root: &Path) -> String {
    let root = root.display();
    format!(
        "    server {{
        listen {address} backlog=1024;
        root {root};
        brotli_static on;
        location / {{ add_header Cache-Control no-cache; }}
    }}
"
    )
}

fn cache(address: SocketAddr, fronted: &Fronted<'_>, lock: bool, path: &Path) -> String {
    let (upstream, mib, path, lock) = (fronted.upstream, fronted.mib, path.display(), on_off(lock));
    let keeps = match fronted.keeps {
        Keeps::Everything => "proxy_cache_valid 200 1h; proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;",
        Keeps::AsSaid => "",
        Keeps::ForASecond => {
            "proxy_cache_valid 200 1s; proxy_cache_use_stale updating; client_max_body_size 8m; client_body_buffer_size 1m;"
        }
    };
    format!(
        "    proxy_cache_path {path} levels=1:2 keys_zone=pages:32m max_size={mib}m inactive=1h use_temp_path=off;
    upstream plain {{ server {upstream}; keepalive 64; }}
    server {{
        listen {address} backlog=1024;
        location / {{
            proxy_pass http://plain;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_cache pages;
            proxy_cache_key $request_uri;
            proxy_cache_lock {lock};
            add_header X-Cache $upstream_cache_status;
            {keeps}
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

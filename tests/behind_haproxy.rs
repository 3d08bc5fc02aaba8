//! Three nodes behind HAProxy, with the configuration that docs/deploy has: one is killed under load, and all are restarted one
//! after the other. SKIPPED, and said so, where there is no HAProxy: apt-get install haproxy

mod support;

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use support::{
    Site, eventually, http, probe,
    process::{Process, text},
};

const CONFIGURATION: &str = include_str!("../docs/deploy/haproxy.cfg");
/// What a killed node may cost, and for how long.
const FAILURES_END_AFTER: Duration = Duration::from_secs(2);
const VISITORS: usize = 4;

/// One that keeps its addresses when it is started again.
struct Node {
    name: &'static str,
    /// Visitors', operator's, balancer's.
    addresses: [SocketAddr; 3],
    arguments: Vec<String>,
    log: std::path::PathBuf,
    process: Process,
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

impl Node {
    fn start(site: &Site, name: &'static str) -> Node {
        let addresses = free_addresses();
        let [listen, admin, agent] = addresses.map(|address| address.to_string());
        let (data, token) = (site.folder.path().join(name), site.origin.token_file());
        let arguments: Vec<String> = [
            ["host", "--name", name, "--listen", &listen, "--admin", &admin, "--agent", &agent],
            [
                "--unready-ms",
                "1500",
                "--data",
                text(&data),
                "--origin",
                &site.origin.url(),
                "--token-file",
                text(&token),
                "",
            ],
        ]
        .concat()
        .into_iter()
        .filter(|argument| !argument.is_empty())
        .map(str::to_owned)
        .collect();
        let log = site.folder.path().join(format!("{name}.log"));
        let process = launch(&log, &arguments);
        let node = Node { name, addresses, arguments, log, process };
        node.wait_until_ready();
        node
    }

    fn start_again(&mut self) {
        self.process = launch(&self.log, &self.arguments);
        self.wait_until_ready();
    }

    fn uptime_s(&self) -> u64 {
        self.try_uptime_s().unwrap()
    }

    fn try_uptime_s(&self) -> Option<u64> {
        let answer = http::request(self.addresses[1], "admin", "GET", "/status", &[], "").ok()?;
        serde_json::from_slice::<serde_json::Value>(&answer.body).ok()?["uptime_s"].as_u64()
    }

    fn wait_until_ready(&self) {
        eventually(&format!("{} is ready", self.name), || {
            let answer = http::request(self.addresses[1], "admin", "GET", "/readyz", &[], "").ok()?;
            (answer.status == 200).then_some(())
        });
    }
}

fn launch(log: &Path, arguments: &[String]) -> Process {
    Process::start(log, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

struct HaProxy {
    child: Child,
    address: SocketAddr,
}

impl HaProxy {
    /// The shipped configuration with other addresses; nothing if it is not installed.
    fn start(folder: &Path, nodes: &[Node]) -> Option<HaProxy> {
        let [address] = free_addresses();
        let mut configuration = CONFIGURATION.replace("bind :8000", &format!("bind {address}"));
        for (number, node) in nodes.iter().enumerate() {
            let [visitors, admin, agent] = node.addresses;
            let shipped = format!("10.0.0.{}:8080 port 8081 agent-port 8082", number + 1);
            assert!(configuration.contains(&shipped), "{shipped}");
            let here = format!("{visitors} port {} agent-port {}", admin.port(), agent.port());
            configuration = configuration.replace(&shipped, &here);
        }
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(folder.join("haproxy.log")).unwrap();
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f", text(&file)]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().ok()?;
        let mut proxy = HaProxy { child, address };
        eventually("HAProxy sends visitors on", || {
            let ended = proxy.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(folder.join("haproxy.log")).unwrap_or_default();
            assert!(ended.is_none(), "HAProxy has ended: {}", log());
            probe::try_get(address, "/hello").ok().filter(|answer| answer.status == 200).map(drop)
        });
        Some(proxy)
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What visitors noticed.
#[derive(Default)]
struct Seen {
    answered: AtomicUsize,
    failed: Mutex<Vec<(Instant, String)>>,
}

/// Asks through the balancer while `meanwhile` goes on: pages that are stored, and pages that are not.
fn under_load(proxy: &HaProxy, meanwhile: impl FnOnce()) -> Seen {
    let (seen, over, number) = (Seen::default(), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    let path =
                        if number.is_multiple_of(2) { "/hello".into() } else { format!("/slow?ms={}", number % 30) };
                    let failed = match probe::try_get(proxy.address, &path) {
                        Ok(answer) if answer.status == 200 && !answer.broken => None,
                        Ok(answer) => Some(format!("{path}: {}", answer.status)),
                        Err(error) => Some(format!("{path}: {error}")),
                    };
                    match failed {
                        None => drop(seen.answered.fetch_add(1, Ordering::Relaxed)),
                        Some(why) => seen.failed.lock().unwrap().push((Instant::now(), why)),
                    }
                }
            });
        }
        meanwhile();
        over.store(true, Ordering::Relaxed);
    });
    seen
}

/// A few of them, and what HAProxy says.
fn shown(failed: &[(Instant, String)], folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join("haproxy.log")).unwrap_or_default();
    format!("{:?}\n{log}", &failed[..failed.len().min(10)])
}

#[test]
fn a_killed_node_costs_little_and_rolling_restarts_and_upgrades_nothing() {
    let site = Site::probe(&[]);
    let mut nodes = ["a", "b", "c"].map(|name| Node::start(&site, name));
    let Some(proxy) = HaProxy::start(site.folder.path(), &nodes) else {
        println!(
            "SKIPPED: there is no haproxy here (apt-get install haproxy): nothing was tried behind docs/deploy/haproxy.cfg"
        );
        return;
    };
    let mut killed_at = Instant::now();
    let seen = under_load(&proxy, || {
        std::thread::sleep(Duration::from_secs(1));
        nodes[1].process.kill();
        killed_at = Instant::now();
        std::thread::sleep(FAILURES_END_AFTER * 2);
        nodes[1].start_again();
        std::thread::sleep(Duration::from_secs(2));
    });
    let failed = seen.failed.into_inner().unwrap();
    let last = failed.iter().map(|(at, _)| at.saturating_duration_since(killed_at)).max();
    println!(
        "one of three killed: {} answered, {} failed, the last {last:?} after it",
        seen.answered.into_inner(),
        failed.len()
    );
    assert!(last.is_none_or(|last| last < FAILURES_END_AFTER), "{}", shown(&failed, site.folder.path()));
    // What was under way at the node, and no more.
    assert!(failed.len() <= 2 * VISITORS, "{}", shown(&failed, site.folder.path()));

    let seen = under_load(&proxy, || {
        for node in &mut nodes {
            node.process.ask_to_stop();
            assert!(node.process.end().success(), "{}", node.name);
            node.start_again();
            // It has its visitors again before the next one goes.
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    let failed = seen.failed.into_inner().unwrap();
    println!("all three restarted: {} answered, {} failed", seen.answered.into_inner(), failed.len());
    assert!(failed.is_empty(), "{}", shown(&failed, site.folder.path()));

    let seen = under_load(&proxy, || {
        for node in &nodes {
            let before = node.uptime_s();
            assert!(before >= 2, "{before}");
            node.process.signal("-USR2");
            eventually("another program has taken over", || (node.try_uptime_s()? < before).then_some(()));
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let failed = seen.failed.into_inner().unwrap();
    println!("all three upgraded: {} answered, {} failed", seen.answered.into_inner(), failed.len());
    assert!(failed.is_empty(), "{}", shown(&failed, site.folder.path()));
}

//! Three nodes behind HAProxy, and behind Envoy, with the configurations that docs/deploy has: one is killed under load, and all are
//! restarted one after the other. SKIPPED, and said so, where there is none: apt-get install haproxy; scripts/deploy-check brings
//! an Envoy, which NEARSIDE_ENVOY names

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

/// A balancer, and what docs/deploy has for it.
#[derive(Clone, Copy)]
enum Kind {
    HaProxy,
    Envoy,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::HaProxy => "haproxy",
            Kind::Envoy => "envoy",
        }
    }

    /// The shipped configuration, with the addresses of here.
    fn configuration(self, address: SocketAddr, nodes: &[Node]) -> String {
        let mut text = match self {
            Kind::HaProxy => include_str!("../docs/deploy/haproxy.cfg"),
            Kind::Envoy => include_str!("../docs/deploy/envoy.yaml"),
        }
        .to_owned();
        let mut replace = |shipped: String, here: String| {
            assert_eq!(text.matches(&shipped).count(), 1, "{shipped}");
            text = text.replace(&shipped, &here);
        };
        let socket = |at: &str, port: u16| format!("socket_address: {{address: {at}, port_value: {port}}}");
        match self {
            Kind::HaProxy => replace("\n    bind :8000".into(), format!("\n    bind {address}")),
            Kind::Envoy => {
                replace(socket("127.0.0.1", 9901), socket("127.0.0.1", 0));
                replace(socket("0.0.0.0", 8000), socket("127.0.0.1", address.port()));
            }
        }
        for (number, node) in nodes.iter().enumerate() {
            let ([visitors, admin, agent], host) = (node.addresses, format!("10.0.0.{}", number + 1));
            match self {
                Kind::HaProxy => replace(
                    format!("{host}:8080 port 8081 agent-port 8082"),
                    format!("{visitors} port {} agent-port {}", admin.port(), agent.port()),
                ),
                Kind::Envoy => {
                    const CHECK: &str = "}\n                  health_check_config: {port_value: ";
                    let shipped = format!("{}{CHECK}8081}}", socket(&host, 8080));
                    replace(shipped, format!("{}{CHECK}{}}}", socket("127.0.0.1", visitors.port()), admin.port()));
                }
            }
        }
        text
    }

    fn command(self, file: &Path) -> Command {
        match self {
            Kind::HaProxy => {
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f", text(file)]);
                command
            }
            Kind::Envoy => {
                let mut command = Command::new(std::env::var_os("NEARSIDE_ENVOY").unwrap_or("envoy".into()));
                command.args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn", "-c", text(file)]);
                command
            }
        }
    }
}

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

struct Balancer {
    child: Child,
    address: SocketAddr,
    log: std::path::PathBuf,
}

impl Balancer {
    /// Nothing if it is not installed.
    fn start(kind: Kind, folder: &Path, nodes: &[Node]) -> Option<Balancer> {
        let [address] = free_addresses();
        let file = folder.join(if matches!(kind, Kind::Envoy) { "envoy.yaml" } else { "haproxy.cfg" });
        std::fs::write(&file, kind.configuration(address, nodes)).unwrap();
        let log = folder.join("balancer.log");
        let output = std::fs::File::create(&log).unwrap();
        let mut command = kind.command(&file);
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().ok()?;
        let mut balancer = Balancer { child, address, log };
        eventually("the balancer sends visitors on", || {
            let ended = balancer.child.try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {}", balancer.log_text());
            probe::try_get(address, "/hello").ok().filter(|answer| answer.status == 200).map(drop)
        });
        Some(balancer)
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A few of those that failed, and what it says.
    fn shown(&self, failed: &[(Instant, String)]) -> String {
        format!("{:?}\n{}", &failed[..failed.len().min(10)], self.log_text())
    }
}

impl Drop for Balancer {
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
fn under_load(proxy: &Balancer, meanwhile: impl FnOnce()) -> Seen {
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

#[test]
fn behind_haproxy_a_killed_node_costs_little_and_rolling_restarts_and_upgrades_nothing() {
    behind(Kind::HaProxy);
}

#[test]
fn behind_envoy_a_killed_node_costs_little_and_rolling_restarts_and_upgrades_nothing() {
    behind(Kind::Envoy);
}

fn behind(kind: Kind) {
    let site = Site::probe(&[]);
    let mut nodes = ["a", "b", "c"].map(|name| Node::start(&site, name));
    let Some(proxy) = Balancer::start(kind, site.folder.path(), &nodes) else {
        println!("SKIPPED: there is no {} here: nothing was tried behind what docs/deploy has for it", kind.name());
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
    assert!(last.is_none_or(|last| last < FAILURES_END_AFTER), "{}", proxy.shown(&failed));
    // What was under way at the node, and no more.
    assert!(failed.len() <= 2 * VISITORS, "{}", proxy.shown(&failed));

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
    assert!(failed.is_empty(), "{}", proxy.shown(&failed));

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
    assert!(failed.is_empty(), "{}", proxy.shown(&failed));
}

//! A node that stops, and one that gives way to another program: those in front hear of it in time, and nobody is dropped.

mod support;

use std::{
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use support::{Node, Site, eventually, http, probe, process::Process};

/// What a balancer is told.
fn agent(address: SocketAddr) -> String {
    let mut said = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut said).unwrap();
    said
}

fn readyz(node: &Node) -> (u16, String) {
    let answer = http::request(node.admin, "admin", "GET", "/readyz", &[], "").unwrap();
    (answer.status, answer.text())
}

/// With an agent check, and so long between its word and its end.
fn node(site: &Site, name: &str, unready_ms: &str) -> (Node, SocketAddr) {
    let token = site.origin.token_file();
    let origin = ["--origin", &site.origin.url(), "--token-file", support::process::text(&token)];
    let more = [&origin[..], &["--agent", "127.0.0.1:0", "--unready-ms", unready_ms]].concat();
    let mut node = Node::start_with(site.folder.path(), name, &more);
    let agent = node.process.address().unwrap();
    node.wait_for_apps(1);
    (node, agent)
}

#[test]
fn a_node_that_stops_says_so_first_and_then_stops() {
    let site = Site::probe(&[]);
    let (mut node, balancer) = node(&site, "a", "1500");
    let said = agent(balancer);
    assert!(said.starts_with("ready up ") && said.ends_with("%\n"), "{said:?}");
    assert_eq!(readyz(&node), (200, "ready\n".into()));

    node.process.ask_to_stop();
    eventually("it says that it is leaving", || (readyz(&node) == (503, "it is leaving\n".into())).then_some(()));
    assert_eq!(agent(balancer), "drain\n");
    assert_eq!(probe::get(node.address, "/hello").status, 200, "those who come all the same are answered");
    assert!(node.process.end().success());
    assert!(TcpStream::connect(node.address).is_err());
}

#[test]
fn a_second_signal_cuts() {
    let site = Site::probe(&[]);
    let (mut node, _) = node(&site, "a", "60000");
    node.process.ask_to_stop();
    eventually("it says that it is leaving", || (readyz(&node).0 == 503).then_some(()));
    node.process.ask_to_stop();
    assert_eq!(node.process.end().code(), Some(130));
}

#[test]
fn an_upgrade_drops_nothing() {
    const UPGRADES: usize = 3;
    let site = Site::probe(&[]);
    // The operator's address stays the same, as the visitors' does.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let token = site.origin.token_file();
    let log = site.folder.path().join("a.log");
    let data = site.folder.path().join("a");
    let text = support::process::text;
    let mut process = Process::start(
        &log,
        &[
            "host",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &free,
            "--data",
            text(&data),
            "--origin",
            &site.origin.url(),
            "--token-file",
            text(&token),
        ],
    );
    let (address, admin) = (process.address().unwrap(), process.address().unwrap());
    eventually("it serves", || {
        (probe::try_get(address, "/hello").is_ok_and(|answer| answer.status == 200)).then_some(())
    });

    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let slowest = std::thread::scope(|scope| {
        let asks = || {
            let mut slowest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = http::request(address, probe::SITE, "GET", "/hello", &[], "").unwrap();
                assert_eq!((answer.status, answer.broken), (200, false), "{answer:?}");
                slowest = slowest.max(began.elapsed());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            slowest
        };
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(asks)).collect();
        for upgrade in 1..=UPGRADES {
            std::thread::sleep(Duration::from_millis(300));
            process.signal("-USR2");
            // It is the same process, and another program.
            assert_eq!(process.address(), Some(address), "upgrade {upgrade}");
            assert_eq!(process.address(), Some(admin));
        }
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).max().unwrap()
    });
    println!(
        "{} answers over {UPGRADES} upgrades, the slowest after {} ms",
        answered.into_inner(),
        slowest.as_millis()
    );
    // Nobody seems to listen when it has ended, though its socket was handed on three times.
    process.ask_to_stop();
    assert!(process.end().success());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_socket_may_be_there_before_the_node() {
    let site = Site::probe(&["a"]);
    let mut first = site.nodes.into_iter().next().unwrap();
    first.process.ask_to_stop();
    assert!(first.process.end().success());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let early = std::thread::spawn(move || http::request(address, probe::SITE, "GET", "/hello", &[], "").unwrap());
    let data = first.data();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearside"));
    command.args(["host", "--admin", "127.0.0.1:0", "--data", support::process::text(&data)]);
    command.stdin(OwnedFd::from(listener.try_clone().unwrap())).stdout(Stdio::null()).stderr(Stdio::null());
    let mut node = command.spawn().unwrap();
    let answer = early.join().unwrap();
    assert_eq!(answer.status, 200);
    // Whoever holds the socket goes on listening: the next one is answered by the next node.
    let told = Command::new("kill").args(["-TERM", &node.id().to_string()]).status().unwrap();
    assert!(told.success() && node.wait().unwrap().success());
    assert!(TcpStream::connect(address).is_ok());
    drop(listener);
}

#[test]
fn two_nodes_do_not_work_on_one_folder() {
    let site = Site::probe(&["a"]);
    let data = site.nodes[0].data();
    let log = site.folder.path().join("second.log");
    let text = support::process::text;
    let arguments = ["host", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", text(&data)];
    let mut second = Process::start(&log, &arguments);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(probe::get(site.nodes[0].address, "/hello").status, 200);
    // It waits for the one that is there to leave, and takes over then.
    site.nodes[0].process.ask_to_stop();
    let address = second.address().unwrap();
    assert_eq!(probe::get(address, "/hello").status, 200);
}

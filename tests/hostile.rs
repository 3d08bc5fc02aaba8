//! Whatever comes in at the public port - framing that two programs read differently, requests with bytes changed, frames of
//! HTTP/2 by chance, floods, silence: the node goes on answering its visitors, grows by nothing, and never takes a body for a
//! request. `NEARSIDE_HOSTILE_S` seconds, 5 unless told; `NEARSIDE_HOSTILE_SEED` repeats what was sent.

mod hostile {
    pub mod attack;
    pub mod chance;
}
mod support;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use hostile::{
    attack::{Attack, Kind, MARK},
    chance::Chance,
};
use support::{Site, http, probe};

const ATTACKERS: u64 = 12;
/// Of these each holds a few connections that say nothing more.
const SILENT: usize = 20;
/// What a node may hold more at the end than when it had seen a quarter of it: what its allocator keeps, and what its cache
/// has of pages that were asked for.
const GROWTH_MIB: u64 = 48;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Of the node's process.
fn resident_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// Sends it, and gives what came back within a moment.
fn send(node: SocketAddr, attack: &Attack) -> Vec<u8> {
    let Ok(mut stream) = TcpStream::connect(node) else { return Vec::new() };
    let patience = Duration::from_millis(if attack.kind == Kind::Silence { 1_000 } else { 150 });
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.set_write_timeout(Some(patience)).unwrap();
    for piece in &attack.pieces {
        // It may be refused before it has all been said.
        if stream.write_all(piece).is_err() {
            break;
        }
        if attack.pieces.len() > 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    if attack.reads_nothing {
        return Vec::new();
    }
    // Who is seen to say no more is not answered what came behind the first request.
    if !matches!(attack.kind, Kind::Silence | Kind::Framing) {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let (mut answer, since) = (Vec::new(), Instant::now());
    let mut piece = [0; 16 << 10];
    while since.elapsed() < patience {
        match stream.read(&mut piece) {
            Ok(bytes @ 1..) => answer.extend_from_slice(&piece[..bytes]),
            Ok(0) | Err(_) => break,
        }
    }
    answer
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// A request behind a body that has ended: as it looks where one is taken for what it is not.
#[test]
fn what_is_taken_for_a_request_would_be_seen() {
    let site = Site::probe(&["a"]);
    let mark = String::from_utf8_lossy(MARK);
    let host = "Host: probe.localhost\r\n";
    let first = format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let second = format!("GET /echo-inputs?a={mark} HTTP/1.1\r\n{host}\r\n");
    let pieces = vec![format!("{first}{second}").into_bytes()];
    let answer = send(site.nodes[0].address, &Attack { kind: Kind::Framing, pieces, reads_nothing: false });
    assert!(contains(&answer, MARK), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn whatever_comes_the_node_goes_on_and_takes_no_body_for_a_request() {
    let lasts = Duration::from_secs(number("NEARSIDE_HOSTILE_S", 5));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("NEARSIDE_HOSTILE_SEED", u64::from(now.subsec_nanos()));
    println!("seed {seed}, {} s", lasts.as_secs());
    let mut site = Site::probe(&["a"]);
    let node = site.nodes[0].address;
    let process = site.nodes[0].process.id();
    let (over, begun) = (AtomicBool::new(false), Instant::now());
    let (good, slowest_ms) = (AtomicU64::new(0), AtomicU64::new(0));

    let (sent, early_mib) = std::thread::scope(|scope| {
        let over = &over;
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|attacker| {
                scope.spawn(move || {
                    let mut chance = Chance::of(seed.wrapping_add(attacker));
                    let (mut sent, mut silent) = (BTreeMap::<Kind, u64>::new(), Vec::new());
                    while !over.load(Ordering::Relaxed) {
                        let attack = Attack::by(&mut chance);
                        if attack.kind == Kind::Silence && silent.len() < SILENT {
                            let mut stream = TcpStream::connect(node).unwrap();
                            let _ = stream.write_all(&attack.pieces[0]);
                            silent.push(stream);
                        } else if silent.len() == SILENT {
                            silent.clear();
                        }
                        let answer = send(node, &attack);
                        let shown = || String::from_utf8_lossy(&attack.pieces.concat()).into_owned();
                        if attack.kind == Kind::Framing {
                            assert!(!contains(&answer, MARK), "seed {seed}: smuggled by\n{}", shown());
                        }
                        *sent.entry(attack.kind).or_default() += 1;
                    }
                    sent
                })
            })
            .collect();
        // Whom all this is nothing to.
        let visitor = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let since = Instant::now();
                let answer = http::request(node, probe::SITE, "GET", "/hello", &[], "").expect("a visitor is answered");
                assert_eq!(answer.status, 200, "{answer:?}");
                slowest_ms.fetch_max(since.elapsed().as_millis() as u64, Ordering::Relaxed);
                good.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        std::thread::sleep(lasts / 4);
        let early_mib = resident_mib(process);
        while begun.elapsed() < lasts && !visitor.is_finished() && !attackers.iter().any(|one| one.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
        visitor.join().unwrap();
        let mut all = BTreeMap::<Kind, u64>::new();
        for attacker in attackers {
            attacker.join().unwrap().into_iter().for_each(|(kind, count)| *all.entry(kind).or_default() += count);
        }
        (all, early_mib)
    });

    assert_eq!(probe::get(node, "/hello").status, 200);
    let late_mib = resident_mib(process);
    println!("sent: {sent:?}");
    println!("visitors: {} good, the slowest {} ms", good.load(Ordering::Relaxed), slowest_ms.load(Ordering::Relaxed));
    println!("resident: {early_mib} MiB after a quarter, {late_mib} MiB at the end");
    assert_eq!(sent.len(), Kind::ALL.len(), "not every kind was sent");
    assert!(late_mib <= early_mib + GROWTH_MIB, "it grew from {early_mib} to {late_mib} MiB");
    let log = site.nodes[0].process.log_text();
    assert!(!log.contains("panicked"), "{log}");
    site.nodes[0].process.ask_to_stop();
    assert!(site.nodes[0].process.end().success());
}

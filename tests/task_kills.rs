//! Tasks while the origin is killed without a word: each effect in our own store is there once, each call to the outside
//! was made at least once under a key that stays the same, and what was journaled as done is not done again.
//!
//! `NEARSIDE_TASKS` says how many, `NEARSIDE_KILLS` how often the origin is killed; a few when they are not set.

mod support;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use support::{Site, eventually, http, module};

const TASKS_UNASKED: usize = 1_500;
const KILLS_UNASKED: usize = 5;
const CLIENTS: usize = 8;
/// One in so many is a task that takes its instance down.
const POISON_EVERY: usize = 100;

fn asked(variable: &str, unasked: usize) -> usize {
    std::env::var(variable).ok().map_or(unasked, |count| count.parse().expect("a number"))
}

#[test]
fn each_effect_is_there_once_whenever_the_origin_dies() {
    let (tasks, kills) = (asked("NEARSIDE_TASKS", TASKS_UNASKED), asked("NEARSIDE_KILLS", KILLS_UNASKED));
    let receiver = Receiver::start();
    let url = format!("http://{}/", receiver.address);
    let settings =
        format!("[apps.probe]\nvariables = {{ FETCH_URL = \"{url}\" }}\nallow_private = [\"{}\"]\n", receiver.address);
    let mut site = Site::configured(&settings, &[&module("probe")], &[]);
    let token = std::fs::read_to_string(site.origin.token_file()).unwrap().trim().to_owned();
    let address = site.origin.address;
    let started = Instant::now();

    let next = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, token) = (next.clone(), format!("Bearer {token}"));
            let payload = format!("{{\"url\":\"{url}\"}}");
            std::thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= tasks {
                        return;
                    }
                    queue(address, &token, "effect", &format!("effect-{number}"), &payload);
                    if number % POISON_EVERY == 0 {
                        queue(address, &token, "poison", &format!("poison-{number}"), "{}");
                    }
                }
            })
        })
        .collect();

    let mut moments = 0x9e37_79b9_7f4a_7c15_u64;
    for kill in 0..kills {
        // Spread over the work: each is made once some of it has been done since the last one.
        let done = tasks * kill / (kills + 1);
        while receiver.count("done") <= done {
            let before = receiver.count("done");
            eventually("a task is done", || (receiver.count("done") > before).then_some(()));
        }
        moments ^= moments << 13;
        moments ^= moments >> 7;
        moments ^= moments << 17;
        std::thread::sleep(Duration::from_millis(moments % 200));
        site.origin.process.kill();
        site.origin.start_again(&settings);
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
    ended(&site);
    let took = started.elapsed();

    let store = store(&site);
    let number = |sql: &str| store.query_row(sql, [], |row| row.get::<_, usize>(0)).unwrap();
    let poisons = tasks.div_ceil(POISON_EVERY);
    assert_eq!(number("SELECT n FROM \"left\""), tasks, "each effect in the store is there once");
    assert_eq!(number("SELECT count(*) FROM _nearside_task WHERE name = 'effect' AND state = 'done'"), tasks);
    for what in ["step", "after", "done"] {
        assert_eq!(receiver.count(what), tasks, "each call `{what}` was made, under the task's own key");
    }
    assert_eq!(receiver.came.lock().unwrap().again, Vec::<String>::new(), "journaled, and done again");
    let dead = "SELECT count(*) FROM _nearside_task t WHERE name = 'poison' AND state = 'dead'
        AND (SELECT count(*) FROM _nearside_attempt a WHERE a.task = t.id AND how IS NOT NULL) = 3";
    assert_eq!(number(dead), poisons, "poison is dead after its three attempts, with a history of them");
    let cut_off = number("SELECT count(*) FROM _nearside_attempt WHERE how = 'lost'");
    let kept = number("SELECT count(*) FROM _nearside_task WHERE name = 'effect' AND attempt > 1");
    assert!(cut_off > 0 && kept > 0, "{cut_off} attempts cut off: the kills met too little");
    println!(
        "{kills} kills: {tasks} tasks and {poisons} poisonous ones, {cut_off} attempts cut off, {} calls made {} times, {:.0} tasks/s",
        3 * tasks,
        receiver.came.lock().unwrap().calls,
        tasks as f64 / took.as_secs_f64()
    );
}

/// Until it is taken; under the same key it is queued once.
fn queue(origin: SocketAddr, token: &str, task: &str, key: &str, payload: &str) {
    let headers = [("Authorization", token), ("Idempotency-Key", key)];
    let path = format!("/v1/apps/probe/tasks/{task}");
    eventually("a task is queued", || {
        let answer = http::request(origin, "origin", "POST", &path, &headers, payload).ok()?;
        assert!(matches!(answer.status, 0 | 200 | 503), "{answer:?}");
        (answer.status == 200).then_some(())
    });
}

/// Waits until nothing waits or runs, for as long as it gets less.
fn ended(site: &Site) {
    let left = || {
        let tasks = site.origin.status()["apps"]["probe"]["tasks"].take();
        tasks["due"].as_u64().unwrap() + tasks["running"].as_u64().unwrap()
    };
    let mut before = left();
    while before > 0 {
        before = eventually("tasks end", || Some(left()).filter(|now| *now < before));
    }
}

fn store(site: &Site) -> Connection {
    Connection::open(site.origin.data().join("apps/probe/store.db")).unwrap()
}

/// Says yes to whatever comes, and knows what came, by key.
struct Receiver {
    came: Arc<Mutex<Came>>,
    address: SocketAddr,
}

#[derive(Default)]
struct Came {
    /// `what-id` -> how often.
    by_key: HashMap<String, usize>,
    by_what: HashMap<String, usize>,
    calls: usize,
    /// Steps that were done again after what comes behind them had begun.
    again: Vec<String>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::new(Mutex::new(Came::default()));
        let shared = came.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let came = shared.clone();
                std::thread::spawn(move || answer_all(stream, &came));
            }
        });
        Receiver { came, address }
    }

    /// How many different keys of these have come.
    fn count(&self, what: &str) -> usize {
        self.came.lock().unwrap().by_what.get(what).copied().unwrap_or(0)
    }
}

impl Came {
    fn note(&mut self, key: &str) {
        let (what, task) = key.split_once('-').unwrap();
        self.calls += 1;
        if what == "step" && self.by_key.contains_key(&format!("after-{task}")) {
            self.again.push(key.to_owned());
        }
        let times = self.by_key.entry(key.to_owned()).or_default();
        *times += 1;
        if *times == 1 {
            *self.by_what.entry(what.to_owned()).or_default() += 1;
        }
    }
}

/// One request after the other, until the connection ends.
fn answer_all(stream: TcpStream, came: &Mutex<Came>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut key, mut length, mut is_chunked) = (None, 0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                match name {
                    "idempotency-key" => key = Some(value.trim().to_owned()),
                    "content-length" => length = value.trim().parse().ok()?,
                    "transfer-encoding" => is_chunked = true,
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        while is_chunked && !body.ends_with(b"0\r\n\r\n") {
            // An origin that is killed leaves a body without an end.
            if stream.read_until(b'\n', &mut body).ok()? == 0 {
                return None;
            }
        }
        came.lock().unwrap().note(&key.expect("a call has a key"));
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

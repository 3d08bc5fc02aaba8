//! Writes a second, each durable before it is answered: the origin, which makes one commit of all that queued while the disk
//! worked on the last one, beside one commit a write.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use super::Measured;
use super::stage::{Stage, slower_disk};
use crate::args::Run;
use crate::columns::Kind;
use crate::connection::Connection;
use crate::cpu;
use crate::limits::{WRITE_BYTES, WRITE_CLIENTS, WRITE_PHASE_GRACE};
use crate::origin::Origin;
use crate::percentile::percentile;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::Request;
use crate::response::Response;
use crate::serve::write::Store;
use crate::value::Metric;

pub(super) const ABOUT: &str = "A command that changes two rows, durable before it is answered, from 1 to 256 clients that \
                                each wait for their answer: the origin beside the same SQL at one commit a write.";

const APP: &str = "modules/probe";
const NAME: &str = "probe";

const OURS: &str = "nearside";
const PLAIN: &str = "hyper + rusqlite";
/// The limit: what all are compared with.
const ALONE: &str = "one commit a write";
const DISK: &str = "fdatasync";
const ALL: [&str; 4] = [OURS, PLAIN, ALONE, DISK];

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let mut stage = Stage::new(ABOUT)?;
    stage.start_app(&args.root.join(APP), NAME).await?;
    let db = stage.scratch().join("plain.db").display().to_string();
    let arguments = ["serve-write".to_owned(), "--db".to_owned(), db];
    let plain = stage.serve(PLAIN, "", vec![Request::get("h", "/", &[])], &arguments).await?;
    let mut alone = Store::make(&stage.scratch().join("alone.db"))?;
    let origin = stage.cluster()?.origin.clone();
    let origin_process = stage.cluster()?.origin_process();
    let lasts = Duration::from_secs_f64(settings.seconds);
    let (mut cases, mut samples, mut turns) = (Vec::new(), Vec::new(), 0);
    for clients in WRITE_CLIENTS {
        let case = clients.to_string();
        for round in 0..settings.rounds {
            for at in 0..ALL.len() {
                let contender = ALL[(round + at) % ALL.len()];
                turns += 1;
                let turn = Turn { number: turns, clients, lasts };
                let measured = match contender {
                    OURS => turn.clients(To::Origin(&origin), origin_process).await,
                    PLAIN => turn.clients(To::Plain(plain.address), plain.process).await,
                    ALONE => turn.alone(&mut alone),
                    _ => turn.disk(stage.scratch()),
                };
                let values = measured.with_context(|| format!("{case}, {contender}, round {}", round + 1))?;
                progress(&case, contender, round + 1, &values);
                let (case, contender, round) = (case.clone(), contender.to_owned(), round + 1);
                samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            }
        }
        cases.push(case_report(&case, clients));
    }
    let place = |sample: &Sample| {
        (cases.iter().position(|case| case.name == sample.case), ALL.iter().position(|name| *name == sample.contender))
    };
    samples.sort_by_key(place);
    Ok((cases, samples))
}

fn case_report(name: &str, clients: usize) -> CaseReport {
    let about = [
        (
            OURS,
            "POST of a command to the origin: checked against its schema, run as WebAssembly in a savepoint, with its key, \
                its change log and its receipt in the commit",
        ),
        (PLAIN, "POST to one process with one connection: the same two updates and the key, a commit each"),
        (
            ALONE,
            "the same two updates and the key in a loop, a commit each, without HTTP: however many clients there are",
        ),
        (DISK, "4 KiB appended to a file and synced, in a loop: what the disk takes for any commit"),
    ];
    let described = |(name, about): (&str, &str)| Described { name: name.into(), about: about.into(), missing: None };
    CaseReport {
        name: name.to_owned(),
        about: format!(
            "{clients} clients, each sending its next write when it has the answer to the last.{}",
            slower_disk()
        ),
        kind: Kind::Written,
        limit: ALONE.to_owned(),
        contenders: about.map(described).into(),
        load: None,
    }
}

#[derive(Clone, Copy)]
enum To<'a> {
    Origin(&'a Origin),
    Plain(SocketAddr),
}

/// One contender's turn in one round.
struct Turn {
    number: u32,
    clients: usize,
    lasts: Duration,
}

impl Turn {
    async fn clients(&self, to: To<'_>, process: u32) -> Result<BTreeMap<Metric, f64>> {
        let before = total(to, self.number, "before").await?;
        let cpu_before = cpu::microseconds(process)?;
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            let (address, writes) = match to {
                To::Origin(origin) => (origin.address, Writes::to_origin(origin, self.number, client)),
                To::Plain(address) => (address, Writes::to_plain(address, self.number, client)),
            };
            let connection = Connection::open(address, Response::keeping()).await?;
            clients.spawn(write_until(connection, writes, began + self.lasts));
        }
        let mut took_us = Vec::new();
        let all = async {
            while let Some(client) = clients.join_next().await {
                took_us.extend(client.context("a client panicked")??);
            }
            anyhow::Ok(())
        };
        let within = self.lasts + WRITE_PHASE_GRACE;
        tokio::time::timeout(within, all).await.with_context(|| format!("it took over {within:?}"))??;
        let (took, cpu_us) = (began.elapsed(), cpu::microseconds(process)? - cpu_before);
        let after = total(to, self.number, "after").await?;
        let written = took_us.len();
        let applied = after - before - 1;
        ensure!(applied == written as i64, "{written} were acknowledged and {applied} applied");
        let mut values = values(took_us, took)?;
        values.insert(Metric::CpuClosed, cpu_us as f64 / written as f64);
        Ok(values)
    }

    fn alone(&self, store: &mut Store) -> Result<BTreeMap<Metric, f64>> {
        let (began, mut took_us) = (Instant::now(), Vec::new());
        while began.elapsed() < self.lasts {
            let one = Instant::now();
            store.bump(&format!("{}-{}", self.number, took_us.len()), 1)?;
            took_us.push(one.elapsed().as_micros() as u64);
        }
        values(took_us, began.elapsed())
    }

    fn disk(&self, folder: &Path) -> Result<BTreeMap<Metric, f64>> {
        let path = folder.join("synced");
        let mut file = File::create(&path).context("creating a file to sync")?;
        let (began, mut took_us) = (Instant::now(), Vec::new());
        while began.elapsed() < self.lasts {
            let one = Instant::now();
            file.write_all(&[7; WRITE_BYTES]).and_then(|()| file.sync_data()).context("syncing a file")?;
            took_us.push(one.elapsed().as_micros() as u64);
        }
        values(took_us, began.elapsed())
    }
}

/// How many were applied, with this one, which asks.
async fn total(to: To<'_>, turn: u32, when: &str) -> Result<i64> {
    let key = format!("{turn}-{when}");
    let reply = match to {
        To::Origin(origin) => origin.command("bump", &json!({ "by": 1 }), &key).await?,
        To::Plain(address) => {
            let request = Writes::plain(address, &key);
            let response = crate::connection::fetch(address, &request).await?;
            request.verify(&response)?;
            serde_json::from_slice(response.body()).context("reading an answer")?
        }
    };
    reply["n"].as_i64().context("an answer without a number")
}

/// One client's writes, each under a key of its own.
struct Writes {
    make: Box<dyn Fn(&str) -> Request + Send>,
    prefix: String,
    count: u64,
}

impl Writes {
    fn to_origin(origin: &Origin, turn: u32, client: usize) -> Writes {
        let origin = origin.clone();
        let make = Box::new(move |key: &str| origin.submission("bump", &json!({ "by": 1 }), key));
        Writes { make, prefix: format!("{turn}-{client}"), count: 0 }
    }

    fn to_plain(address: SocketAddr, turn: u32, client: usize) -> Writes {
        let make = Box::new(move |key: &str| Writes::plain(address, key));
        Writes { make, prefix: format!("{turn}-{client}"), count: 0 }
    }

    fn plain(address: SocketAddr, key: &str) -> Request {
        let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
        let body = json!({ "by": 1 }).to_string();
        Request::with_body("POST", &address.to_string(), "/bump", &headers, body.as_bytes())
    }

    fn next(&mut self) -> Request {
        self.count += 1;
        (self.make)(&format!("{}-{}", self.prefix, self.count))
    }
}

/// Microseconds of each.
async fn write_until(mut connection: Connection, mut writes: Writes, end: Instant) -> Result<Vec<u64>> {
    let mut took_us = Vec::new();
    while Instant::now() < end {
        let request = writes.next();
        let began = Instant::now();
        connection.exchange(&request).await?;
        took_us.push(began.elapsed().as_micros() as u64);
        request.verify(&connection.response)?;
    }
    Ok(took_us)
}

fn values(mut took_us: Vec<u64>, took: Duration) -> Result<BTreeMap<Metric, f64>> {
    took_us.sort_unstable();
    let at = |share| percentile(&took_us, share).context("nothing was written").map(|us| us as f64);
    Ok(BTreeMap::from([
        (Metric::Throughput, took_us.len() as f64 / took.as_secs_f64()),
        (Metric::LatencyP50, at(0.5)?),
        (Metric::LatencyP99, at(0.99)?),
        (Metric::LatencyMax, at(1.0)?),
    ]))
}

fn progress(case: &str, contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {case:>3} clients {round}: {contender:<18} {:>7.0} writes/s  p50 {:>6.0} us  p99 {:>6.0} us  max {:>7.0} us  CPU \
         {:>5.0} us",
        value(Metric::Throughput),
        value(Metric::LatencyP50),
        value(Metric::LatencyP99),
        value(Metric::LatencyMax),
        value(Metric::CpuClosed),
    );
}

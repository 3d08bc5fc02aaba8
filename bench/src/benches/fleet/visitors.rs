//! Visitors of each region, and how long they wait for the first byte of a page: from the nearest node, and from the one beside the
//! origin.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::timeout;

use super::members::Fleet;
use super::{NAME, PAIR, described, sample};
use crate::columns::Kind;
use crate::connection::Connection;
use crate::limits::{EXCHANGE_TIMEOUT, FLEET_LAST_MILE_MS, FLEET_NEW_VISITS, FLEET_REGIONS_MS, FLEET_VISITS};
use crate::percentile::percentile;
use crate::report::{CaseReport, Sample, Settings};
use crate::request::Request;
use crate::response::Response;
use crate::value::Metric;

const NEAR: &str = "nearest node";
const FAR: &str = "origin";

pub(super) async fn measure(fleet: &Fleet, settings: &Settings) -> Result<(Vec<CaseReport>, Vec<Sample>)> {
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for (region, ms) in FLEET_REGIONS_MS.into_iter().enumerate() {
        let case = format!("{ms} ms");
        let nearest = fleet.members.iter().find(|member| member.region == region);
        let nearest = nearest.context("BUG: each region has a node")?.address();
        let near = fleet.lines.to(nearest, Duration::from_millis(FLEET_LAST_MILE_MS))?;
        let far = fleet.lines.to(fleet.cluster.address, Duration::from_millis(ms))?;
        for round in 1..=settings.rounds {
            for (contender, line) in [(NEAR, &near), (FAR, &far)] {
                let Waits { p50_ms, p99_ms, new_p50_ms } = visit(line.address).await?;
                eprintln!(
                    "  {case} {round}: {contender:<12} first byte p50 {p50_ms:>6.1} ms  p99 {p99_ms:>6.1} ms  on a new connection \
                     p50 {new_p50_ms:>6.1} ms"
                );
                let values = [
                    (Metric::FirstByteP50, p50_ms),
                    (Metric::FirstByteP99, p99_ms),
                    (Metric::NewConnectionP50, new_p50_ms),
                ];
                samples.push(sample(&case, contender, round, values.into()));
            }
        }
        let about = format!(
            "Visitors {ms} ms from the origin and {FLEET_LAST_MILE_MS} ms from the nearest node, there and back, ask for a page that \
             is kept: {FLEET_VISITS} times one after the other on one connection, and {FLEET_NEW_VISITS} times on a new one, whose \
             handshake takes one time more."
        );
        let contenders =
            vec![described(NEAR, "a node of their region"), described(FAR, "a node on the origin's machine")];
        let limit = FAR.to_owned();
        cases.push(CaseReport { name: case, about, kind: Kind::Places, limit, contenders, load: None });
    }
    Ok((cases, samples))
}

struct Waits {
    p50_ms: f64,
    p99_ms: f64,
    new_p50_ms: f64,
}

async fn visit(address: SocketAddr) -> Result<Waits> {
    let request = Request::get(&format!("{NAME}.localhost"), PAIR, &[]);
    let mut connection = Connection::open(address, Response::keeping()).await?;
    // Whoever is there already has shaken hands, and the page is kept from here on.
    first_byte(&mut connection, &request, Instant::now()).await?;
    let mut waits = Vec::new();
    for _ in 0..FLEET_VISITS {
        waits.push(first_byte(&mut connection, &request, Instant::now()).await?);
    }
    let mut new = Vec::new();
    for _ in 0..FLEET_NEW_VISITS {
        let began = Instant::now();
        let mut connection = Connection::open(address, Response::keeping()).await?;
        new.push(first_byte(&mut connection, &request, began).await?);
    }
    let of = |sorted: &mut Vec<u64>, share| {
        sorted.sort_unstable();
        percentile(sorted, share).map(|us| us as f64 / 1e3).context("BUG: there were visits")
    };
    Ok(Waits { p50_ms: of(&mut waits, 0.5)?, p99_ms: of(&mut waits, 0.99)?, new_p50_ms: of(&mut new, 0.5)? })
}

/// Microseconds from that moment until the answer begins.
async fn first_byte(connection: &mut Connection, request: &Request, began: Instant) -> Result<u64> {
    timeout(EXCHANGE_TIMEOUT, connection.exchange(request)).await.context("no answer in time")??;
    request.verify(&connection.response)?;
    let at = connection.began_at.context("BUG: an answer that did not begin")?;
    Ok(at.duration_since(began).as_micros() as u64)
}

//! A node that hears nothing for a while, in which releases come: what its visitors have meanwhile, and how it comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::super::stage::pair;
use super::members::Fleet;
use super::{PAIR, described, ms, sample, shows_pair};
use crate::columns::Kind;
use crate::connection::fetch;
use crate::limits::{FLEET_CUT_PUSHES_EVERY, FLEET_POLL, SHOWN_TIMEOUT};
use crate::report::{CaseReport, Sample};
use crate::request::Request;
use crate::value::Metric;

const CASE: &str = "cut off";
const SKIPPED: &str = "rejoined";
const EACH: &str = "each delta";
const COPY: &str = "whole copy";

/// Numbers above all that were pushed before.
const FIRST_N: u64 = 1_000_000;

/// What releases were made of.
struct Made {
    /// The newest one's number.
    seq: u64,
    /// Of those after the one the node has.
    missed: u64,
    each_delta_bytes: u64,
    copy_bytes: u64,
}

pub(super) async fn measure(fleet: &mut Fleet, folder: &Path, seconds: u64) -> Result<(CaseReport, Vec<Sample>)> {
    let before = made(fleet, 0).await?.seq;
    let last = fleet.members.len() - 1;
    fleet.members[last].line.take_counts();
    fleet.members[last].line.cut();
    let (until, mut n, mut answers) = (Instant::now() + Duration::from_secs(seconds), FIRST_N, 0_u64);
    let shown_before = fleet.members[last].page(PAIR).await?;
    while Instant::now() < until {
        n += 1;
        fleet.cluster.origin.push_data(&pair(folder, n)?).await.context("pushing while a node is cut off")?;
        // An answer that is none fails.
        let shown = fleet.members[last].page(PAIR).await?;
        ensure!(shown == shown_before, "a node that is cut off shows what it cannot have: {shown}");
        answers += 1;
        sleep(FLEET_CUT_PUSHES_EVERY.min(until.saturating_duration_since(Instant::now()))).await;
    }
    let since = Instant::now();
    fleet.members[last].line.mend();
    while !shows_pair(&fleet.members[last].page(PAIR).await?, n) {
        ensure!(since.elapsed() < SHOWN_TIMEOUT, "it does not come back within {SHOWN_TIMEOUT:?}");
        sleep(FLEET_POLL).await;
    }
    let took = since.elapsed();
    let (objects, _) = fleet.members[last].line.take_counts();
    let pages = objects.iter().filter(|(path, _)| path.contains("/deltas/") || path.contains("/bases/"));
    let (count, bytes) = pages.fold((0, 0), |(count, bytes), (_, more)| (count + 1, bytes + more));
    let Made { missed, each_delta_bytes, copy_bytes, .. } = made(fleet, before).await?;
    eprintln!(
        "  {CASE}: {seconds} s without the origin, {answers} pages answered meanwhile; {missed} releases missed; back after {:.0} \
         ms by {count} objects of {bytes} bytes ({each_delta_bytes} delta by delta, {copy_bytes} as a whole copy)",
        ms(took)
    );
    let about = format!(
        "The last node of the farthest region hears nothing for {seconds} s, in which two rows are pushed again and again; it \
         answers its visitors all the while (each of {answers} was looked at). Then its line is mended: until it shows the newest."
    );
    let rejoined = [
        (Metric::Missed, missed as f64),
        (Metric::Objects, f64::from(count)),
        (Metric::WireBytes, bytes as f64),
        (Metric::There, ms(took)),
    ];
    let bytes_of = |bytes: u64| [(Metric::WireBytes, bytes as f64)];
    let samples = vec![
        sample(CASE, SKIPPED, 1, rejoined.into()),
        sample(CASE, EACH, 1, bytes_of(each_delta_bytes).into()),
        sample(CASE, COPY, 1, bytes_of(copy_bytes).into()),
    ];
    let contenders = vec![
        described(SKIPPED, "what the node pulled, as its line saw it, heads of answers included"),
        described(EACH, "what the deltas from each release to the next would have been, by their manifests"),
        described(COPY, "what a whole copy would have been"),
    ];
    let (name, limit) = (CASE.to_owned(), EACH.to_owned());
    Ok((CaseReport { name, about, kind: Kind::Rejoined, limit, contenders, load: None }, samples))
}

/// What the origin says of its releases after this one.
async fn made(fleet: &Fleet, after: u64) -> Result<Made> {
    let origin = &fleet.cluster.origin;
    let authorization = format!("Bearer {}", origin.token);
    let target = format!("/v1/apps/{}/releases", origin.app);
    let request = Request::get(&origin.address.to_string(), &target, &[("Authorization", &authorization)]);
    let response = fetch(origin.address, &request).await?;
    request.verify(&response)?;
    let told: Value = serde_json::from_slice(response.body()).context("reading what releases there are")?;
    let releases = told["releases"].as_array().context("a list of releases without releases")?;
    let seq_of = |release: &Value| {
        let number = release["release"].as_str().and_then(|id| id.split('.').nth(1)?.parse::<u64>().ok());
        number.context("a release without a number")
    };
    let mut made = Made { seq: 0, missed: 0, each_delta_bytes: 0, copy_bytes: 0 };
    for release in releases {
        let seq = seq_of(release)?;
        made.seq = made.seq.max(seq);
        if seq > after {
            made.missed += 1;
            made.each_delta_bytes += release["delta_bytes"].as_u64().unwrap_or(0);
        }
        made.copy_bytes = made.copy_bytes.max(release["base"]["bytes"].as_u64().unwrap_or(0));
    }
    Ok(made)
}

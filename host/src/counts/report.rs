//! Telling the origin what was counted. Nothing depends on it: what does not arrive is in the next one, because counts only
//! grow.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use http::{Method, header};
use nearside_protocol::{
    limits,
    query_report::{Counted, VersionCounted},
};

use crate::{
    host::Host,
    origin_client::{ClientError, OriginClient, bytes},
};

/// Tells the origin of each app whose counts have changed, and of the others now and then; for ever.
pub(crate) async fn run(host: Arc<Host>, origin: Arc<OriginClient>) {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).expect("BUG: an operating system without randomness cannot serve");
    let process: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut every = tokio::time::interval(limits::QUERIES_REPORT_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sent: BTreeMap<String, (u64, Instant)> = BTreeMap::new();
    loop {
        every.tick().await;
        for (app, versions) in host.counts.told() {
            let counted = extent(&versions);
            // An origin that was started anew has forgotten what is not told again.
            let is_known =
                |(extent, at): &(u64, Instant)| *extent == counted && at.elapsed() < limits::QUERIES_REPORT_IDLE;
            if sent.get(&app).is_some_and(is_known) {
                continue;
            }
            let report = Counted { node: host.name().to_owned(), process: process.clone(), versions };
            match tell(&origin, &app, report).await {
                Ok(()) => drop(sent.insert(app, (counted, Instant::now()))),
                // An origin that is away is told of where it is missed.
                Err(error) => tracing::debug!(%app, cause = %error, "what queries cost could not be told the origin"),
            }
        }
    }
}

/// Grows with everything that is worth telling.
fn extent(versions: &[VersionCounted]) -> u64 {
    versions.iter().map(|version| version.counts.work.requests + version.counts.runs() + 1).sum()
}

async fn tell(origin: &OriginClient, app: &str, mut report: Counted) -> Result<(), ClientError> {
    let text = |report: &Counted| serde_json::to_vec(report).expect("BUG: counts are plain data");
    let mut body = text(&report);
    if body.len() > limits::QUERIES_REPORT_BYTES {
        report.versions.iter_mut().for_each(|version| version.samples.clear());
        body = text(&report);
    }
    let request = origin
        .request(Method::POST, &format!("/v1/apps/{app}/queries"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(bytes(body))
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    origin.send(request, limits::OUTBOUND_CONNECT * 2).await.map(drop)
}

//! Telling the origin how this node is, and hearing of its siblings. Nothing depends on it: what does not arrive is in the
//! next one, because counts only grow.

use std::{sync::Arc, time::Duration};

use http::{Method, header};
use nearside_protocol::{
    heartbeat::{AppBeat, Heartbeat, OutboxBeat, RefusalBeat, ServedBeat, Siblings, Totals, fitting},
    limits,
    status::{NodeApp, NodeStatus, Pulling},
};

use crate::{
    admin,
    host::Host,
    origin_client::{ClientError, OriginClient, bytes, whole},
    served::NotServed,
};

/// Tells it all the time, and at once when another release is served; for ever.
pub(crate) async fn run(host: Arc<Host>, origin: Arc<OriginClient>) {
    loop {
        match tell(&host, &origin).await {
            Ok(siblings) => host.in_fleet.heard(siblings),
            // An origin that is away is told of where it is missed.
            Err(error) => tracing::debug!(cause = %error, "the origin could not be told how this node is"),
        }
        // However often releases change: not more often than this.
        tokio::time::sleep(limits::HEARTBEAT_LEAST).await;
        tokio::select! {
            () = tokio::time::sleep(pause()) => {}
            () = host.in_fleet.news() => {}
        }
    }
}

/// A fifth less or more than usual.
fn pause() -> Duration {
    let mut chance = [0; 1];
    getrandom::fill(&mut chance).expect("BUG: an operating system without randomness cannot serve");
    let part = 0.8 + 0.4 * f64::from(chance[0]) / f64::from(u8::MAX);
    limits::HEARTBEAT_EVERY.mul_f64(part).saturating_sub(limits::HEARTBEAT_LEAST)
}

async fn tell(host: &Host, origin: &OriginClient) -> Result<Siblings, ClientError> {
    let body = serde_json::to_vec(&beat(host)).expect("BUG: a heartbeat is plain data");
    let malformed = |error: &dyn std::fmt::Display| ClientError::Malformed(error.to_string());
    let request = origin
        .request(Method::POST, "/v1/heartbeat")
        .header(header::CONTENT_TYPE, "application/json")
        .body(bytes(body))
        .map_err(|error| malformed(&error))?;
    let response = origin.send(request, limits::HEARTBEAT_WAIT).await?;
    let told = whole(response, limits::SIBLINGS_BYTES).await?;
    let mut siblings: Siblings = serde_json::from_slice(&told).map_err(|error| malformed(&error))?;
    siblings.siblings.truncate(limits::SIBLINGS_TOLD);
    Ok(siblings)
}

fn beat(host: &Host) -> Heartbeat {
    let status = host.status(None);
    let counted = host.counts.totals();
    let sum = |of: fn(&nearside_protocol::query_report::Counts) -> u64| counted.values().map(of).sum();
    let app = |name: &String, app: &NodeApp| AppBeat {
        release: app.release,
        behind_at_most_ms: app.behind_at_most_ms,
        refused: app.refused.clone().map(fitting),
        pulled_permille: status.pulls.get(name).map(permille),
        served: served(host, name),
        refusal: refusal(host, name),
    };
    Heartbeat {
        node: host.name().to_owned(),
        process: host.in_fleet.process().to_owned(),
        declared: host.in_fleet.declared(),
        version: status.version.clone(),
        uptime_ms: host.uptime().as_millis() as u64,
        unready: admin::unready(host, host.in_fleet.max_staleness()).map(fitting),
        apps: status.apps.iter().map(|(name, served)| (name.clone(), app(name, served))).collect(),
        load: host.load(),
        totals: Totals {
            results: status.requests.clone(),
            answers: host.in_fleet.answered.totals(),
            renders: sum(|counts| counts.work.all_renders()),
            query_runs: sum(|counts| counts.runs()),
            query_rows: sum(|counts| counts.rows()),
            refusals: status.refusals.values().sum(),
        },
        outbox: outbox(&status),
    }
}

fn served(host: &Host, app: &str) -> Option<ServedBeat> {
    host.by_name(app)?.current().map(|release| release.counts.served())
}

fn refusal(host: &Host, app: &str) -> Option<RefusalBeat> {
    let served = host.by_name(app)?;
    let not_served = served.not_served();
    let NotServed { release, reason, .. } = not_served.as_ref()?;
    Some(RefusalBeat { release: *release, reason: (*reason)?.to_owned() })
}

fn permille(pull: &Pulling) -> u16 {
    (pull.bytes.saturating_mul(1_000) / pull.of_bytes.max(1)).min(1_000) as u16
}

fn outbox(status: &NodeStatus) -> Option<OutboxBeat> {
    let outbox = status.outbox.as_ref()?;
    Some(OutboxBeat {
        waiting_writes: outbox.waiting_writes,
        unsure_writes: outbox.unsure_writes,
        oldest_at_ms: outbox.oldest_at_ms,
        closed: outbox.closed.clone().map(fitting),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_of_many_nodes_do_not_come_at_once() {
        let pauses: Vec<Duration> = (0..200).map(|_| pause() + limits::HEARTBEAT_LEAST).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        let every = limits::HEARTBEAT_EVERY;
        assert!(*least >= every.mul_f64(0.8) && *most <= every.mul_f64(1.2), "{least:?} {most:?}");
        assert!(*most - *least > every / 10, "{least:?} {most:?}");
    }
}

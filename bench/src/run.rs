//! The run of one case: calibrate, then rounds in which the contenders alternate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::columns::Kind;
use crate::contender::{Case, Contender, check};
use crate::cpu;
use crate::limits::{ARRIVAL_SHARE_OF_PEAK, CALIBRATION_SECONDS};
use crate::load::{Judging, Plan, closed, open};
use crate::report::{CaseReport, Described, Load, Sample, Settings};
use crate::value::Metric;

/// How long the measured part of a case takes, by its settings.
pub fn expected(case: &Case, settings: &Settings) -> Duration {
    let round = 2.0 * settings.seconds * settings.rounds as f64;
    Duration::from_secs_f64((CALIBRATION_SECONDS + round) * case.contenders.len() as f64)
}

/// Runs one case; any failed request fails it, but for those that are refused for now: they are counted. Progress goes to
/// standard error.
pub async fn run(case: &mut Case, settings: &Settings) -> Result<(CaseReport, Vec<Sample>)> {
    let answers = check(case).await?;
    let calibration = calibrate(case, settings).await?;
    let slowest = calibration.iter().map(|(_, rps)| *rps).fold(f64::INFINITY, f64::min);
    let arrival_rate_rps = (slowest * ARRIVAL_SHARE_OF_PEAK).max(1.0);
    eprintln!("  {}: open loop at {arrival_rate_rps:.0} requests a second", case.name);

    let mut samples = Vec::new();
    for round in 0..settings.rounds {
        for contender in in_turn(&case.contenders, round) {
            let measured = measure(case.name, contender, settings, arrival_rate_rps, round + 1).await;
            let sample = measured.with_context(|| format!("{}, {}, round {}", case.name, contender.name, round + 1))?;
            progress(&sample);
            samples.push(sample);
        }
    }
    // Rows follow the samples; they should list contenders as the case does, not as the first round's turn happened to.
    samples.sort_by_key(|sample| case.contenders.iter().position(|contender| contender.name == sample.contender));
    let describe = |contender: &Contender| Described {
        name: contender.name.into(),
        about: contender.about.clone(),
        missing: None,
    };
    let report = CaseReport {
        name: case.name.to_owned(),
        about: case.about.clone(),
        kind: Kind::Load,
        limit: case.limit.to_owned(),
        contenders: case.contenders.iter().map(describe).collect(),
        load: Some(Load { answers, calibration_rps: calibration, arrival_rate_rps }),
    };
    Ok((report, samples))
}

/// Every round starts with another contender, so that nobody always runs on a machine someone else has just warmed.
fn in_turn(contenders: &[Contender], round: usize) -> impl Iterator<Item = &Contender> {
    let first = round % contenders.len();
    contenders[first..].iter().chain(&contenders[..first])
}

async fn calibrate(case: &Case, settings: &Settings) -> Result<Vec<(String, f64)>> {
    let mut peaks = Vec::new();
    for contender in &case.contenders {
        let peak = closed(&plan(contender, settings), Duration::from_secs_f64(CALIBRATION_SECONDS)).await;
        let peak = peak.with_context(|| format!("{}, {}, calibration", case.name, contender.name))?;
        peaks.push((contender.name.to_owned(), peak.per_second()));
    }
    Ok(peaks)
}

async fn measure(
    case: &str,
    contender: &Contender,
    settings: &Settings,
    arrival_rate_rps: f64,
    round: usize,
) -> Result<Sample> {
    let (plan, lasts) = (plan(contender, settings), Duration::from_secs_f64(settings.seconds));
    let before = Used::now(&[contender.process])?;
    let start = before.servers_us;
    let closed = closed(&plan, lasts).await.context("closed loop")?;
    let between = cpu::microseconds(contender.process)?;
    let open = open(&plan, arrival_rate_rps, lasts).await.context("open loop")?;
    let after = Used::now(&[contender.process])?;
    let end = after.servers_us;
    let values = BTreeMap::from([
        (Metric::Throughput, closed.per_second()),
        (Metric::RefusedClosed, closed.refused as f64),
        (Metric::CpuClosed, (between - start) as f64 / closed.requests.max(1) as f64),
        (Metric::LatencyP50, open.p50_us),
        (Metric::LatencyP99, open.p99_us),
        (Metric::LatencyMax, open.max_us),
        (Metric::RefusedOpen, open.refused as f64),
        (Metric::CpuOpen, (end - between) as f64 / open.requests as f64),
        (Metric::SendLateP99, open.send_late_p99_us),
        (Metric::OthersCpu, after.others_share_since(&before)),
    ]);
    Ok(Sample {
        case: case.to_owned(),
        contender: contender.name.to_owned(),
        round,
        closed_requests: Some(closed.requests),
        open_requests: Some(open.requests),
        values,
    })
}

/// Who has used how much of the machine.
pub struct Used {
    at: Instant,
    servers_us: u64,
    harness_us: u64,
    machine_us: u64,
    cores: usize,
}

impl Used {
    /// By the servers that are measured, by this program, and by all.
    pub fn now(servers: &[u32]) -> Result<Self> {
        let used = servers.iter().map(|process| cpu::microseconds(*process));
        Ok(Self {
            at: Instant::now(),
            servers_us: used.sum::<Result<u64>>()?,
            harness_us: cpu::own_microseconds()?,
            machine_us: cpu::machine_microseconds()?,
            cores: cpu::machine_cores()?,
        })
    }

    pub fn others_share_since(&self, before: &Self) -> f64 {
        let ours = (self.servers_us - before.servers_us) + (self.harness_us - before.harness_us);
        let others = (self.machine_us - before.machine_us).saturating_sub(ours);
        others as f64 / (self.at.duration_since(before.at).as_secs_f64() * 1e6 * self.cores as f64)
    }
}

fn plan(contender: &Contender, settings: &Settings) -> Plan {
    Plan {
        address: contender.address,
        requests: contender.requests.clone(),
        connections: settings.connections,
        threads: settings.load_threads,
        judging: Judging::Refusable,
    }
}

fn progress(sample: &Sample) {
    let value = |metric| sample.values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {} {}: {:<10} {:>8.0}/s  {:>7.1} us CPU  p50 {:>7.0} us  p99 {:>7.0} us  ({:>6.0} late, others {:>2.0} %, \
         {} refused)",
        sample.case,
        sample.round,
        sample.contender,
        value(Metric::Throughput),
        value(Metric::CpuClosed),
        value(Metric::LatencyP50),
        value(Metric::LatencyP99),
        value(Metric::SendLateP99),
        100.0 * value(Metric::OthersCpu),
        value(Metric::RefusedClosed) + value(Metric::RefusedOpen),
    );
}

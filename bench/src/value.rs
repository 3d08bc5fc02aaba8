//! The one place where values are computed from named rows: the table, the targets and the console all ask here.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// What is measured of a contender in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    #[serde(rename = "throughput_rps")]
    Throughput,
    #[serde(rename = "cpu_closed_us")]
    CpuClosed,
    /// Told to come again, at the peak and at the fixed rate.
    #[serde(rename = "refused_closed")]
    RefusedClosed,
    #[serde(rename = "refused_open")]
    RefusedOpen,
    #[serde(rename = "latency_p50_us")]
    LatencyP50,
    #[serde(rename = "latency_p99_us")]
    LatencyP99,
    #[serde(rename = "latency_max_us")]
    LatencyMax,
    #[serde(rename = "cpu_open_us")]
    CpuOpen,
    #[serde(rename = "send_late_p99_us")]
    SendLateP99,
    /// What neither the contender nor the load generator used, as a share of all cores: more than a little spoils a run.
    #[serde(rename = "others_cpu_share")]
    OthersCpu,
    #[serde(rename = "pages_changed")]
    PagesChanged,
    #[serde(rename = "wire_bytes")]
    WireBytes,
    /// From the moment a change is made at one place until it can be read at the other.
    #[serde(rename = "there_ms")]
    There,
    /// The same without the pause in which the origin waits for more.
    #[serde(rename = "there_after_pause_ms")]
    ThereAfterPause,
    /// What the node's process caused to be written, in pages.
    #[serde(rename = "written_pages")]
    WrittenPages,
    #[serde(rename = "start_ms")]
    Start,
    #[serde(rename = "resident_mib")]
    Resident,
    #[serde(rename = "resident_anonymous_mib")]
    ResidentAnonymous,
    #[serde(rename = "resident_file_mib")]
    ResidentFile,
    /// The same before anybody asked.
    #[serde(rename = "resident_idle_mib")]
    ResidentIdle,
    /// Of one core, while nobody asks.
    #[serde(rename = "idle_cpu_percent")]
    IdleCpu,
    /// Of the first request to an app.
    #[serde(rename = "first_asked_p50_us")]
    FirstAskedP50,
    #[serde(rename = "first_asked_p99_us")]
    FirstAskedP99,
    /// From what is on a node's disk until it is served, and how much of that is recording it there.
    #[serde(rename = "switch_ms")]
    SwitchMs,
    #[serde(rename = "record_ms")]
    RecordMs,
    /// Of what was asked for beside.
    #[serde(rename = "renders_p99_us")]
    RendersP99,
    #[serde(rename = "searches_p50_us")]
    SearchesP50,
    #[serde(rename = "searches_p99_us")]
    SearchesP99,
    #[serde(rename = "others_failed")]
    OthersFailed,
    /// How many releases the node served while it was measured.
    #[serde(rename = "releases")]
    Releases,
    #[serde(rename = "requests")]
    Requests,
    #[serde(rename = "failed")]
    Failed,
    /// Answers made of two releases.
    #[serde(rename = "mixed")]
    Mixed,
    /// Different answers that one crowd was given.
    #[serde(rename = "renders")]
    Renders,
    /// One request, with nobody beside it.
    #[serde(rename = "alone_ms")]
    Alone,
    /// Of a crowd, from the moment all were sent.
    #[serde(rename = "waiter_p50_ms")]
    WaiterP50,
    #[serde(rename = "waiter_max_ms")]
    WaiterMax,
    /// The same less what one takes alone.
    #[serde(rename = "waiter_p50_over_ms")]
    WaiterP50Over,
    /// Answers without a render, of all, in percent.
    #[serde(rename = "hits_percent")]
    Hits,
    #[serde(rename = "hits_before_percent")]
    HitsBefore,
    #[serde(rename = "hits_after_percent")]
    HitsAfter,
    /// By how many points there are fewer hits than before.
    #[serde(rename = "hits_lost_points")]
    HitsLost,
    /// Of all addresses, how many were first answered after a push as they stood: what was read had not changed.
    #[serde(rename = "by_pages_percent")]
    ByPages,
    /// The same rows, asked again.
    #[serde(rename = "by_rows_percent")]
    ByRows,
    #[serde(rename = "ahead_percent")]
    Ahead,
    #[serde(rename = "on_demand_percent")]
    OnDemand,
    /// Of the addresses whose page is the same as before the push, how many were answered without rendering it.
    #[serde(rename = "same_kept_percent")]
    SameKept,
    /// Addresses whose page is the same as before the push.
    #[serde(rename = "same_pages")]
    SamePages,
    /// Answers that are not those of their release.
    #[serde(rename = "stale")]
    Stale,
    #[serde(rename = "pushed_ms")]
    Pushed,
    #[serde(rename = "tasks")]
    Tasks,
    /// Claimed, run and finished.
    #[serde(rename = "tasks_per_s")]
    TasksPerSecond,
    #[serde(rename = "tasks_per_commit")]
    TasksPerCommit,
    #[serde(rename = "cpu_task_us")]
    CpuTask,
    /// How many requests a second arrived, whatever became of them.
    #[serde(rename = "rate_rps")]
    Rate,
    /// Until the first byte of each answer, from the moment the request was meant to be sent.
    #[serde(rename = "first_byte_p50_ms")]
    FirstByteP50,
    #[serde(rename = "first_byte_p99_ms")]
    FirstByteP99,
    /// The same of pages that were asked for.
    #[serde(rename = "pages_p50_ms")]
    PagesP50,
    #[serde(rename = "pages_p99_ms")]
    PagesP99,
    /// The same of what was sent.
    #[serde(rename = "forms_p50_ms")]
    FormsP50,
    #[serde(rename = "forms_p99_ms")]
    FormsP99,
    /// The same of the pages that authors are led to.
    #[serde(rename = "own_p50_ms")]
    OwnP50,
    #[serde(rename = "own_p99_ms")]
    OwnP99,
    /// Statements run for pages.
    #[serde(rename = "queries_per_request")]
    QueriesRequest,
    /// From sending a review until others see it elsewhere.
    #[serde(rename = "seen_p50_ms")]
    SeenP50,
    #[serde(rename = "seen_max_ms")]
    SeenMax,
    /// Of those who sent one, who saw it on the page they were led to.
    #[serde(rename = "own_shown_percent")]
    OwnShown,
    /// Reviews that a node took to deliver them later.
    #[serde(rename = "deferred")]
    Deferred,
    /// Reviews of which the webhook was not told.
    #[serde(rename = "not_told")]
    NotTold,
    /// After the last request, until all was done.
    #[serde(rename = "work_left_s")]
    WorkLeft,
    /// Of its core.
    #[serde(rename = "generator_cpu_percent")]
    GeneratorCpu,
    /// The most that can be made a second.
    #[serde(rename = "peak_rps")]
    Peak,
    /// Of what was made, how much another node made.
    #[serde(rename = "by_sibling_percent")]
    BySibling,
    /// What is made in time of somewhat less than that, before an overload and after it.
    #[serde(rename = "usual_rps")]
    UsualRate,
    #[serde(rename = "after_rps")]
    AfterRate,
    /// At that rate.
    #[serde(rename = "usual_p99_us")]
    UsualP99,
    #[serde(rename = "hits_alone_p99_us")]
    HitsAloneP99,
    #[serde(rename = "hits_p99_us")]
    HitsP99,
    #[serde(rename = "hits_failed")]
    HitsFailed,
    /// The first rate that was not borne.
    #[serde(rename = "bends_at_rps")]
    BendsAt,
    #[serde(rename = "build_s")]
    BuildSeconds,
    #[serde(rename = "index_mib")]
    IndexMib,
    /// The most of the process that built it.
    #[serde(rename = "build_resident_mib")]
    BuildResident,
    /// What an index says it holds in memory.
    #[serde(rename = "search_memory_mib")]
    SearchMemory,
    /// Of all commits, the mean, the 99th of a hundred, and the most.
    #[serde(rename = "push_pages_mean")]
    PushPagesMean,
    #[serde(rename = "push_pages_p99")]
    PushPagesP99,
    #[serde(rename = "push_pages_max")]
    PushPagesMost,
    #[serde(rename = "push_mean_bytes")]
    PushedMean,
    #[serde(rename = "push_p99_bytes")]
    PushedP99,
    #[serde(rename = "push_max_bytes")]
    PushedMost,
    /// Until half of the nodes show it.
    #[serde(rename = "there_half_ms")]
    ThereHalf,
    /// Of releases, heads of answers included: what the origin sent to all nodes, and they to each other.
    #[serde(rename = "origin_bytes")]
    OriginBytes,
    #[serde(rename = "sibling_bytes")]
    SiblingBytes,
    /// Releases that came while a node heard nothing.
    #[serde(rename = "releases_missed")]
    Missed,
    /// Deltas and whole copies that it pulled then.
    #[serde(rename = "objects")]
    Objects,
    /// Until the first byte, the handshake before it included.
    #[serde(rename = "new_connection_p50_ms")]
    NewConnectionP50,
    /// A request, of what the kernel counts of a server's threads.
    #[serde(rename = "lock_waits")]
    LockWaits,
    #[serde(rename = "cores_interrupted")]
    CoresInterrupted,
    #[serde(rename = "futex_calls")]
    FutexCalls,
    #[serde(rename = "switches")]
    Switches,
    #[serde(rename = "faults")]
    Faults,
}

impl Metric {
    /// Whether more or less of it is an achievement: how late the generator was is none of a contender, nor are counts
    /// of what happened.
    pub fn is_compared(self) -> bool {
        use Metric::*;
        let counted =
            matches!(self, Requests | Releases | Failed | Mixed | Stale | Renders | SamePages | Pushed | Tasks)
                || matches!(
                    self,
                    Peak | UsualRate
                        | AfterRate
                        | RefusedClosed
                        | RefusedOpen
                        | HitsFailed
                        | OthersFailed
                        | Rate
                        | Deferred
                        | NotTold
                        | WorkLeft
                        | GeneratorCpu
                        | OwnShown
                );
        let shares =
            matches!(self, Hits | HitsBefore | HitsAfter | HitsLost | ByPages | ByRows | Ahead | OnDemand | SameKept);
        let of_the_kernel = matches!(self, LockWaits | CoresInterrupted | FutexCalls | Switches | Faults);
        !(counted
            || shares
            || of_the_kernel
            || matches!(self, SendLateP99 | WaiterP50Over | Missed | Objects | SiblingBytes))
    }
}

/// The median of one metric of one contender over all rounds, with the extremes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub case: String,
    pub contender: String,
    pub metric: Metric,
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowName<'a> {
    pub case: &'a str,
    pub contender: &'a str,
    pub metric: Metric,
}

/// What to compute from rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Formula<'a> {
    Median(RowName<'a>),
    /// The median of the first over the median of the second.
    Ratio(RowName<'a>, RowName<'a>),
    /// The largest of all rounds.
    Most(RowName<'a>),
    /// The smallest.
    Least(RowName<'a>),
    /// The median of the first over the smallest median that any of the named contenders has of the same.
    RatioToLeast(RowName<'a>, &'a [&'a str]),
}

pub fn find<'r>(rows: &'r [Row], name: RowName<'_>) -> Result<&'r Row> {
    let is_named = |row: &&Row| row.case == name.case && row.contender == name.contender && row.metric == name.metric;
    rows.iter()
        .find(is_named)
        .with_context(|| format!("no row {:?} of {} in the case {}", name.metric, name.contender, name.case))
}

impl<'a> Formula<'a> {
    /// The rows it needs.
    pub fn names(self) -> Vec<RowName<'a>> {
        match self {
            Formula::Median(name) | Formula::Most(name) | Formula::Least(name) | Formula::RatioToLeast(name, _) => {
                vec![name]
            }
            Formula::Ratio(over, under) => vec![over, under],
        }
    }
}

/// Fails on a row that is not there and on a ratio to nothing: a value is never made up.
pub fn evaluate(rows: &[Row], formula: Formula<'_>) -> Result<f64> {
    match formula {
        Formula::Median(name) => Ok(find(rows, name)?.median),
        Formula::Ratio(over, under) => {
            let under = find(rows, under)?;
            ensure!(under.median > 0.0, "the ratio to {} would divide by zero", under.contender);
            Ok(find(rows, over)?.median / under.median)
        }
        Formula::Most(name) => Ok(find(rows, name)?.max),
        Formula::Least(name) => Ok(find(rows, name)?.min),
        Formula::RatioToLeast(over, contenders) => {
            // Not all of them need be there: a peer may be missing on this machine.
            let others = contenders.iter().filter_map(|contender| find(rows, RowName { contender, ..over }).ok());
            let least = others.map(|row| row.median).reduce(f64::min).context("nobody to compare with")?;
            ensure!(least > 0.0, "the ratio to the least would divide by zero");
            Ok(find(rows, over)?.median / least)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(contender: &str, metric: Metric) -> RowName<'_> {
        RowName { case: "page", contender, metric }
    }

    fn row(contender: &str, metric: Metric, median: f64) -> Row {
        Row { case: "page".into(), contender: contender.into(), metric, median, min: median, max: median }
    }

    #[test]
    fn values_come_from_named_rows() {
        let rows = [
            row("a", Metric::Throughput, 80.0),
            row("b", Metric::Throughput, 100.0),
            row("b", Metric::LatencyP99, 0.0),
        ];
        let (a, b) = (name("a", Metric::Throughput), name("b", Metric::Throughput));
        assert_eq!(evaluate(&rows, Formula::Median(a)).unwrap(), 80.0);
        assert_eq!(evaluate(&rows, Formula::Ratio(a, b)).unwrap(), 0.8);
        assert_eq!(evaluate(&rows, Formula::Most(a)).unwrap(), 80.0);
        assert_eq!(evaluate(&rows, Formula::RatioToLeast(b, &["c", "a"])).unwrap(), 1.25);
        assert!(evaluate(&rows, Formula::RatioToLeast(b, &["c"])).is_err());
        assert!(evaluate(&rows, Formula::Ratio(a, name("b", Metric::LatencyP99))).is_err());
        assert!(evaluate(&rows, Formula::Median(name("c", Metric::Throughput))).is_err());
        assert!(evaluate(&rows, Formula::Median(RowName { case: "other", ..a })).is_err());
    }

    #[test]
    fn metrics_are_named_with_their_units() {
        assert_eq!(serde_json::to_string(&Metric::CpuOpen).unwrap(), "\"cpu_open_us\"");
    }
}

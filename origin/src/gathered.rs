//! What nodes have counted of an app's queries, as they told it last: in memory only, because they tell it again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_protocol::{
    digest::Digest,
    limits,
    query_report::{Counted, Counts, NodeHeard, Sample, Tally, VersionCounted, Window},
};

pub(crate) struct Gathered {
    began: Instant,
    processes: Mutex<Vec<Process>>,
}

/// One process of a node.
struct Process {
    node: String,
    id: String,
    heard: Instant,
    /// Old to new.
    versions: Vec<Version>,
}

struct Version {
    told: VersionCounted,
    /// What came in each part of the last hour, by the part's number.
    slots: VecDeque<(u64, Counts)>,
}

/// Why a report is not taken.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum NotTaken {
    #[error("names of nodes and processes have 1 to {NAME_BYTES} bytes")]
    Name,
    #[error("{0} versions; at most {most} are counted", most = limits::VERSIONS_COUNTED)]
    Versions(usize),
    #[error("{0} queries; at most {most} are counted", most = limits::QUERIES_COUNTED)]
    Queries(usize),
    #[error("{0} samples of a query; at most {most} are kept", most = limits::QUERY_SAMPLES)]
    Samples(usize),
}

const NAME_BYTES: usize = 256;

/// The counts of one version, of all nodes or of one.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) nodes: Vec<NodeHeard>,
    pub(crate) counts: Counts,
    /// By query, the runs for renders with the version before.
    pub(crate) before: BTreeMap<String, Tally>,
    pub(crate) samples: BTreeMap<String, Vec<Sample>>,
}

impl Default for Gathered {
    fn default() -> Gathered {
        Gathered { began: Instant::now(), processes: Mutex::default() }
    }
}

impl Gathered {
    pub(crate) fn take(&self, report: Counted, now: Instant) -> Result<(), NotTaken> {
        check(&report)?;
        let slot = self.slot(now);
        let mut processes = self.processes();
        let before = processes.iter().position(|process| process.id == report.process).map(|at| processes.remove(at));
        let mut known = before.map(|process| process.versions).unwrap_or_default();
        let mut versions = Vec::new();
        for told in report.versions {
            let before = known.iter().position(|version| version.told.release == told.release);
            let (news, mut slots) = match before.map(|at| known.remove(at)) {
                Some(before) => (told.counts.since(&before.told.counts), before.slots),
                None if told.counting_for_ms <= limits::QUERY_SLOT.as_millis() as u64 => {
                    (told.counts.clone(), VecDeque::new())
                }
                // The node has counted for long, and this origin has not listened: when what happened cannot be told.
                None => (Counts::default(), VecDeque::new()),
            };
            match slots.back_mut() {
                Some((number, counts)) if *number == slot => counts.add(&news),
                _ => slots.push_back((slot, news)),
            }
            while slots.len() > limits::QUERY_SLOTS {
                slots.pop_front();
            }
            versions.push(Version { told, slots });
        }
        processes.push(Process { node: report.node, id: report.process, heard: now, versions });
        while processes.len() > limits::QUERY_PROCESSES {
            // They stand in the order in which they were heard last.
            processes.remove(0);
        }
        Ok(())
    }

    /// What was counted of releases with this fingerprint.
    pub(crate) fn view(&self, fingerprint: &Digest, window: Window, node: Option<&str>, now: Instant) -> View {
        let first = self.slot(now).saturating_sub(limits::QUERY_SLOTS as u64 - 1);
        let mut view = View::default();
        for process in self.processes().iter().filter(|process| node.is_none_or(|node| node == process.node)) {
            let of = |version: &Version| version.told.fingerprint == *fingerprint;
            let Some(at) = process.versions.iter().rposition(of) else { continue };
            let Version { told, slots } = &process.versions[at];
            match window {
                Window::Version => view.counts.add(&told.counts),
                Window::Hour => {
                    slots.iter().filter(|(slot, _)| *slot >= first).for_each(|(_, counts)| view.counts.add(counts));
                }
            }
            if let Some(before) = at.checked_sub(1).map(|at| &process.versions[at]) {
                for (name, counts) in &before.told.counts.queries {
                    view.before.entry(name.clone()).or_default().add(&counts.rendering);
                }
            }
            for (name, samples) in &told.samples {
                let kept = view.samples.entry(name.clone()).or_default();
                let is_new = |sample: &&Sample| !kept.iter().any(|known| known.parameters == sample.parameters);
                let new: Vec<Sample> = samples.iter().filter(is_new).cloned().collect();
                kept.extend(new);
                kept.sort_by_key(|sample| std::cmp::Reverse(sample.fetches));
                kept.truncate(limits::QUERY_SAMPLES);
            }
            view.nodes.push(NodeHeard {
                node: process.node.clone(),
                heard_ms_ago: now.saturating_duration_since(process.heard).as_millis() as u64,
                counting_for_ms: told.counting_for_ms,
            });
        }
        view.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        view
    }

    /// Who has told anything.
    pub(crate) fn nodes(&self) -> BTreeSet<String> {
        self.processes().iter().map(|process| process.node.clone()).collect()
    }

    fn slot(&self, now: Instant) -> u64 {
        let since: Duration = now.saturating_duration_since(self.began);
        since.as_secs() / limits::QUERY_SLOT.as_secs()
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes.lock().expect("BUG: nothing panics while holding what was counted")
    }
}

fn check(report: &Counted) -> Result<(), NotTaken> {
    let fits = |name: &str| (1..=NAME_BYTES).contains(&name.len());
    if !fits(&report.node) || !fits(&report.process) {
        return Err(NotTaken::Name);
    }
    if report.versions.len() > limits::VERSIONS_COUNTED {
        return Err(NotTaken::Versions(report.versions.len()));
    }
    for version in &report.versions {
        let queries = version.counts.queries.len().max(version.samples.len());
        if queries > limits::QUERIES_COUNTED {
            return Err(NotTaken::Queries(queries));
        }
        let samples = version.samples.values().map(Vec::len).max().unwrap_or(0);
        if samples > limits::QUERY_SAMPLES {
            return Err(NotTaken::Samples(samples));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nearside_protocol::{
        query_report::{Parameter, QueryCounts, Work},
        release::ReleaseId,
    };

    use super::*;

    fn version(of: u8, seq: u64, runs: u64) -> VersionCounted {
        let rendering = Tally { runs, pages: runs * 10, ..Tally::default() };
        let query = QueryCounts { rendering, ..QueryCounts::default() };
        let work = Work { requests: runs * 2, ..Work::default() };
        let sample = Sample { parameters: vec![Parameter::Integer(runs as i64)], time_ns: 1, fetches: runs };
        VersionCounted {
            fingerprint: Digest::from_bytes([of; 32]),
            release: ReleaseId { epoch: 1, seq },
            counting_for_ms: 1_000,
            counts: Counts { work, queries: [("q".to_owned(), query)].into() },
            samples: [("q".to_owned(), vec![sample])].into(),
        }
    }

    fn report(node: &str, process: &str, versions: Vec<VersionCounted>) -> Counted {
        Counted { node: node.to_owned(), process: process.to_owned(), versions }
    }

    fn runs(gathered: &Gathered, of: u8, window: Window, now: Instant) -> u64 {
        gathered.view(&Digest::from_bytes([of; 32]), window, None, now).counts.runs()
    }

    #[test]
    fn a_report_that_comes_twice_counts_once_and_an_hour_passes() {
        let gathered = Gathered::default();
        let start = gathered.began;
        let later = |parts: u32| start + limits::QUERY_SLOT * parts;
        for _ in 0..2 {
            gathered.take(report("a", "1", vec![version(1, 1, 5)]), start).unwrap();
        }
        gathered.take(report("b", "2", vec![version(1, 1, 2)]), later(1)).unwrap();
        gathered.take(report("a", "1", vec![version(1, 1, 9)]), later(4)).unwrap();
        assert_eq!(
            (runs(&gathered, 1, Window::Version, later(4)), runs(&gathered, 1, Window::Hour, later(4))),
            (11, 11)
        );
        assert_eq!(runs(&gathered, 1, Window::Hour, later(6)), 6);
        assert_eq!(
            (runs(&gathered, 1, Window::Hour, later(20)), runs(&gathered, 1, Window::Version, later(20))),
            (0, 11)
        );
        assert_eq!(gathered.view(&Digest::from_bytes([1; 32]), Window::Version, Some("b"), start).counts.runs(), 2);

        // A process of which this origin has not heard, and that has counted since yesterday.
        let long = VersionCounted { counting_for_ms: 86_400_000, ..version(1, 1, 70) };
        gathered.take(report("c", "3", vec![long]), later(20)).unwrap();
        assert_eq!(
            (runs(&gathered, 1, Window::Hour, later(20)), runs(&gathered, 1, Window::Version, later(20))),
            (0, 81)
        );
    }

    #[test]
    fn versions_are_told_apart_and_the_one_before_is_shown_beside() {
        let gathered = Gathered::default();
        let now = gathered.began;
        gathered.take(report("a", "1", vec![version(1, 1, 5)]), now).unwrap();
        gathered.take(report("a", "1", vec![version(1, 1, 6), version(2, 4, 1)]), now).unwrap();
        let view = gathered.view(&Digest::from_bytes([2; 32]), Window::Version, None, now);
        assert_eq!((view.counts.runs(), view.before["q"].runs, view.nodes.len()), (1, 6, 1));
        assert_eq!(view.samples["q"][0].fetches, 1);
        // Back again: the same fingerprint, counted from nothing.
        gathered.take(report("a", "1", vec![version(2, 4, 1), version(1, 7, 3)]), now).unwrap();
        assert_eq!((runs(&gathered, 1, Window::Version, now), runs(&gathered, 1, Window::Hour, now)), (3, 3));
        assert_eq!(runs(&gathered, 3, Window::Version, now), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let gathered = Gathered::default();
        let now = gathered.began;
        for n in 0..limits::QUERY_PROCESSES + 3 {
            gathered.take(report(&format!("n{n}"), &format!("{n}"), vec![version(1, 1, 1)]), now).unwrap();
        }
        assert_eq!(runs(&gathered, 1, Window::Version, now), limits::QUERY_PROCESSES as u64);
        assert!(!gathered.nodes().contains("n2") && gathered.nodes().contains("n3"));

        let refused = |report| gathered.take(report, now).unwrap_err();
        assert_eq!(refused(report("", "1", Vec::new())), NotTaken::Name);
        assert_eq!(refused(report("a", "1", vec![version(1, 1, 1); 3])), NotTaken::Versions(3));
        let mut many = version(1, 1, 1);
        many.counts.queries = (0..257).map(|n| (n.to_string(), QueryCounts::default())).collect();
        assert_eq!(refused(report("a", "1", vec![many])), NotTaken::Queries(257));
    }
}

//! Prometheus text exposition format 0.0.4, of what `status` says, and of queries.

mod queries;

use std::{collections::BTreeMap, fmt::Write};

use nearside_protocol::{
    query_report::Counts,
    status::{AppCache, NodeStatus},
};

struct Metrics(String);

impl Metrics {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes all text.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.line(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// `totals` is what was counted of each app.
pub(crate) fn text(status: &NodeStatus, totals: &BTreeMap<String, Counts>) -> String {
    let mut metrics = Metrics(String::new());
    metrics.family("nearside_requests_total", "counter", "Requests by what became of them.");
    for (result, count) in &status.requests {
        metrics.line("nearside_requests_total", &[("result", result)], count);
    }
    let refused = "Connections closed because their clients had as many as one may have.";
    metrics.one("nearside_connections_refused_total", "counter", refused, status.connections_refused);
    metrics.one("nearside_cache_bytes", "gauge", "Memory of stored responses.", status.cache_bytes);
    metrics.one("nearside_cache_entries", "gauge", "Stored responses.", status.cache_entries);
    let forms = "Encoded forms of stored responses by what became of them; skipped ones are tried again.";
    metrics.family("nearside_forms_total", "counter", forms);
    for (result, count) in &status.forms {
        metrics.line("nearside_forms_total", &[("result", result)], count);
    }

    type Value = fn(&AppCache) -> u64;
    let of_apps: [(_, _, _, Value); 3] = [
        ("nearside_app_cache_bytes", "gauge", "Memory of an app's stored responses.", |cache| cache.bytes),
        ("nearside_app_cache_entries", "gauge", "An app's stored responses.", |cache| cache.entries),
        ("nearside_cache_evictions_total", "counter", "Stored responses that gave way to others.", |cache| {
            cache.evictions
        }),
    ];
    for (name, kind, help, value) in of_apps {
        metrics.family(name, kind, help);
        for (app, served) in &status.apps {
            metrics.line(name, &[("app", app)], value(&served.cache));
        }
    }

    let search = "nearside_search_memory_bytes";
    metrics.family(search, "gauge", "Memory of the search indexes of the release that is served, for all connections.");
    for (app, served) in &status.apps {
        metrics.line(search, &[("app", app)], served.search_memory_bytes);
    }

    let carried = "Stored responses by what became of them when another release was switched to.";
    metrics.family("nearside_cache_carried_total", "counter", carried);
    for (how, count) in &status.carried {
        metrics.line("nearside_cache_carried_total", &[("how", how)], count);
    }

    metrics.family("nearside_release_seq", "gauge", "The release that is served.");
    for (app, served) in &status.apps {
        let epoch = served.release.epoch.to_string();
        metrics.line("nearside_release_seq", &[("app", app), ("epoch", &epoch)], served.release.seq);
    }
    let behind =
        "By how much the release that is served may be behind the newest: time since the origin vouched for it.";
    metrics.family("nearside_behind_at_most_seconds", "gauge", behind);
    for (app, served) in &status.apps {
        if let Some(behind_ms) = served.behind_at_most_ms {
            metrics.line("nearside_behind_at_most_seconds", &[("app", app)], behind_ms as f64 / 1_000.0);
        }
    }
    metrics.family("nearside_refusals_total", "counter", "Releases, heads and objects that were refused, by reason.");
    for (reason, count) in &status.refusals {
        metrics.line("nearside_refusals_total", &[("reason", reason)], count);
    }
    let pulled = "Bytes of releases that came from the origin and siblings.";
    metrics.one("nearside_pulled_bytes_total", "counter", pulled, status.pulled_bytes);
    let written = "Bytes of pages written to this node's disk.";
    metrics.one("nearside_pages_written_bytes_total", "counter", written, status.pages_written_bytes);

    let queue = &status.queue;
    metrics.one("nearside_renders_running", "gauge", "Renders that use a core now.", queue.running);
    let most = "Renders that may use a core before others wait for one.";
    metrics.one("nearside_renders_running_most", "gauge", most, queue.cores_most);
    metrics.one("nearside_renders_under_way", "gauge", "Renders, whatever they wait for.", queue.under_way);
    type OfClass = fn(u64) -> f64;
    let of_classes: [(_, _, _, _, OfClass); 3] = [
        ("nearside_renders_waiting", "gauge", "Renders that wait for a core, by class.", &queue.waiting, |count| {
            count as f64
        }),
        (
            "nearside_renders_admitted_total",
            "counter",
            "Renders that got a place, by class.",
            &queue.admitted,
            |count| count as f64,
        ),
        (
            "nearside_renders_waited_seconds_total",
            "counter",
            "How long all of those had waited.",
            &queue.waited_ms,
            |ms| ms as f64 / 1_000.0,
        ),
    ];
    for (name, kind, help, values, value) in of_classes {
        metrics.family(name, kind, help);
        for (class, count) in values {
            metrics.line(name, &[("class", class)], value(*count));
        }
    }
    let shed = "Renders that were not made because more was asked for than can be, by class and reason.";
    metrics.family("nearside_shed_total", "counter", shed);
    for (class, reasons) in &status.shed {
        for (reason, count) in reasons {
            metrics.line("nearside_shed_total", &[("class", class), ("reason", reason)], count);
        }
    }

    let handed = "Renders that siblings were to make because there was no place for them here, by what became of them.";
    metrics.family("nearside_handed_total", "counter", handed);
    for (outcome, count) in &status.handed {
        metrics.line("nearside_handed_total", &[("outcome", outcome)], count);
    }
    let taken = "Renders that siblings asked for here, by what became of them.";
    metrics.family("nearside_taken_total", "counter", taken);
    for (outcome, count) in &status.taken {
        metrics.line("nearside_taken_total", &[("outcome", outcome)], count);
    }

    if !status.spans.is_empty() {
        let name = "nearside_spans_total";
        metrics.family(
            name,
            "counter",
            "Steps of traced requests, by what became of them on their way to the collector.",
        );
        for (outcome, count) in &status.spans {
            metrics.line(name, &[("outcome", outcome)], count);
        }
    }

    if !status.certificates.is_empty() {
        let name = "nearside_certificate_ends_timestamp_seconds";
        metrics.family(name, "gauge", "When a certificate that visitors or the origin are shown ends, Unix time.");
        for ends in &status.certificates {
            metrics.line(name, &[("name", &ends.name)], ends.at_s);
        }
    }

    let name = "nearside_refused_calls_total";
    metrics.family(name, "counter", "Calls to the admin address that showed no token, or none of this node's.");
    for (why, count) in &status.refused_calls {
        metrics.line(name, &[("why", why)], count);
    }

    let scrub = &status.scrub;
    let checked = "Kept pages that were hashed again in the background.";
    metrics.one("nearside_scrub_checked_pages_total", "counter", checked, scrub.checked_pages);
    metrics.one("nearside_scrub_rounds_total", "counter", "Rounds over all kept pages.", scrub.rounds);
    metrics.one("nearside_damaged_pages_total", "counter", "Pages found damaged on this disk.", scrub.damaged_pages);
    metrics.one("nearside_repaired_pages_total", "counter", "Damaged pages made whole.", scrub.repaired_pages);
    let waiting = "Damaged pages that nobody has given yet.";
    metrics.one("nearside_damaged_pages_waiting", "gauge", waiting, scrub.waiting_pages);
    if let Some(outbox) = &status.outbox {
        let waiting = "Deferred writes that the origin has not got yet.";
        metrics.one("nearside_outbox_waiting_writes", "gauge", waiting, outbox.waiting_writes);
        metrics.one("nearside_outbox_waiting_bytes", "gauge", "Their bytes.", outbox.waiting_bytes);
        let unsure = "Writes that were sent and not answered, until it is known what became of them.";
        metrics.one("nearside_outbox_unsure_writes", "gauge", unsure, outbox.unsure_writes);
        let closed = "Whether the outbox takes nothing more until the node is started again.";
        metrics.one("nearside_outbox_closed", "gauge", closed, u8::from(outbox.closed.is_some()));
        if let Some(oldest) = outbox.oldest_at_ms {
            let taken = "When the oldest of them was taken, Unix time.";
            metrics.one("nearside_outbox_oldest_timestamp_seconds", "gauge", taken, oldest as f64 / 1_000.0);
        }
    }
    queries::add(&mut metrics, totals);
    metrics.0
}

#[cfg(test)]
mod tests {
    use nearside_protocol::{
        digest::Digest,
        query_report::{QueryCounts, Tally, Work},
        release::ReleaseId,
        status::{CertificateEnds, NodeApp, OutboxStatus, QueueStatus},
    };

    use super::*;

    #[test]
    fn every_line_is_of_a_family_that_was_introduced() {
        let app = NodeApp {
            release: ReleaseId { epoch: 1, seq: 2 },
            app_digest: Digest::of(b""),
            applied_commit: 0,
            created_at_ms: 0,
            page_count: 0,
            hosts: Vec::new(),
            refused: None,
            behind_at_most_ms: None,
            cache: AppCache { bytes: 8, entries: 9, evictions: 10 },
            search_memory_bytes: 11,
        };
        let status = NodeStatus {
            node: "n".into(),
            version: "1".into(),
            uptime_s: 1,
            origin: None,
            apps: [("a".to_owned(), app)].into(),
            requests: [("hit".to_owned(), 2)].into(),
            connections_refused: 12,
            cache_bytes: 3,
            cache_entries: 4,
            forms: [("made".to_owned(), 8)].into(),
            carried: [("same_rows".to_owned(), 8)].into(),
            refusals: [("wrong_hash".to_owned(), 5)].into(),
            last_refusal: None,
            pulls: Default::default(),
            pulled_bytes: 6,
            pages_written_bytes: 7,
            scrub: Default::default(),
            outbox: Some(OutboxStatus {
                id: "i".into(),
                waiting_writes: 8,
                waiting_bytes: 9,
                oldest_at_ms: Some(1_500),
                unsure_writes: 10,
                closed: None,
            }),
            siblings: Vec::new(),
            certificates: vec![CertificateEnds { name: "shop.example".to_owned(), at_s: 1_900_000_000 }],
            queue: QueueStatus { waited_ms: [("page".to_owned(), 1_500)].into(), ..QueueStatus::default() },
            shed: [("page".to_owned(), [("delay".to_owned(), 7)].into())].into(),
            handed: [("made".to_owned(), 5)].into(),
            taken: [("busy".to_owned(), 4)].into(),
            spans: [("dropped_full".to_owned(), 3)].into(),
            refused_calls: [("no_token".to_owned(), 6)].into(),
        };
        let rendering = Tally { runs: 3, time_ns: 1_500_000_000, pages: 12, ..Tally::default() };
        let query = QueryCounts { renders: 2, rendering, ..QueryCounts::default() };
        let work = Work { requests: 30, renders: 2, ..Work::default() };
        let counts = Counts { work, queries: [("search".to_owned(), query)].into() };
        let text = text(&status, &[("a".to_owned(), counts)].into());
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line}");
            }
        }
        assert!(text.contains("nearside_refusals_total{reason=\"wrong_hash\"} 5\n"));
        assert!(text.contains("nearside_forms_total{result=\"made\"} 8\n"));
        assert!(text.contains("nearside_app_cache_bytes{app=\"a\"} 8\n"));
        assert!(text.contains("nearside_app_cache_entries{app=\"a\"} 9\n"));
        assert!(text.contains("nearside_cache_evictions_total{app=\"a\"} 10\n"));
        assert!(text.contains("nearside_search_memory_bytes{app=\"a\"} 11\n"));
        assert!(text.contains("nearside_app_requests_total{app=\"a\"} 30\n"));
        assert!(text.contains("nearside_app_renders_total{app=\"a\",for=\"visitor\"} 2\n"));
        assert!(text.contains("nearside_app_queries_total{app=\"a\"} 3\n"));
        let labels = "{app=\"a\",query=\"search\",for=\"render\"}";
        assert!(text.contains(&format!("nearside_query_pages_total{labels} 12\n")));
        assert!(text.contains(&format!("nearside_query_seconds_total{labels} 1.5\n")));
        assert!(text.contains("nearside_shed_total{class=\"page\",reason=\"delay\"} 7\n"));
        assert!(text.contains("nearside_handed_total{outcome=\"made\"} 5\n"));
        assert!(text.contains("nearside_spans_total{outcome=\"dropped_full\"} 3\n"));
        assert!(text.contains("nearside_taken_total{outcome=\"busy\"} 4\n"));
        assert!(text.contains("nearside_renders_waited_seconds_total{class=\"page\"} 1.5\n"));
        assert!(text.contains("nearside_pulled_bytes_total 6\n"));
        assert!(text.contains("nearside_outbox_oldest_timestamp_seconds 1.5\n"));
    }
}

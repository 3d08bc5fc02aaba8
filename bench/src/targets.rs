//! What the project has promised itself, each a constant here and nowhere else. A missed one stays in the results, as
//! missed.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::library::asked::COMMONEST;
use crate::report::CaseReport;
use crate::value::{Formula, Metric, Row, RowName, evaluate};

#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub bench: &'static str,
    pub name: &'static str,
    pub formula: Formula<'static>,
    pub bound: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const HIT: &str = "hit";
const RENDER: &str = "render";
const HANDLER: &str = "handler";
const PEERS: &str = "peers";
const SEARCH: &str = "search";
const COLD: &str = "cold";
const DENSITY: &str = "density";
const MIX: &str = "mix";
const CARRIED: &str = "carried";
const CROWD: &str = "crowd";
const SNAPSHOTS: &str = "snapshots";
const START: &str = "start";
const PUSHES: &str = "pushes";
const WRITES: &str = "writes";
const TASKS: &str = "tasks";
const STORY: &str = "story";
const OVERLOAD: &str = "overload";
const SIBLINGS: &str = "siblings";
const FLEET: &str = "fleet";
const INDEX: &str = "index";
const EDITS: &str = "edits";

/// Other ways to bring the same change, of which the smallest is compared with.
const BESIDE: &[&str] = &["copy", "zstd --patch-from", "sqlite3_rsync"];

/// Caches of which each is to be no faster.
const CACHES: &[&str] = &["nginx", "varnish"];

const fn of(case: &'static str, contender: &'static str, metric: Metric) -> RowName<'static> {
    RowName { case, contender, metric }
}

const fn at_most(bench: &'static str, name: &'static str, formula: Formula<'static>, most: f64) -> Target {
    Target { bench, name, formula, bound: Bound::AtMost(most) }
}

/// Bytes on the wire over the fewest that any other way takes.
const fn wire(name: &'static str, case: &'static str) -> Target {
    at_most(SNAPSHOTS, name, Formula::RatioToLeast(of(case, "nearside", Metric::WireBytes), BESIDE), 1.2)
}

/// Pages written at the node over pages changed.
const fn written(name: &'static str, case: &'static str) -> Target {
    let (written, changed) = (of(case, "nearside", Metric::WrittenPages), of(case, "nearside", Metric::PagesChanged));
    at_most(SNAPSHOTS, name, Formula::Ratio(written, changed), 2.0)
}

const fn at_the_knee(metric: Metric) -> Formula<'static> {
    Formula::Ratio(of("knee", "nearside", metric), of("knee", "plain", metric))
}

const fn writes_ratio(case: &'static str, metric: Metric, under: &'static str) -> Formula<'static> {
    Formula::Ratio(of(case, "nearside", metric), of(case, under, metric))
}

const fn pushed(name: &'static str, formula: Formula<'static>, most: f64) -> Target {
    at_most(PUSHES, name, formula, most)
}

/// So many times what the other has, and at least so much of it.
const fn at_least(name: &'static str, formula: Formula<'static>, least: f64) -> Target {
    Target { bench: HIT, name, formula, bound: Bound::AtLeast(least) }
}

const fn hit_ratio(case: &'static str, over: &'static str, under: &'static str, metric: Metric) -> Formula<'static> {
    Formula::Ratio(of(case, over, metric), of(case, under, metric))
}

const fn beside_caches(case: &'static str, metric: Metric) -> Formula<'static> {
    Formula::RatioToLeast(of(case, "nearside", metric), CACHES)
}

const fn apart(case: &'static str) -> Formula<'static> {
    Formula::Ratio(of(case, "nearside", Metric::WaiterMax), of(case, "apart", Metric::WaiterMax))
}

const fn p99_ratio(case: &'static str) -> Formula<'static> {
    Formula::Ratio(of(case, "pushed", Metric::LatencyP99), of(case, "calm", Metric::LatencyP99))
}

/// Of our node, one thing over another.
const fn overload(over: Metric, under: Metric) -> Formula<'static> {
    Formula::Ratio(of("3x", "nearside", over), of("3x", "nearside", under))
}

/// The slowest of a class of queries over tantivy's.
const fn beside_tantivy(name: &'static str, class: &'static str) -> Target {
    let ours = of(class, "nearside_search", Metric::LatencyP99);
    at_most(INDEX, name, Formula::Ratio(ours, of(class, "tantivy", Metric::LatencyP99)), 1.5)
}

const fn pages_beside_fts5(name: &'static str, case: &'static str) -> Target {
    let of =
        Formula::Ratio(of(case, "nearside_search", Metric::PushPagesMean), of(case, "FTS5", Metric::PushPagesMean));
    at_most(EDITS, name, of, 0.2)
}

const fn most_pages(name: &'static str, case: &'static str) -> Target {
    at_most(EDITS, name, Formula::Most(of(case, "nearside_search", Metric::PushPagesMost)), 200.0)
}

/// So much of what somebody else reaches.
const fn reaches(
    bench: &'static str,
    name: &'static str,
    [case, ours, theirs]: [&'static str; 3],
    least: f64,
) -> Target {
    let formula = Formula::Ratio(of(case, ours, Metric::Throughput), of(case, theirs, Metric::Throughput));
    Target { bench, name, formula, bound: Bound::AtLeast(least) }
}

/// So many times as much of the cores is taken by another runtime for the same page.
const fn spares(name: &'static str, theirs: &'static str, least: f64) -> Target {
    let (theirs, ours) = (of("page", theirs, Metric::CpuClosed), of("page", "nearside", Metric::CpuClosed));
    Target { bench: PEERS, name, formula: Formula::Ratio(theirs, ours), bound: Bound::AtLeast(least) }
}

/// What the origin sends where nodes ask each other first, over what it sends where they do not.
const fn sent(name: &'static str, case: &'static str, most: f64) -> Target {
    let (ours, alone) = (of(case, "siblings", Metric::OriginBytes), of(case, "origin alone", Metric::OriginBytes));
    at_most(FLEET, name, Formula::Ratio(ours, alone), most)
}

/// The first byte from the nearest node over that from the origin.
const fn nearer(name: &'static str, case: &'static str, most: f64) -> Target {
    let (near, far) = (of(case, "nearest node", Metric::FirstByteP50), of(case, "origin", Metric::FirstByteP50));
    at_most(FLEET, name, Formula::Ratio(near, far), most)
}

pub const TARGETS: &[Target] = &[
    at_most(
        FLEET,
        "two rows: ms until the last has it",
        Formula::Median(of("two rows", "siblings", Metric::There)),
        2_000.0,
    ),
    sent("join: bytes the origin sends over those without siblings", "join", 0.5),
    sent("documents: bytes the origin sends over those without siblings", "documents", 0.5),
    at_most(
        FLEET,
        "cut off: bytes over those of each delta",
        Formula::Ratio(of("cut off", "rejoined", Metric::WireBytes), of("cut off", "each delta", Metric::WireBytes)),
        0.5,
    ),
    at_most(FLEET, "cut off: objects", Formula::Most(of("cut off", "rejoined", Metric::Objects)), 8.0),
    nearer("20 ms: first byte from the nearest node over the origin's", "20 ms", 0.5),
    nearer("80 ms: first byte from the nearest node over the origin's", "80 ms", 0.15),
    nearer("160 ms: first byte from the nearest node over the origin's", "160 ms", 0.1),
    at_most(
        INDEX,
        "1 word, the commonest 1 %: p99 over FTS5's",
        Formula::Ratio(of(COMMONEST, "nearside_search", Metric::LatencyP99), of(COMMONEST, "FTS5", Metric::LatencyP99)),
        1.0 / 50.0,
    ),
    beside_tantivy("1 word, the commonest 1 %: p99 over tantivy's", COMMONEST),
    beside_tantivy("1 word, 100 commonest: p99 over tantivy's", "1 word, 100 commonest"),
    beside_tantivy("1 word, rank 100-1k: p99 over tantivy's", "1 word, rank 100-1k"),
    beside_tantivy("1 word, rank 1k-10k: p99 over tantivy's", "1 word, rank 1k-10k"),
    beside_tantivy("1 word, rarer: p99 over tantivy's", "1 word, rarer"),
    beside_tantivy("2 words AND: p99 over tantivy's", "2 words AND"),
    beside_tantivy("3 words AND: p99 over tantivy's", "3 words AND"),
    beside_tantivy("2 words OR: p99 over tantivy's", "2 words OR"),
    beside_tantivy("3 words OR: p99 over tantivy's", "3 words OR"),
    beside_tantivy("2 of the 100 commonest AND: p99 over tantivy's", "2 of the 100 commonest AND"),
    beside_tantivy("2 of the 100 commonest OR: p99 over tantivy's", "2 of the 100 commonest OR"),
    beside_tantivy("prefix of 3 letters: p99 over tantivy's", "prefix of 3 letters"),
    beside_tantivy("prefix of 5 letters: p99 over tantivy's", "prefix of 5 letters"),
    beside_tantivy("phrase of 2: p99 over tantivy's", "phrase of 2"),
    beside_tantivy("filtered: p99 over tantivy's", "filtered"),
    pages_beside_fts5("1 edited: pages a push over FTS5's", "1 edited"),
    pages_beside_fts5("20 edited: pages a push over FTS5's", "20 edited"),
    pages_beside_fts5("600 edited: pages a push over FTS5's", "600 edited"),
    pages_beside_fts5("1 replaced: pages a push over FTS5's", "1 replaced"),
    pages_beside_fts5("20 replaced: pages a push over FTS5's", "20 replaced"),
    pages_beside_fts5("600 replaced: pages a push over FTS5's", "600 replaced"),
    most_pages("1 edited: pages of the largest push", "1 edited"),
    most_pages("20 edited: pages of the largest push", "20 edited"),
    most_pages("600 edited: pages of the largest push", "600 edited"),
    most_pages("600 replaced: pages of the largest push", "600 replaced"),
    reaches(RENDER, "html: requests/s over native's", ["html", "nearside", "native"], 0.65),
    reaches(RENDER, "json: requests/s over native's", ["json", "nearside", "native"], 0.65),
    reaches(HANDLER, "fresh: requests/s over raw hyper's", ["plain", "nearside", "hyper"], 0.45),
    reaches(SEARCH, "selective: requests/s over native FTS5's", ["selective, FTS5", "nearside", "FTS5"], 0.9),
    reaches(SEARCH, "selective: requests/s over Node's with FTS5", ["selective, FTS5", "nearside", "node"], 1.0),
    reaches(PEERS, "fresh: requests/s over `wasmtime serve`'s as it comes", ["page", "nearside", "serve"], 2.5),
    reaches(PEERS, "fresh: requests/s over `wasmtime serve`'s, tuned", ["page", "nearside", "serve tuned"], 1.5),
    spares("fresh: `wasmtime serve`'s CPU a request, as it comes, over ours", "serve", 2.5),
    spares("fresh: `wasmtime serve`'s CPU a request, tuned, over ours", "serve tuned", 1.5),
    reaches(HANDLER, "reused: requests/s over raw hyper's", ["plain", "reused", "hyper"], 0.7),
    Target {
        bench: OVERLOAD,
        name: "renders in time at 3x over the peak",
        formula: overload(Metric::Throughput, Metric::Peak),
        bound: Bound::AtLeast(0.85),
    },
    at_most(OVERLOAD, "p99 of renders at 3x over that at 80 %", overload(Metric::LatencyP99, Metric::UsualP99), 2.0),
    at_most(
        OVERLOAD,
        "p99 of hits at 3x over that of hits alone",
        overload(Metric::HitsP99, Metric::HitsAloneP99),
        1.5,
    ),
    at_most(OVERLOAD, "hits failed", Formula::Most(of("3x", "nearside", Metric::HitsFailed)), 0.0),
    Target {
        bench: OVERLOAD,
        name: "in time at 80 % five seconds after it over before it",
        formula: overload(Metric::AfterRate, Metric::UsualRate),
        bound: Bound::AtLeast(0.95),
    },
    at_most(SIBLINGS, "1.5x: failed", Formula::Most(of("1.5x", "handed over", Metric::Failed)), 0.0),
    reaches(SIBLINGS, "2.5x: in time over without", ["2.5x", "handed over", "alone"], 1.8),
    at_most(SIBLINGS, "2.5x: failed", Formula::Most(of("2.5x", "handed over", Metric::Failed)), 0.0),
    at_most(
        SIBLINGS,
        "a sibling is killed: share of the others' requests that failed",
        Formula::Ratio(of("killed", "handed over", Metric::Failed), of("killed", "handed over", Metric::Requests)),
        0.01,
    ),
    Target {
        bench: TASKS,
        name: "tasks/s over one commit a task",
        formula: Formula::Ratio(
            of("quick", "nearside", Metric::TasksPerSecond),
            of("quick", "one by one", Metric::TasksPerSecond),
        ),
        bound: Bound::AtLeast(10.0),
    },
    at_least("page: requests/s over raw hyper's", hit_ratio("page", "nearside", "hyper", Metric::Throughput), 0.9),
    at_least(
        "page: raw hyper's CPU a request over ours",
        hit_ratio("page", "hyper", "nearside", Metric::CpuClosed),
        0.9,
    ),
    at_least("page: requests/s over nginx's", hit_ratio("page", "nearside", "nginx", Metric::Throughput), 1.15),
    at_most(HIT, "page: p50 over the better of nginx and Varnish", beside_caches("page", Metric::LatencyP50), 1.0),
    at_most(HIT, "page: p99 over the better of nginx and Varnish", beside_caches("page", Metric::LatencyP99), 1.0),
    at_least(
        "not modified: requests/s over raw hyper's",
        hit_ratio("not modified", "nearside", "hyper", Metric::Throughput),
        0.9,
    ),
    at_least(
        "not modified: raw hyper's CPU a request over ours",
        hit_ratio("not modified", "hyper", "nearside", Metric::CpuClosed),
        0.9,
    ),
    at_least(
        "not modified: requests/s over nginx's",
        hit_ratio("not modified", "nearside", "nginx", Metric::Throughput),
        1.15,
    ),
    at_most(
        HIT,
        "not modified: p50 over the better of nginx and Varnish",
        beside_caches("not modified", Metric::LatencyP50),
        1.0,
    ),
    at_most(
        HIT,
        "not modified: p99 over the better of nginx and Varnish",
        beside_caches("not modified", Metric::LatencyP99),
        1.0,
    ),
    at_least("brotli: requests/s over raw hyper's", hit_ratio("brotli", "nearside", "hyper", Metric::Throughput), 0.9),
    at_least(
        "brotli: raw hyper's CPU a request over ours",
        hit_ratio("brotli", "hyper", "nearside", Metric::CpuClosed),
        0.9,
    ),
    at_least("brotli: requests/s over nginx's", hit_ratio("brotli", "nearside", "nginx", Metric::Throughput), 1.15),
    at_most(HIT, "brotli: p50 over the better of nginx and Varnish", beside_caches("brotli", Metric::LatencyP50), 1.0),
    at_most(HIT, "brotli: p99 over the better of nginx and Varnish", beside_caches("brotli", Metric::LatencyP99), 1.0),
    at_most(CROWD, "50: renders", Formula::Most(of("50", "nearside", Metric::Renders)), 1.0),
    at_most(
        CROWD,
        "50: ms that p50 is over one alone",
        Formula::Median(of("50", "nearside", Metric::WaiterP50Over)),
        5.0,
    ),
    at_most(CROWD, "50, not to be kept: all answered, over pages that nobody shares", apart("50, not to be kept"), 2.0),
    at_most(
        CROWD,
        "50, not to be kept: failed",
        Formula::Most(of("50, not to be kept", "nearside", Metric::Failed)),
        0.0,
    ),
    at_most(CROWD, "500: renders", Formula::Most(of("500", "nearside", Metric::Renders)), 1.0),
    at_most(
        CROWD,
        "500: ms that p50 is over one alone",
        Formula::Median(of("500", "nearside", Metric::WaiterP50Over)),
        5.0,
    ),
    at_most(
        CROWD,
        "500, not to be kept: all answered, over pages that nobody shares",
        apart("500, not to be kept"),
        2.0,
    ),
    at_most(
        CROWD,
        "500, not to be kept: failed",
        Formula::Most(of("500, not to be kept", "nearside", Metric::Failed)),
        0.0,
    ),
    Target {
        bench: CARRIED,
        name: "20: pages that stayed the same and were not rendered, %",
        formula: Formula::Least(of("20", "carried", Metric::SameKept)),
        bound: Bound::AtLeast(99.0),
    },
    at_most(CARRIED, "20: points of hits lost", Formula::Median(of("20", "carried", Metric::HitsLost)), 1.0),
    at_most(CARRIED, "20: stale", Formula::Most(of("20", "carried", Metric::Stale)), 0.0),
    at_most(CARRIED, "20: failed", Formula::Most(of("20", "carried", Metric::Failed)), 0.0),
    Target {
        bench: CARRIED,
        name: "600: pages that stayed the same and were not rendered, %",
        formula: Formula::Least(of("600", "carried", Metric::SameKept)),
        bound: Bound::AtLeast(99.0),
    },
    at_most(CARRIED, "600: points of hits lost", Formula::Median(of("600", "carried", Metric::HitsLost)), 1.0),
    at_most(CARRIED, "600: stale", Formula::Most(of("600", "carried", Metric::Stale)), 0.0),
    at_most(CARRIED, "600: failed", Formula::Most(of("600", "carried", Metric::Failed)), 0.0),
    at_most("flood", "points of hits lost", Formula::Median(of("one-off searches", "nearside", Metric::HitsLost)), 2.0),
    at_most("flood", "failed", Formula::Most(of("one-off searches", "nearside", Metric::Failed)), 0.0),
    Target {
        bench: WRITES,
        name: "256 clients: writes/s over those at one commit a write",
        formula: writes_ratio("256", Metric::Throughput, "one commit a write"),
        bound: Bound::AtLeast(20.0),
    },
    at_most(
        WRITES,
        "64 clients: p99 over that of a bare fdatasync",
        writes_ratio("64", Metric::LatencyP99, "fdatasync"),
        4.0,
    ),
    wire("1 row revised: bytes on the wire over the fewest", "1 row revised"),
    wire("200 rows revised: bytes on the wire over the fewest", "200 rows revised"),
    wire("200 rows added: bytes on the wire over the fewest", "200 rows added"),
    wire("rebuilt: bytes on the wire over the fewest", "rebuilt"),
    written("1 row revised: pages written over changed", "1 row revised"),
    written("200 rows revised: pages written over changed", "200 rows revised"),
    written("200 rows added: pages written over changed", "200 rows added"),
    at_most(
        SNAPSHOTS,
        "200 rows revised: ms from commit to served, without the pause",
        Formula::Median(of("200 rows revised", "nearside", Metric::ThereAfterPause)),
        300.0,
    ),
    at_most(START, "start: ms to the first answer", Formula::Median(of("start", "nearside", Metric::Start)), 100.0),
    at_most(
        COLD,
        "idle app: us to the first answer, p50",
        Formula::Median(of("idle app", "first", Metric::LatencyP50)),
        1_000.0,
    ),
    at_most(
        COLD,
        "new version: ms from its file until it is served",
        Formula::Median(of("new version", "nearside", Metric::SwitchMs)),
        5.0,
    ),
    at_most(DENSITY, "many: MiB resident", Formula::Most(of("apps", "many", Metric::Resident)), 512.0),
    at_most(DENSITY, "many: failed", Formula::Most(of("apps", "many", Metric::Failed)), 0.0),
    at_most(
        MIX,
        "hits' p99 over that of hits alone",
        Formula::Ratio(of("hits", "mixed", Metric::LatencyP99), of("hits", "alone", Metric::LatencyP99)),
        2.0,
    ),
    at_most(MIX, "hits that failed", Formula::Most(of("hits", "mixed", Metric::Failed)), 0.0),
    at_most(STORY, "knee: p99 of first bytes over the plain service's", at_the_knee(Metric::FirstByteP99), 0.1),
    at_most(STORY, "knee: failed", Formula::Most(of("knee", "nearside", Metric::Failed)), 0.0),
    at_most(STORY, "knee: CPU a request over the plain service's", at_the_knee(Metric::CpuOpen), 1.0 / 3.0),
    pushed("rendered: failed", Formula::Most(of("rendered", "pushed", Metric::Failed)), 0.0),
    pushed("rendered: mixed", Formula::Most(of("rendered", "pushed", Metric::Mixed)), 0.0),
    pushed("rendered: p99 over that without pushes", p99_ratio("rendered"), 1.5),
    pushed("cached: failed", Formula::Most(of("cached", "pushed", Metric::Failed)), 0.0),
    pushed("cached: mixed", Formula::Most(of("cached", "pushed", Metric::Mixed)), 0.0),
    pushed("cached: p99 over that without pushes", p99_ratio("cached"), 1.5),
];

/// A target beside what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub name: String,
    pub target: Bound,
    /// None where it could not be measured, which is missed.
    pub value: Option<f64>,
    pub met: bool,
}

impl Bound {
    pub fn met_by(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }
}

/// Judges the targets of one bench. A target of who was not measured is missed; one that names a row which should be
/// there fails.
pub fn judge(targets: &[Target], bench: &str, cases: &[CaseReport], rows: &[Row]) -> Result<Vec<Judged>> {
    let of_bench = targets.iter().filter(|target| target.bench == bench);
    of_bench
        .map(|target| {
            let missing = target.formula.names().into_iter().any(|name| is_missing(cases, name));
            let value = if missing { None } else { Some(evaluate(rows, target.formula)?) };
            let met = value.is_some_and(|value| target.bound.met_by(value));
            Ok(Judged { name: target.name.to_owned(), target: target.bound, value, met })
        })
        .collect()
}

fn is_missing(cases: &[CaseReport], name: RowName<'_>) -> bool {
    let case = cases.iter().find(|case| case.name == name.case);
    let described = case.and_then(|case| case.contenders.iter().find(|described| described.name == name.contender));
    described.is_some_and(|described| described.missing.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_stays_as_missed() {
        let name = RowName { case: "page", contender: "nearside", metric: Metric::LatencyP99 };
        let target = |bound| Target { bench: "hit", name: "p99", formula: Formula::Median(name), bound };
        let row = Row {
            case: "page".into(),
            contender: "nearside".into(),
            metric: Metric::LatencyP99,
            median: 3.0,
            min: 1.0,
            max: 9.0,
        };
        let targets = [target(Bound::AtMost(2.0)), target(Bound::AtMost(3.0)), target(Bound::AtLeast(4.0))];
        let judged = judge(&targets, "hit", &[], std::slice::from_ref(&row)).unwrap();
        assert_eq!(judged.iter().map(|target| target.met).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(judged[0].value, Some(3.0));
        assert!(judge(&targets, "hit", &[], &[]).is_err());
        assert!(judge(&targets, "other", &[], &[row]).unwrap().is_empty());
    }
}

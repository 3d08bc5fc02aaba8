//! One handler's visit: the release it is pinned to, and the `nearside:edge` imports it calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nearside_protocol::{limits, route::Inputs};

use crate::{
    bindings::edge::{
        assets,
        inputs::{self, Kind},
        page::{self, IncludeError},
        sql as edge_sql,
        types::{self, FlatRows, Rows, SqlError, Value},
    },
    counts::{
        query::Why,
        run::{Measured, Run},
    },
    database::Reader,
    evidence::{Gathering, Question},
    fragment::Within,
    host::Host,
    missed,
    pages::vfs,
    queue::Place,
    release::Release,
    render::For,
    senses::Taint,
    spans::{
        Traced,
        statements::{self, Statements},
    },
    speaker::{Asked, Speaker},
    sql,
    writes::Writes,
};

/// What a handler's imports work on.
pub struct Visit {
    pub host: Arc<Host>,
    pub release: Arc<Release>,
    pub writes: Writes,
    pub taint: Taint,
    pub evidence: Gathering,
    pub cost: Arc<Cost>,
    pub speaker: Arc<Speaker>,
    pub whom: For,
    /// Index among the app's routes.
    pub route: usize,
    /// The request was shown whole, whatever its route declares.
    pub shown_whole: bool,
    pub deadline: Instant,
    /// How many pages include this one.
    pub depth: usize,
    pub reader: Option<Reader>,
    pub ran: Ran,
    /// Where this render is sampled: its SQL, and all else it leads to.
    pub statements: Option<Statements>,
    pub traced: Option<Traced>,
    /// In which pages that this one includes are made as well.
    pub place: Option<Arc<Place>>,
}

/// Which of the queries that are counted have run in this render.
#[derive(Default)]
pub struct Ran([u64; limits::QUERIES_COUNTED / 64]);

impl Ran {
    /// Whether this is the first time.
    fn is_first(&mut self, index: usize) -> bool {
        let Some(word) = self.0.get_mut(index / 64) else { return false };
        let bit = 1 << (index % 64);
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}

/// What a render cost, for `Server-Timing`, logs and metrics.
#[derive(Default, Debug)]
pub struct Cost {
    /// Under which its lines are found in the log.
    pub trace: String,
    pub queries: AtomicU64,
    pub rows: AtomicU64,
    pub sql_us: AtomicU64,
}

impl Cost {
    fn add(&self, run: &Run) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(run.rows.unwrap_or(0), Ordering::Relaxed);
        self.sql_us.fetch_add(run.time.as_micros() as u64, Ordering::Relaxed);
    }

    /// `Server-Timing` of a render, with the trace under which its lines are found in the log. A hit has none: nothing
    /// ran for it.
    pub fn server_timing(&self, took: Duration) -> String {
        let sql_ms = self.sql_us.load(Ordering::Relaxed) as f64 / 1_000.0;
        let (queries, rows) = (self.queries.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed));
        let trace = &self.trace;
        let render_ms = took.as_secs_f64() * 1_000.0;
        format!(
            "render;dur={render_ms:.3}, sql;dur={sql_ms:.3};desc=\"{queries} queries, {rows} rows\", trace;desc=\"{trace}\""
        )
    }
}

impl Visit {
    fn run(&mut self, name: &str, parameters: &[Value], time: Duration) -> Result<FlatRows, SqlError> {
        let Some(query) = self.release.queries.get(name) else {
            return Err(SqlError::UnknownQuery(format!("queries.sql has no query `{name}`")));
        };
        let reader = match &mut self.reader {
            Some(reader) => reader,
            empty => empty.insert(self.release.database.reader().map_err(|error| SqlError::Failed(error.to_string()))?),
        };
        // SQLite asks its VFS for the time on the thread that runs the statement, whichever way a `now` came into it.
        let before = vfs::clock_reads();
        let Measured { answer, pages, run } = reader.measured(&query.sql, parameters, time);
        if vfs::clock_reads() != before {
            self.taint.read_clock();
        }
        if let Some(counted) = self.release.counts.of(query) {
            counted.count(Why::Rendering, &run);
            if self.ran.is_first(query.index) {
                counted.count_render();
            }
            if self.may_be_sampled() {
                counted.sample(parameters, &run);
            }
        }
        self.cost.add(&run);
        if let Some(statements) = &mut self.statements {
            let failed = answer.as_ref().err().map(|error| sql::describe(error).to_owned());
            statements.ran(statements::Ran { summary: name, text: None, took: run.time, rows: run.rows, failed });
        }
        // What fails taints, so that nothing is kept of it.
        if let Ok(rows) = &answer {
            let (query, parameters) = (name.to_owned(), parameters.to_vec());
            self.evidence.with(|evidence| evidence.add(&pages, Question::new(query, parameters, rows.digest())));
        }
        answer
    }

    /// Only what follows from an address that anybody could have asked for: no cookie, no header, no visitor's address, and
    /// nothing that another page handed on.
    fn may_be_sampled(&self) -> bool {
        let Inputs::Declared(declared) = &self.release.code.app.routes[self.route].inputs else { return false };
        let is_anybodys = declared.headers.is_empty() && declared.cookies.is_empty() && !declared.client_ip;
        is_anybodys && !self.shown_whole && self.depth == 0
    }

    /// How long a query may take now.
    fn query_time(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(Duration::from_millis(limits::SQL_QUERY_MS))
    }
}

impl types::Host for Visit {}

impl Visit {
    fn ask(&mut self, name: &str, parameters: &[Value]) -> Result<FlatRows, SqlError> {
        let time = self.query_time();
        let result = self.run(name, parameters, time);
        if let Err(error) = &result {
            if !matches!(error, SqlError::UnknownQuery(_) | SqlError::WrongParameters(_)) {
                self.taint.met_failure();
            }
            let line = self.release.code.queries.get(name).map(|query| query.line);
            self.speaker.query_failed(&Asked { query: name, line, time }, error);
        }
        result
    }
}

impl edge_sql::Host for Visit {
    fn query(&mut self, name: String, parameters: Vec<Value>) -> wasmtime::Result<Result<Rows, SqlError>> {
        Ok(self.ask(&name, &parameters).map(|flat| flat.rows()))
    }

    fn query_flat(&mut self, name: String, parameters: Vec<Value>) -> wasmtime::Result<Result<FlatRows, SqlError>> {
        Ok(self.ask(&name, &parameters))
    }
}

impl inputs::Host for Visit {
    fn missed(&mut self, kind: Kind, name: String) -> wasmtime::Result<()> {
        if let Inputs::Declared(declared) = &self.release.code.app.routes[self.route].inputs
            && !self.shown_whole
            && !missed::shows(declared, kind, &name)
            && self.release.code.missed.is_news(self.route, kind, &name)
        {
            let (input, setting) = missed::words(kind, &name);
            self.speaker.input_missed(input, &name, setting);
        }
        Ok(())
    }
}

impl assets::Host for Visit {
    /// Part of the release, like the page itself: nothing that could come out otherwise.
    fn url(&mut self, path: String) -> wasmtime::Result<Option<String>> {
        Ok(self.release.code.static_files().url(&path).map(str::to_owned))
    }
}

impl page::Host for Visit {
    async fn include(&mut self, path: String) -> wasmtime::Result<Result<Vec<u8>, IncludeError>> {
        if self.depth >= limits::INCLUDE_DEPTH {
            let why = format!("pages include each other more than {} deep", limits::INCLUDE_DEPTH);
            // Asked for by itself, this page could include that one.
            self.taint.met_failure();
            return Ok(Err(IncludeError::Refused(why)));
        }
        let _shared = self.place.as_ref().map(Place::shared);
        let included = {
            let (taint, evidence, trace) = (&self.taint, &self.evidence, &self.speaker.trace);
            let within = Within { whom: self.whom, taint, evidence, trace, traced: self.traced.as_ref() };
            self.host.fragment(&self.release, &path, self.depth + 1, within).await
        };
        if matches!(included, Err(IncludeError::Status(500..))) {
            self.taint.met_failure();
        }
        Ok(included.map(|body| body.to_vec()))
    }
}

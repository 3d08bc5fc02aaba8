//! `nearside logs`: what nodes and the origin have logged, merged by time, and what they log from now on.

use std::{
    io::{ErrorKind, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use bytes::BytesMut;
use clap::Args;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use nearside_host::{
    credential::Credential,
    logbook::{Entry, Kind, Level, Position},
    logs::Line,
    origin_client::{ClientError, OriginClient, bytes, whole},
    tls::Believes,
};
use nearside_protocol::{limits, wire::LOGBOOK_HEADER};
use tokio::sync::mpsc;

use crate::{
    log_line::Style,
    places::{NodeAccess, OriginTls},
    settings::origin_tls,
};

/// Shows what nodes and the origin have logged, and follows it
///
/// Asks each node named by its admin address, and the origin if one is named; without any, the node at
/// http://127.0.0.1:8081. Entries are merged by time, a line each: time, level, app, route or command or task, release,
/// trace, message; a backtrace stands beneath. They come from memory: each process keeps its last few thousand.
///
/// Every error page names its trace, and so does the Server-Timing of every page that was rendered; its first eight
/// digits are enough for --trace.
///
/// With --follow it goes on until Ctrl-C, connects again when a node was away, and says when entries were lost.
#[derive(Args)]
#[command(after_help = "\
Kinds:
  guest             what a handler, command or task printed
  panic             it trapped or panicked; with a backtrace
  sql               a query failed; with its name and line
  limit             a deadline or another budget was overrun; with the setting that raises it
  undeclared-input  a handler looked for an input its route does not declare
  host              the node or the origin itself

Examples:
  nearside logs --follow
  nearside logs --trace 4bf92f35 --node http://127.0.0.1:8081 --node http://127.0.0.1:8091
  nearside logs -f --app packages --kind panic --kind limit --origin http://127.0.0.1:7600 --token-file origin-data/token
  nearside logs --json --last 1000 | jq -r .message")]
pub struct LogsArgs {
    /// A node's admin address; may be given several times
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    #[command(flatten)]
    pub access: NodeAccess,
    /// The origin
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// File with the origin's token
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub origin_tls: OriginTls,
    /// Of this app only
    #[arg(long)]
    pub app: Option<String>,
    /// Of this route, as the manifest has its path; or of this command or task
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<String>,
    /// Of this request, write or task attempt
    #[arg(long)]
    pub trace: Option<String>,
    /// Of this level and above: trace, debug, info, warn, error
    #[arg(long)]
    pub level: Option<Level>,
    /// Of this kind; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<Kind>,
    /// How many recent entries to begin with
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub last: usize,
    /// Go on with what is logged from now on
    #[arg(short, long)]
    pub follow: bool,
    /// Print each entry as a JSON object on a line
    #[arg(long)]
    pub json: bool,
}

/// Lines that were received and not printed yet.
const UNPRINTED: usize = 1_024;

pub async fn run(args: LogsArgs) -> anyhow::Result<ExitCode> {
    let sources = sources(&args)?;
    let asked = asked(&args);
    let mut printer = Printer::new(&args, sources.len());

    let mut recent: Vec<(usize, Box<Entry>)> = Vec::new();
    let mut positions: Vec<Option<Position>> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        match source.recent(&asked).await {
            Ok((entries, position)) => {
                recent.extend(entries.into_iter().map(|entry| (index, entry)));
                positions.push(Some(position));
            }
            Err(error) if args.follow && may_pass(&error) => {
                say(source, &format!("{error}; trying again"));
                positions.push(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    recent.sort_by_key(|(_, entry)| entry.at_ms);
    let surplus = recent.len().saturating_sub(args.last);
    for (index, entry) in recent.drain(surplus..) {
        if !printer.print(&sources[index], &Line::Entry(entry))? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }

    let (tell, mut told) = mpsc::channel(UNPRINTED);
    for (source, position) in sources.into_iter().zip(positions) {
        tokio::spawn(source.follow(asked.clone(), position, tell.clone()));
    }
    drop(tell);
    let stop = interrupted()?;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            heard = told.recv() => match heard {
                None => return Ok(ExitCode::SUCCESS),
                Some(Heard::Line(source, line)) => if !printer.print(&source, &line)? {
                    return Ok(ExitCode::SUCCESS);
                },
                Some(Heard::Refused(error)) => return Err(error.into()),
            },
        }
    }
}

/// Resolves at SIGINT or SIGTERM: the end of following a log is no failure.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The first node's default address, unless someone is named.
fn sources(args: &LogsArgs) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let nodes = match (&args.nodes[..], &args.origin) {
        ([], None) => &["http://127.0.0.1:8081".to_owned()],
        (nodes, _) => nodes,
    };
    for url in nodes {
        let credential = super::credential(args.access.admin_token_file.as_deref())?;
        sources.push(Source::new(url, credential, &Believes::default(), "/logs")?);
    }
    if let Some(url) = &args.origin {
        let token_file = args.token_file.as_deref().context("the origin's log needs --token-file")?;
        let tls = origin_tls(&args.origin_tls)?;
        sources.push(Source::new(url, super::credential(Some(token_file))?, &tls, "/v1/logs")?);
    }
    Ok(sources)
}

/// The part of a query that is the same for all.
fn asked(args: &LogsArgs) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("app", &args.app), ("place", &args.route), ("trace", &args.trace)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if let Some(level) = args.level {
        query.append_pair("level", level.name());
    }
    args.kinds.iter().for_each(|kind| {
        query.append_pair("kind", kind.name());
    });
    query.append_pair("last", &args.last.to_string());
    query.finish()
}

/// Whether it makes sense to ask again.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Malformed(_) => true,
        ClientError::Refused(problem) => problem.status >= 500,
        ClientError::NotAUrl(_) | ClientError::Tls(_) => false,
    }
}

/// About the log, not of it: on stderr.
fn say(source: &Source, what: &str) {
    eprintln!("nearside: {}: {what}", source.name);
}

/// A node's log, or the origin's.
#[derive(Clone)]
struct Source {
    /// `host:port`.
    name: String,
    client: Arc<OriginClient>,
    path: &'static str,
}

enum Heard {
    Line(Source, Line),
    /// Asking again would not help.
    Refused(ClientError),
}

impl Source {
    fn new(url: &str, credential: Credential, tls: &Believes, path: &'static str) -> anyhow::Result<Source> {
        let client = OriginClient::by(url, credential, tls)
            .map_err(|_| anyhow!("`{url}` is not an address: `http://host:port` expected"))?;
        let name = url.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/').to_owned();
        Ok(Source { name, client: Arc::new(client), path })
    }

    async fn ask(&self, query: &str) -> Result<(http::Response<Incoming>, Position), ClientError> {
        let request = self.client.request(Method::GET, &format!("{}?{query}", self.path));
        let request = request.body(bytes("")).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let response = self.client.send(request, limits::OUTBOUND_CONNECT * 2).await?;
        let position = response.headers().get(LOGBOOK_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let position = position.ok_or_else(|| ClientError::Malformed(format!("{} has no logbook", self.name)))?;
        Ok((response, position))
    }

    async fn recent(&self, asked: &str) -> Result<(Vec<Box<Entry>>, Position), ClientError> {
        let (response, position) = self.ask(asked).await?;
        let body = whole(response, limits::LOGBOOK_ANSWER_BYTES).await?;
        let lines = body.split(|byte| *byte == b'\n').filter_map(|line| self.read(line));
        let entries = lines.filter_map(|line| match line {
            Line::Entry(entry) => Some(entry),
            Line::Lost { .. } => None,
        });
        Ok((entries.collect(), position))
    }

    fn read(&self, line: &[u8]) -> Option<Line> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        serde_json::from_slice(line).inspect_err(|error| say(self, &format!("a line cannot be read: {error}"))).ok()
    }

    /// Tells everything after a position, and connects again as often as it takes.
    async fn follow(self, asked: String, mut position: Option<Position>, tell: mpsc::Sender<Heard>) {
        let mut pause = limits::PULL_RETRY_FIRST;
        let mut away = position.is_none();
        loop {
            let was_away = std::mem::replace(&mut away, true);
            let since = position.map(|position| format!("&since={position}")).unwrap_or_default();
            match self.ask(&format!("{asked}&follow=1{since}")).await {
                Ok((response, now)) => {
                    if was_away {
                        say(&self, "answers again");
                    }
                    if position.is_some_and(|before| !before.is_same_book(now)) {
                        say(&self, "was started again; what it had logged last before may be lost");
                    }
                    pause = limits::PULL_RETRY_FIRST;
                    let reached = position.insert(now);
                    let Err(why) = self.read_on(response.into_body(), reached, &tell).await else { return };
                    say(&self, &format!("{why}; trying again"));
                }
                Err(error) if may_pass(&error) => {
                    if !was_away {
                        say(&self, &format!("{error}; trying again"));
                    }
                }
                Err(error) => {
                    let _ = tell.send(Heard::Refused(error)).await;
                    return;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(limits::PULL_RETRY_MOST);
        }
    }

    /// Passes on what comes, until it ends; good when nobody listens any more.
    async fn read_on(
        &self,
        mut body: Incoming,
        reached: &mut Position,
        tell: &mpsc::Sender<Heard>,
    ) -> Result<(), String> {
        let mut unfinished = BytesMut::new();
        loop {
            // Even a silent log says something every so often.
            let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
                Err(_) => return Err(format!("has said nothing for {} s", SILENCE.as_secs())),
                Ok(None) => return Err("has ended".into()),
                Ok(Some(Err(error))) => return Err(format!("broke off: {error}")),
                Ok(Some(Ok(frame))) => frame,
            };
            unfinished.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = unfinished.iter().position(|byte| *byte == b'\n') {
                let line = unfinished.split_to(end + 1);
                let Some(line) = self.read(&line) else { continue };
                if let Line::Entry(entry) = &line {
                    *reached = reached.at(entry.seq);
                }
                if tell.send(Heard::Line(self.clone(), line)).await.is_err() {
                    return Ok(());
                }
            }
            if unfinished.len() > limits::LOGBOOK_LINE_BYTES {
                return Err(format!("sent a line of more than {} bytes", limits::LOGBOOK_LINE_BYTES));
            }
        }
    }
}

const SILENCE: Duration = limits::LOGBOOK_HEARTBEAT.saturating_mul(3);

/// Writes lines as they were asked for.
struct Printer {
    style: Style,
    json: bool,
    several: bool,
}

impl Printer {
    fn new(args: &LogsArgs, sources: usize) -> Printer {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Printer { style: Style { colours, short_trace: true }, json: args.json, several: sources > 1 }
    }

    /// False when nobody reads any more.
    fn print(&mut self, source: &Source, line: &Line) -> anyhow::Result<bool> {
        #[derive(serde::Serialize)]
        struct From<'a> {
            from: &'a str,
            #[serde(flatten)]
            line: &'a Line,
        }
        let text = match line {
            line if self.json => serde_json::to_string(&From { from: &source.name, line })? + "\n",
            Line::Entry(entry) => self.style.text(entry, self.several.then_some(source.name.as_str())),
            Line::Lost { lost } => {
                say(source, &format!("{lost} entries, of any app and kind, came too fast to be sent"));
                return Ok(true);
            }
        };
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            written => Ok(written.map(|()| true)?),
        }
    }
}

//! `GET /logs` of a node's admin address, and `GET /v1/logs` of the origin: the logbook, a JSON object a line.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{
    Either, Full,
    channel::{Channel, Sender},
};
use nearside_protocol::{limits, wire::LOGBOOK_HEADER};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};

use crate::logbook::{Entry, Filter, Followed, Logbook, Next, NotAPosition, Position, UnknownName};

pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// How many recent entries are shown when nothing is said.
const LAST: usize = 100;
/// Pieces of a follower's answer that may wait for its connection.
const PIECES: usize = 4;
/// Entries are sent together up to this size.
const PIECE_BYTES: usize = 64 << 10;

pub type Body = Either<Full<Bytes>, Channel<Bytes, Infallible>>;

/// A logbook, as it is answered from.
#[derive(Clone)]
pub struct Logs {
    logbook: Logbook,
    followers: Arc<Semaphore>,
    heartbeat: Duration,
}

/// One line of an answer. An empty line in between only says that the other side is there.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Entry(Box<Entry>),
    /// So many entries, of any app and kind, were dropped before they could be sent.
    Lost {
        lost: u64,
    },
}

/// Why there is no answer.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum LogsError {
    #[error("`{0}` is not something to ask a logbook: app, place, trace, level, kind, last, follow and since are")]
    UnknownParameter(String),
    #[error("level {0}")]
    Level(UnknownName),
    #[error("kind {0}")]
    Kind(UnknownName),
    #[error("`last` is a number, not `{0}`")]
    Last(String),
    #[error("`follow` is 1 or 0, not `{0}`")]
    Follow(String),
    #[error(transparent)]
    Since(#[from] NotAPosition),
    #[error("{} follow already; that is the most", limits::LOGBOOK_FOLLOWERS)]
    Full,
}

impl LogsError {
    pub fn status(&self) -> StatusCode {
        match self {
            LogsError::Full => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// What is asked for.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    filter: Filter,
    last: Option<usize>,
    follow: bool,
    /// Everything after this, as far as it is kept. In another book - after a new start - it is the recent entries.
    since: Option<Position>,
}

impl Asked {
    fn read(query: &str) -> Result<Asked, LogsError> {
        let mut asked = Asked::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = || value.chars().take(64).collect::<String>();
            match &*name {
                "app" => asked.filter.app = Some(value.into_owned()),
                "place" => asked.filter.place = Some(value.into_owned()),
                "trace" => asked.filter.trace = Some(value.into_owned()),
                "level" => asked.filter.level = Some(value.parse().map_err(LogsError::Level)?),
                "kind" => asked.filter.kinds.push(value.parse().map_err(LogsError::Kind)?),
                "last" => asked.last = Some(value.parse().map_err(|_| LogsError::Last(text()))?),
                "follow" if matches!(&*value, "0" | "1") => asked.follow = value == "1",
                "follow" => return Err(LogsError::Follow(text())),
                "since" => asked.since = Some(value.parse()?),
                other => return Err(LogsError::UnknownParameter(other.chars().take(64).collect())),
            }
        }
        Ok(asked)
    }
}

impl Logs {
    pub fn new(logbook: Logbook) -> Logs {
        let followers = Arc::new(Semaphore::new(limits::LOGBOOK_FOLLOWERS));
        Logs { logbook, followers, heartbeat: limits::LOGBOOK_HEARTBEAT }
    }

    /// Answers a query; one that follows ends with `stopping`, or with the process.
    pub fn answer(&self, query: Option<&str>, stopping: watch::Receiver<bool>) -> Result<Response<Body>, LogsError> {
        let asked = Asked::read(query.unwrap_or_default())?;
        let place = match asked.follow {
            true => Some(self.followers.clone().try_acquire_owned().map_err(|_| LogsError::Full)?),
            false => None,
        };
        let (recent, mut followed) = match asked.since.and_then(|since| self.logbook.follow_after(since)) {
            Some(followed) => (Vec::new(), followed),
            None => self.logbook.recent_and_follow(&asked.filter, asked.last.unwrap_or(LAST)),
        };
        let mut first = Vec::new();
        recent.into_iter().for_each(|entry| write(&mut first, &*entry));
        if asked.since.is_some() && !asked.follow {
            while ready(&mut first, &mut followed, &asked.filter) {}
        }
        let position = followed.position();
        let body = match place {
            None => Either::Left(Full::new(first.into())),
            Some(place) => {
                let (sender, body) = Channel::new(PIECES);
                let follower = Follower { followed, filter: asked.filter, heartbeat: self.heartbeat, _place: place };
                tokio::spawn(follower.run(first, sender, stopping));
                Either::Right(body)
            }
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let position = HeaderValue::from_str(&position.to_string()).expect("BUG: digits and a dot");
        headers.insert(LOGBOOK_HEADER, position);
        Ok(response)
    }
}

/// One who follows.
struct Follower {
    followed: Followed,
    filter: Filter,
    heartbeat: Duration,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Sends what comes, until the other side is gone or this one stops.
    async fn run(mut self, mut piece: Vec<u8>, mut sender: Sender<Bytes>, mut stopping: watch::Receiver<bool>) {
        let mut sent_at = Instant::now();
        loop {
            while piece.len() < PIECE_BYTES && ready(&mut piece, &mut self.followed, &self.filter) {}
            if !piece.is_empty() {
                sent_at = Instant::now();
                let piece = std::mem::take(&mut piece).into();
                tokio::select! {
                    sent = sender.send_data(piece) => if sent.is_err() { return },
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                }
            }
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                next = self.followed.next() => match next {
                    Next::Ended => return,
                    next => add(&mut piece, next, &self.filter),
                },
                () = sleep_until(sent_at + self.heartbeat) => piece.push(b'\n'),
            }
        }
    }
}

/// Adds what can be read at once; false when there is nothing.
fn ready(piece: &mut Vec<u8>, followed: &mut Followed, filter: &Filter) -> bool {
    let next = followed.ready();
    next.map(|next| add(piece, next, filter)).is_some()
}

fn add(piece: &mut Vec<u8>, next: Next, filter: &Filter) {
    match next {
        Next::Entry(entry) if filter.admits(&entry) => write(piece, &*entry),
        Next::Entry(_) | Next::Ended => {}
        Next::Lost(lost) => write(piece, &Line::Lost { lost }),
    }
}

/// An entry, or a [`Line`].
fn write(piece: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *piece, line).expect("BUG: a line is plain data");
    piece.push(b'\n');
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::logbook::{Kind, Level};

    fn logged(logbook: &Logbook, messages: &[&str]) {
        let subscriber = tracing_subscriber::registry().with(logbook.layer());
        tracing::subscriber::with_default(subscriber, || {
            messages.iter().for_each(|message| tracing::info!(target: Kind::Guest.target(), app = "a", "{message}"));
        });
    }

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_query_is_read_or_its_fault_is_named() {
        let asked = Asked::read("app=a&place=%2Fx&kind=panic&kind=sql&level=warn&last=3&follow=1").unwrap();
        assert_eq!(asked.filter.place.as_deref(), Some("/x"));
        assert_eq!(asked.filter.kinds, [Kind::Panic, Kind::Sql]);
        assert_eq!((asked.filter.level, asked.last, asked.follow), (Some(Level::Warn), Some(3), true));
        for (query, word) in [
            ("kind=loud", "loud"),
            ("level=loud", "trace, debug"),
            ("last=-1", "-1"),
            ("follow=yes", "yes"),
            ("since=1", "no position"),
            ("colour=red", "colour"),
        ] {
            let error = Asked::read(query).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        }
    }

    #[tokio::test]
    async fn what_is_recent_comes_at_once_and_reading_goes_on_where_it_ended() {
        let logbook = Logbook::new();
        logged(&logbook, &["one", "two", "three"]);
        let logs = Logs::new(logbook.clone());
        let (_running, stopping) = watch::channel(false);
        let response = logs.answer(Some("last=2"), stopping.clone()).unwrap();
        let position = response.headers()[LOGBOOK_HEADER].to_str().unwrap().to_owned();
        let lines = text(response).await;
        assert!(lines.lines().count() == 2 && lines.contains("two") && lines.contains("three"), "{lines}");

        logged(&logbook, &["four"]);
        let lines = text(logs.answer(Some(&format!("since={position}")), stopping.clone()).unwrap()).await;
        assert!(lines.lines().count() == 1 && lines.contains("four"), "{lines}");
        let elsewhere = logs.answer(Some("since=0.3"), stopping).unwrap();
        assert_eq!(text(elsewhere).await.lines().count(), 4);
    }

    #[tokio::test]
    async fn followers_are_bounded_and_end_when_the_process_does() {
        let logs = Logs::new(Logbook::new());
        let (stop, stopping) = watch::channel(false);
        let answers: Vec<_> =
            (0..limits::LOGBOOK_FOLLOWERS).map(|_| logs.answer(Some("follow=1"), stopping.clone()).unwrap()).collect();
        assert_eq!(logs.answer(Some("follow=1"), stopping.clone()).unwrap_err(), LogsError::Full);
        assert!(logs.answer(None, stopping).is_ok());
        stop.send_replace(true);
        for answer in answers {
            assert_eq!(text(answer).await, "");
        }
    }

    #[tokio::test]
    async fn silence_is_told_from_absence() {
        let logs = Logs { heartbeat: Duration::from_millis(10), ..Logs::new(Logbook::new()) };
        let (_running, stopping) = watch::channel(false);
        let mut body = logs.answer(Some("follow=1"), stopping).unwrap().into_body();
        for _ in 0..3 {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(&piece[..], b"\n");
        }
    }
}

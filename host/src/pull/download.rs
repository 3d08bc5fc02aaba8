//! One object coming in over the wire: in pieces, across broken connections, never more of it than was said.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use nearside_protocol::limits;
use tokio::sync::mpsc;

use super::sources::{Asks, Source, is_missing};
use crate::origin_client::ClientError;

#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("it does not have it")]
    Missing,
    #[error(transparent)]
    Client(ClientError),
    #[error("it sends more than the {most_bytes} bytes that were said")]
    TooLong { most_bytes: u64 },
    #[error("it broke off after {bytes} bytes: {why}")]
    BrokeOff { bytes: u64, why: String },
    #[error("it gave less than {} bytes a second", limits::PULL_LEAST_BYTES_PER_S)]
    TooSlow,
    #[error("it has another object there than before the connection broke")]
    Changed,
    /// Whoever takes the pieces wants no more of them, and says why.
    #[error("its pieces are not taken any more")]
    NotTaken,
}

/// A download that has been answered and not read yet.
pub struct Download<'a> {
    source: &'a Source,
    path: &'a str,
    most_bytes: u64,
    response: Response<Incoming>,
    tag: Option<HeaderValue>,
    received: u64,
}

impl<'a> Download<'a> {
    /// Asks for an object; is told each time its source says that it is on its way there. What says that it is too long is refused
    /// before its first byte.
    pub async fn open(
        source: &'a Source,
        path: &'a str,
        most_bytes: u64,
        asks: Asks,
        is_on_its_way: impl Fn(),
    ) -> Result<Download<'a>, DownloadError> {
        let began = Instant::now();
        let response = loop {
            let asked = tokio::time::Instant::now();
            let response = source.open(path, asks).await.map_err(|error| match is_missing(&error) {
                true => DownloadError::Missing,
                false => DownloadError::Client(error),
            })?;
            if response.status() != StatusCode::ACCEPTED {
                break response;
            }
            if asks == Asks::AtOnce || began.elapsed() >= limits::SIBLING_COMES {
                return Err(DownloadError::Missing);
            }
            is_on_its_way();
            tokio::time::sleep_until(asked + limits::PULL_RETRY_FIRST).await;
        };
        if length(&response).is_some_and(|length| length > most_bytes) {
            return Err(DownloadError::TooLong { most_bytes });
        }
        let tag = strong_tag(&response);
        Ok(Download { source, path, most_bytes, response, tag, received: 0 })
    }

    /// Gives all of it to `pieces`; shows each to `came`.
    pub async fn run(mut self, pieces: &mpsc::Sender<Bytes>, came: impl Fn(&Bytes)) -> Result<u64, DownloadError> {
        let mut tries = 0;
        let mut pause = limits::PULL_RETRY_FIRST;
        let mut pace = Pace::new(self.received);
        loop {
            let before = self.received;
            let why = match self.read(pieces, &came, &mut pace).await {
                Ok(()) => return Ok(self.received),
                Err(Stop::For(error)) => return Err(error),
                Err(Stop::Broke(why)) => why,
            };
            if self.received - before >= limits::PULL_PROGRESS_BYTES {
                (tries, pause) = (0, limits::PULL_RETRY_FIRST);
            }
            loop {
                tries += 1;
                if tries > limits::PULL_TRIES {
                    return Err(DownloadError::BrokeOff { bytes: self.received, why });
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(limits::PULL_RETRY_MOST);
                if self.go_on().await? {
                    pace = Pace::new(self.received);
                    break;
                }
            }
        }
    }

    /// Asks for the rest. Whether there is an answer.
    async fn go_on(&mut self) -> Result<bool, DownloadError> {
        let response = match self.source.go_on(self.path, self.received, self.tag.as_ref()).await {
            Ok(response) => response,
            Err(ClientError::Unreachable { .. }) => return Ok(false),
            Err(ClientError::Refused(problem)) if problem.status >= 500 => return Ok(false),
            Err(ClientError::Refused(problem)) if problem.status == 416 => return Err(DownloadError::Changed),
            Err(error) => return Err(DownloadError::Client(error)),
        };
        // From the beginning there is nothing to go on with; all else must be the rest of the very same object.
        let fits = match self.received {
            0 => response.status() == StatusCode::OK,
            received => {
                self.tag.is_some()
                    && response.status() == StatusCode::PARTIAL_CONTENT
                    && strong_tag(&response) == self.tag
                    && starts_at(&response) == Some(received)
            }
        };
        if !fits {
            return Err(DownloadError::Changed);
        }
        if self.received == 0 {
            self.tag = strong_tag(&response);
        }
        self.response = response;
        Ok(true)
    }

    async fn read(
        &mut self,
        pieces: &mpsc::Sender<Bytes>,
        came: &impl Fn(&Bytes),
        pace: &mut Pace,
    ) -> Result<(), Stop> {
        loop {
            let frame = match tokio::time::timeout(limits::STREAM_IDLE, self.response.body_mut().frame()).await {
                Err(_) => return Err(Stop::Broke("nothing came any more".into())),
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(Stop::Broke(error.to_string())),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(piece) = frame.into_data() else { continue };
            self.received += piece.len() as u64;
            if self.received > self.most_bytes {
                return Err(Stop::For(DownloadError::TooLong { most_bytes: self.most_bytes }));
            }
            came(&piece);
            let waited = Instant::now();
            pieces.send(piece).await.map_err(|_| Stop::For(DownloadError::NotTaken))?;
            // Only what the other side takes counts, not what this node's own disk does.
            pace.excuse(waited.elapsed());
            if pace.is_too_slow(self.received) {
                return Err(Stop::For(DownloadError::TooSlow));
            }
        }
    }
}

enum Stop {
    /// Asking again may help.
    Broke(String),
    For(DownloadError),
}

/// Whether somebody sends just enough to keep a pull from ending.
struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(bytes: u64) -> Pace {
        Pace { since: Instant::now(), bytes }
    }

    fn excuse(&mut self, time: Duration) {
        self.since += time;
    }

    fn is_too_slow(&mut self, bytes: u64) -> bool {
        let elapsed = self.since.elapsed();
        if elapsed < limits::PULL_PACE_OVER {
            return false;
        }
        let too_slow = bytes - self.bytes < limits::PULL_LEAST_BYTES_PER_S * elapsed.as_secs();
        *self = Pace::new(bytes);
        too_slow
    }
}

fn length(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A weak tag does not promise the same bytes.
fn strong_tag(response: &Response<Incoming>) -> Option<HeaderValue> {
    response.headers().get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")).cloned()
}

/// The first byte of a part: `bytes 100-199/200`.
fn starts_at(response: &Response<Incoming>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

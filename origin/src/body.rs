//! Bodies, in and out, under their limits.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use nearside_protocol::limits;
use tokio::{fs::File, io::AsyncWriteExt};

/// What the HTTP interface answers with.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is over {0} bytes")]
    TooLarge(u64),
    #[error("nothing more of the body came within {} seconds", limits::REQUEST_BODY_WAIT.as_secs())]
    Stalled,
    #[error(
        "the body comes too slowly: less than {} bytes in {} seconds",
        limits::SENT_LEAST_BYTES_PER_S * limits::SENT_PACE_OVER.as_secs(),
        limits::SENT_PACE_OVER.as_secs()
    )]
    TooSlow,
    #[error("the body broke off: {0}")]
    Broken(hyper::Error),
    #[error("the body cannot be stored: {0}")]
    Disk(#[from] io::Error),
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body as it comes, piece by piece.
struct Pieces {
    body: Incoming,
    most_bytes: u64,
    had_bytes: u64,
    pace: Pace,
}

impl Pieces {
    fn of(body: Incoming, most_bytes: u64) -> Result<Pieces, BodyError> {
        match body.size_hint().lower() > most_bytes {
            true => Err(BodyError::TooLarge(most_bytes)),
            false => Ok(Pieces { body, most_bytes, had_bytes: 0, pace: Pace::default() }),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let asked = Instant::now();
            let frame = tokio::time::timeout(limits::REQUEST_BODY_WAIT, self.body.frame());
            let Some(frame) = frame.await.map_err(|_| BodyError::Stalled)? else { return Ok(None) };
            // Trailers say nothing here.
            let Ok(piece) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
            if !self.pace.keeps(piece.len() as u64, asked.elapsed()) {
                return Err(BodyError::TooSlow);
            }
            self.had_bytes += piece.len() as u64;
            if self.had_bytes > self.most_bytes {
                return Err(BodyError::TooLarge(self.most_bytes));
            }
            return Ok(Some(piece));
        }
    }
}

/// How fast a body comes: what was waited for it, and not the time that its pieces took to be written down.
#[derive(Default)]
struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Whether it is fast enough with this piece, for which so long was waited.
    fn keeps(&mut self, bytes: u64, waited: Duration) -> bool {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < limits::SENT_PACE_OVER {
            return true;
        }
        let least_bytes = limits::SENT_LEAST_BYTES_PER_S * self.waited.as_secs();
        std::mem::take(self).bytes >= least_bytes
    }
}

pub(crate) async fn whole(body: Incoming, most_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let mut pieces = Pieces::of(body, most_bytes as u64)?;
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// A file that is there for one request.
pub(crate) struct IncomingFile(PathBuf);

impl IncomingFile {
    pub(crate) async fn receive(body: Incoming, most_bytes: u64, path: PathBuf) -> Result<IncomingFile, BodyError> {
        let mut pieces = Pieces::of(body, most_bytes)?;
        let mut file = File::create(&path).await?;
        let incoming = IncomingFile(path);
        while let Some(piece) = pieces.next().await? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(incoming)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), cause = %error, "a file that came in is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many pieces are taken of a body of many.
    fn taken(bytes: u64, waited: Duration) -> usize {
        let mut pace = Pace::default();
        (0..1_000).take_while(|_| pace.keeps(bytes, waited)).count()
    }

    #[test]
    fn who_drips_bytes_is_not_waited_for() {
        assert_eq!(taken(1, SECOND * 9), 2, "27 s for 3 bytes");
        assert_eq!(taken(limits::SENT_LEAST_BYTES_PER_S - 1, SECOND), 19);
        assert_eq!(taken(limits::SENT_LEAST_BYTES_PER_S, SECOND), 1_000);
        assert_eq!(taken(1, Duration::from_millis(1)), 1_000, "a short body may come in small pieces");
    }

    #[test]
    fn what_came_fast_is_no_credit_for_later() {
        let mut pace = Pace::default();
        assert!(pace.keeps(1 << 30, SECOND * 20));
        assert!(pace.keeps(1, SECOND * 10) && !pace.keeps(1, SECOND * 10));
    }
}

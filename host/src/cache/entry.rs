//! One stored response: what is sent, and what it was computed from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Because, store::Kept};
use crate::{
    cache_status::Cause,
    evidence::Evidence,
    forms::{Forms, bytes_of},
    past::Verdict,
    release::Release,
};

/// A stored response.
#[derive(Debug)]
pub struct Entry {
    /// The generations of its app for which it is known to be right: from the one it was made in to this one.
    pub made_in: u64,
    pub right_until: AtomicU64,
    /// How it came to be right for the generation it was made in.
    pub by: By,
    /// Why it was rendered, and when.
    pub because: Because,
    pub made_at: Instant,
    pub evidence: Evidence,
    /// How long it took to make.
    pub took: Duration,
    pub expires: Option<Expires>,
    pub whole: Arc<Whole>,
    /// How often it has answered.
    pub hits: AtomicU32,
}

/// When a response is over that is good for a while only.
#[derive(Clone, Copy, Debug)]
pub struct Expires {
    pub at: Instant,
    /// For how long it is good altogether, as it says itself.
    pub says: Duration,
}

impl Expires {
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// What `Age` says of it (RFC 9111, section 5.1): so much of what it says is over, so that whoever keeps it behind this node
    /// has it for no longer than this node. A page made of one that was here already is as old as that, and what a sibling
    /// made is as old as it is there.
    pub fn age(&self) -> Duration {
        self.says.saturating_sub(self.left())
    }
}

/// A response, whole, as it is sent.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    /// Ready to send, `ETag` and `Content-Length` among them.
    pub headers: HeaderMap,
    pub etag: HeaderValue,
    pub body: Bytes,
    /// Whether it is sent in parts to those who ask for one.
    pub has_parts: bool,
    /// None: it goes out as it stands, and always will.
    pub forms: Option<Forms>,
}

/// Why an entry is right where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Rendering,
    /// A sibling rendered it, on the same release.
    Sibling,
    /// Rendered for a release before that was served.
    RenderingAhead,
    /// Pages it was computed from have changed, and all its questions got the same answers.
    SameRows,
}

/// Why an entry answers a request on this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// It was made on it.
    MadeHere,
    /// Made on an earlier one, by which no page it was computed from was changed.
    PagesUntouched,
    /// Made on an earlier one; its questions got the same answers.
    SameRows,
    /// Made on it before it was served.
    RenderedAhead,
}

impl Entry {
    /// The same response, right for a release on which its questions got the same answers.
    pub fn confirmed(&self, release: &Release, evidence: Evidence) -> Entry {
        Entry {
            made_in: release.generation,
            right_until: AtomicU64::new(release.generation),
            by: By::SameRows,
            because: self.because.clone(),
            made_at: self.made_at,
            evidence,
            took: self.took,
            expires: self.expires,
            whole: self.whole.clone(),
            hits: AtomicU32::new(self.hits.load(Ordering::Relaxed)),
        }
    }

    pub fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires.left().is_zero())
    }

    pub(super) fn judge(&self, release: &Release) -> Judged {
        if release.generation < self.made_in {
            return Judged::Wrong(Cause::OfNewer);
        }
        if self.is_expired() {
            return Judged::Wrong(Cause::Expired);
        }
        let until = self.right_until.load(Ordering::Acquire);
        if release.generation > until {
            match release.past.judge(&self.evidence, until) {
                // Nothing is noted for a release that may never be served: another one may get its generation.
                Verdict::Untouched if release.ahead.is_open() => {}
                // All generations between were judged with it.
                Verdict::Untouched => drop(self.right_until.fetch_max(release.generation, Ordering::AcqRel)),
                Verdict::Touched | Verdict::AllTouched if self.evidence.questions.is_some() => return Judged::InDoubt,
                Verdict::Touched => return Judged::Wrong(Cause::TooMuchToAsk),
                Verdict::AllTouched => return Judged::Wrong(Cause::Fingerprint),
                Verdict::OtherApp => return Judged::Wrong(Cause::OtherApp),
            }
        }
        Judged::Right(match self.by {
            By::Rendering | By::Sibling if self.made_in == release.generation => Right::MadeHere,
            By::RenderingAhead if self.made_in == release.generation => Right::RenderedAhead,
            By::Rendering | By::Sibling | By::RenderingAhead => Right::PagesUntouched,
            By::SameRows => Right::SameRows,
        })
    }

    /// What it takes in memory, under a key of so many bytes.
    pub fn weight_bytes(&self, key_bytes: usize) -> usize {
        /// What the cache, and what an entry is made of, take besides.
        const BOOKKEEPING: usize = 512;
        self.whole.bytes() + key_bytes + self.evidence.bytes() + BOOKKEEPING
    }
}

impl Kept for Entry {
    fn made_in(&self) -> u64 {
        self.made_in
    }

    fn took(&self) -> Duration {
        self.took
    }

    fn weight_bytes(&self, key_bytes: usize) -> usize {
        Entry::weight_bytes(self, key_bytes)
    }
}

impl Whole {
    fn bytes(&self) -> usize {
        self.body.len() + bytes_of(&self.headers) + self.forms.as_ref().map_or(0, Forms::bytes)
    }
}

pub(super) enum Judged {
    Right(Right),
    InDoubt,
    Wrong(Cause),
}

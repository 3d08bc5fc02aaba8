//! How the cache took part in a response, and why: one enum for the `Cache-Status` header (RFC 9211), metrics and the log.

use std::time::Duration;

use http::HeaderValue;

use crate::{cache::Right, policy::NotStored};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    Hit(Right),
    /// Not right any more, for so long; its route lets it be shown until the right one is there.
    Stale(Duration),
    /// Rendered, and kept.
    Stored(Cause),
    /// Someone else was rendering it already.
    Collapsed(Cause),
    NotStored(NotStored),
    /// Unsafe methods go past the cache.
    Method,
    /// Taken from the origin, because this node does not yet hold the visitor's own write.
    FromOrigin,
    /// A sibling made it, because there was no place for it here; and whether it is kept here, too.
    BySibling {
        cause: Cause,
        is_stored: bool,
    },
}

/// Why a response was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// None was kept.
    First,
    /// Pages were changed, and one of its questions has another answer.
    RowsChanged,
    /// Pages were changed, and it asked too much, or for too long, to ask again.
    TooMuchToAsk,
    /// The schema was changed, or what the planner knows; and it asked too much to ask again.
    Fingerprint,
    /// The app's code or settings are others.
    OtherApp,
    /// The time its handler gave it is over.
    Expired,
    /// The one that is kept is of a newer release than this request's.
    OfNewer,
}

impl Cause {
    /// Every one, in order: they are counted by it.
    pub const ALL: [Cause; 7] = [
        Cause::First,
        Cause::RowsChanged,
        Cause::TooMuchToAsk,
        Cause::Fingerprint,
        Cause::OtherApp,
        Cause::Expired,
        Cause::OfNewer,
    ];

    /// As `Cache-Status` and `nearside cache` call it.
    pub fn name(self) -> &'static str {
        match self {
            Cause::First => "first",
            Cause::RowsChanged => "rows-changed",
            Cause::TooMuchToAsk => "too-much-to-ask",
            Cause::Fingerprint => "fingerprint",
            Cause::OtherApp => "other-app",
            Cause::Expired => "expired",
            Cause::OfNewer => "of-newer",
        }
    }

    /// How the request went on, in the words of RFC 9211, and the rest of it.
    fn forwarded(self) -> (&'static str, String) {
        match self {
            Cause::First => ("miss", String::new()),
            Cause::OfNewer => ("miss", format!("; detail={}", self.name())),
            _ => ("stale", format!("; detail={}", self.name())),
        }
    }
}

impl CacheStatus {
    pub fn value(self) -> HeaderValue {
        let text = match self {
            // By far the most frequent one.
            CacheStatus::Hit(Right::MadeHere) => return HeaderValue::from_static("nearside; hit"),
            CacheStatus::Hit(Right::PagesUntouched) => {
                return HeaderValue::from_static("nearside; hit; detail=pages-untouched");
            }
            CacheStatus::Hit(Right::SameRows) => return HeaderValue::from_static("nearside; hit; detail=same-rows"),
            CacheStatus::Hit(Right::RenderedAhead) => {
                return HeaderValue::from_static("nearside; hit; detail=rendered-ahead");
            }
            CacheStatus::Stale(since) => {
                format!("nearside; hit; ttl=-{}; detail=stale", since.as_millis().div_ceil(1_000).max(1))
            }
            CacheStatus::Stored(cause) => {
                let (forwarded, detail) = cause.forwarded();
                format!("nearside; fwd={forwarded}{detail}; stored")
            }
            CacheStatus::Collapsed(cause) => {
                let (forwarded, detail) = cause.forwarded();
                format!("nearside; fwd={forwarded}{detail}; collapsed")
            }
            CacheStatus::Method => return HeaderValue::from_static("nearside; fwd=method"),
            CacheStatus::FromOrigin => return HeaderValue::from_static("nearside; fwd=stale; detail=receipt"),
            CacheStatus::BySibling { cause, is_stored } => {
                let stored = if is_stored { "; stored" } else { "" };
                format!("nearside; fwd={}; detail=sibling{stored}", cause.forwarded().0)
            }
            CacheStatus::NotStored(why) => format!("nearside; fwd=miss; detail={why}"),
        };
        HeaderValue::from_str(&text).expect("BUG: reasons are visible ASCII")
    }

    /// As metrics and logs call it.
    pub fn name(self) -> String {
        let name = match self {
            CacheStatus::Hit(Right::MadeHere) => "hit".to_owned(),
            CacheStatus::Hit(Right::PagesUntouched) => "hit_pages_untouched".to_owned(),
            CacheStatus::Hit(Right::SameRows) => "hit_same_rows".to_owned(),
            CacheStatus::Hit(Right::RenderedAhead) => "hit_rendered_ahead".to_owned(),
            CacheStatus::Stale(_) => "stale".to_owned(),
            CacheStatus::Stored(cause) => format!("rendered_{}", cause.name()),
            CacheStatus::Collapsed(_) => "collapsed".to_owned(),
            CacheStatus::NotStored(why) => format!("not_stored_{why}"),
            CacheStatus::Method => "method".to_owned(),
            CacheStatus::FromOrigin => "from_origin".to_owned(),
            CacheStatus::BySibling { is_stored: true, .. } => "by_sibling".to_owned(),
            CacheStatus::BySibling { is_stored: false, .. } => "by_sibling_not_stored".to_owned(),
        };
        name.replace('-', "_")
    }

    /// Its place among those that are counted, of which there are [`CacheStatus::COUNTED`].
    pub fn index(self) -> usize {
        const STORED: usize = 4;
        const NOT_STORED: usize = STORED + Cause::ALL.len();
        const OTHERS: usize = NOT_STORED + NotStored::ALL.len();
        match self {
            CacheStatus::Hit(right) => right as usize,
            CacheStatus::Stored(cause) => STORED + cause as usize,
            CacheStatus::NotStored(why) => NOT_STORED + why as usize,
            CacheStatus::Stale(_) => OTHERS,
            CacheStatus::Collapsed(_) => OTHERS + 1,
            CacheStatus::Method => OTHERS + 2,
            CacheStatus::FromOrigin => OTHERS + 3,
            CacheStatus::BySibling { is_stored, .. } => OTHERS + 4 + usize::from(!is_stored),
        }
    }

    pub const COUNTED: usize = 4 + Cause::ALL.len() + NotStored::ALL.len() + 6;

    /// One of each that is counted apart.
    pub fn all() -> impl Iterator<Item = CacheStatus> {
        let hits = [Right::MadeHere, Right::PagesUntouched, Right::SameRows, Right::RenderedAhead];
        let others = [
            CacheStatus::Stale(Duration::ZERO),
            CacheStatus::Collapsed(Cause::First),
            CacheStatus::Method,
            CacheStatus::FromOrigin,
            CacheStatus::BySibling { cause: Cause::First, is_stored: true },
            CacheStatus::BySibling { cause: Cause::First, is_stored: false },
        ];
        hits.map(CacheStatus::Hit)
            .into_iter()
            .chain(Cause::ALL.map(CacheStatus::Stored))
            .chain(NotStored::ALL.map(CacheStatus::NotStored))
            .chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_in_a_place_and_under_a_name_of_its_own() {
        let places: Vec<usize> = CacheStatus::all().map(CacheStatus::index).collect();
        assert_eq!(places, (0..CacheStatus::COUNTED).collect::<Vec<_>>());
        let names: std::collections::BTreeSet<String> = CacheStatus::all().map(CacheStatus::name).collect();
        assert_eq!(names.len(), CacheStatus::COUNTED);
        let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(names.iter().all(plain), "{names:?}");
    }

    #[test]
    fn the_header_says_hit_or_why_not() {
        let says = |status: CacheStatus| status.value().to_str().unwrap().to_owned();
        assert_eq!(says(CacheStatus::Stored(Cause::First)), "nearside; fwd=miss; stored");
        assert_eq!(says(CacheStatus::Stored(Cause::RowsChanged)), "nearside; fwd=stale; detail=rows-changed; stored");
        assert_eq!(says(CacheStatus::Collapsed(Cause::OtherApp)), "nearside; fwd=stale; detail=other-app; collapsed");
        assert_eq!(says(CacheStatus::Stale(Duration::from_millis(1_001))), "nearside; hit; ttl=-2; detail=stale");
        let by_sibling = |cause, is_stored| says(CacheStatus::BySibling { cause, is_stored });
        assert_eq!(by_sibling(Cause::First, true), "nearside; fwd=miss; detail=sibling; stored");
        assert_eq!(by_sibling(Cause::Expired, false), "nearside; fwd=stale; detail=sibling");
        assert_eq!(says(CacheStatus::NotStored(NotStored::ReadsClock)), "nearside; fwd=miss; detail=reads-clock");
    }
}

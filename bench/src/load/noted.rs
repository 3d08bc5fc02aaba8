//! What the head of an answer says of how it came about.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::response::Response;

/// One answer of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Note {
    /// Which of the requests it answers.
    pub request: usize,
    /// When the request was meant to be sent, from the start of the load.
    pub at: Duration,
    pub asked: Asked,
    pub status: u16,
    /// Until the answer began, and until it had ended.
    pub first_byte_us: f64,
    pub latency_us: f64,
    pub failed: bool,
    pub how: How,
    /// The number of its release; none if it names none.
    pub release: Option<u64>,
    /// Of its ETag, which is its body's.
    pub tag: u64,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Page,
    /// Something was sent.
    Form,
    /// The page on which whoever sent it looks for it: whether it is there.
    Own {
        shown: bool,
    },
}

/// When a request was meant to be sent, from the start of the load, and how long from then on its answer took to begin
/// and to end.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub at: Duration,
    pub first_byte: Duration,
    pub latency: Duration,
}

/// Where an answer came from, by its `Cache-Status`, or by what other caches say instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// From the cache, without more being said.
    Hit,
    /// From the cache: what it was made of was not touched since.
    Pages,
    /// From the cache: its questions have the answers they had.
    Rows,
    /// From the cache, where it was put before anyone asked.
    Ahead,
    /// Made for this request, or for another that was there first.
    OnDemand,
    /// Made for it by another node.
    Sibling,
}

impl How {
    pub fn of(response: &Response) -> How {
        // nginx, as it is set up here, and Varnish, which names the request that brought an object after its own. Both
        // pass on what a node behind them says of itself.
        if let Some(status) = response.header("x-cache") {
            return if status == "HIT" { How::Hit } else { How::OnDemand };
        }
        if let Some(ids) = response.header("x-varnish") {
            return if ids.split_ascii_whitespace().count() == 2 { How::Hit } else { How::OnDemand };
        }
        response.header("cache-status").map_or(How::OnDemand, Self::said)
    }

    /// RFC 9211, with our own details.
    fn said(status: &str) -> How {
        let mut parameters = status.split([';', ',']).map(str::trim);
        let is_hit = parameters.clone().any(|parameter| parameter == "hit");
        let detail = parameters.find_map(|parameter| parameter.strip_prefix("detail=")).unwrap_or_default();
        match detail {
            "sibling" => How::Sibling,
            _ if !is_hit => How::OnDemand,
            detail if detail.contains("ahead") => How::Ahead,
            detail if detail.contains("pages") => How::Pages,
            detail if detail.contains("rows") => How::Rows,
            _ => How::Hit,
        }
    }

    pub fn is_hit(self) -> bool {
        !matches!(self, How::OnDemand | How::Sibling)
    }
}

impl Note {
    pub fn new(request: usize, times: Times, failed: bool, response: &Response) -> Note {
        let mut tag = DefaultHasher::new();
        response.header("etag").hash(&mut tag);
        let release = response.header("nearside-release").and_then(|release| release.rsplit_once('.')?.1.parse().ok());
        let (first_byte_us, latency_us) = (times.first_byte.as_secs_f64() * 1e6, times.latency.as_secs_f64() * 1e6);
        let (how, tag) = (How::of(response), tag.finish());
        let (at, asked, status) = (times.at, Asked::Page, response.status);
        Note { request, at, asked, status, first_byte_us, latency_us, failed, how, release, tag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_answer_came_from() {
        for (status, how) in [
            ("nearside; hit", How::Hit),
            ("nearside; hit; detail=pages-untouched", How::Pages),
            ("nearside; hit; detail=same-rows", How::Rows),
            ("nearside; hit; detail=rendered-ahead", How::Ahead),
            ("nearside; fwd=miss; stored", How::OnDemand),
            ("nearside; fwd=miss; collapsed", How::OnDemand),
        ] {
            assert_eq!(How::said(status), how, "{status}");
        }
    }

    #[test]
    fn what_is_noted_of_an_answer() {
        let note = |head: &str| {
            let mut response = Response::heads();
            response.feed(format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\nok").as_bytes()).unwrap();
            let ms = Duration::from_millis;
            Note::new(3, Times { at: ms(0), first_byte: ms(0), latency: ms(1) }, false, &response)
        };
        let one = note("ETag: \"a\"\r\nNearside-Release: 1.12\r\nCache-Status: nearside; hit\r\n");
        assert_eq!((one.request, one.release, one.how, one.latency_us), (3, Some(12), How::Hit, 1000.0));
        assert_ne!(one.tag, note("ETag: \"b\"\r\n").tag);
        assert_eq!(note("X-Varnish: 5 3\r\n").how, How::Hit);
        assert_eq!(note("X-Varnish: 5\r\n").how, How::OnDemand);
        assert_eq!(note("Cache-Status: nearside; fwd=miss\r\nX-Cache: HIT\r\n").how, How::Hit);
        assert_eq!(note("X-Cache: MISS\r\n").how, How::OnDemand);
    }
}

//! A render that a node does not make, because more is asked for than it can make: why, and the answer to that. It is ready
//! beforehand and costs as much as a hit, or saying no would take what is needed for saying yes.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use nearside_protocol::{
    class::Class,
    limits,
    problem::{self, Problem},
};

use crate::{accept::prefers_json, plain_page::PlainPage, reply::CACHE_STATUS};

/// Why something was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// It had waited for too long, or would have.
    Delay(Class),
    /// So many wait already.
    Full(Class),
    /// This client has asked for too much.
    Client(Class),
}

impl Shed {
    /// As metrics call them.
    pub const REASONS: [&str; 3] = ["delay", "full", "client"];

    pub fn class(self) -> Class {
        match self {
            Shed::Delay(class) | Shed::Full(class) | Shed::Client(class) => class,
        }
    }

    pub fn index(self) -> usize {
        match self {
            Shed::Delay(_) => 0,
            Shed::Full(_) => 1,
            Shed::Client(_) => 2,
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Shed::Delay(_) | Shed::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Shed::Client(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            Shed::Delay(_) | Shed::Full(_) => {
                "More is asked for here right now than can be made. Nothing was done. Please try again in a moment."
            }
            Shed::Client(_) => "Your address asks for more new pages than one may. Nothing was done. Please slow down.",
        }
    }

    fn cache_status(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Shed::Delay(_) => "nearside; fwd=miss; detail=shed-delay",
            Shed::Full(_) => "nearside; fwd=miss; detail=shed-full",
            Shed::Client(_) => "nearside; fwd=miss; detail=shed-client",
        })
    }

    /// A problem document for programs, a plain page for people.
    pub fn response(self, request: &HeaderMap) -> Response<Bytes> {
        let ready = if self.status() == StatusCode::TOO_MANY_REQUESTS { &READY.too_many } else { &READY.unavailable };
        let (content_type, body) = match prefers_json(request) {
            true => (HeaderValue::from_static(problem::CONTENT_TYPE), &ready.problem),
            false => (HeaderValue::from_static("text/html; charset=utf-8"), &ready.page),
        };
        let mut response = Response::new(body.clone());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::RETRY_AFTER, READY.retry_after[next_wait()].clone());
        headers.insert(CACHE_STATUS, self.cache_status());
        response
    }
}

/// Who is told to come again comes again at another time than the others who are told.
fn next_wait() -> usize {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    // Steps of the golden ratio: evenly spread, in no order.
    let place = TOLD.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9);
    ((u64::from(place) * u64::from(limits::RETRY_AFTER_MOST_S)) >> 32) as usize
}

struct Ready {
    unavailable: Bodies,
    too_many: Bodies,
    retry_after: Vec<HeaderValue>,
}

struct Bodies {
    problem: Bytes,
    page: Bytes,
}

static READY: LazyLock<Ready> = LazyLock::new(|| Ready {
    unavailable: Bodies::of(Shed::Delay(Class::Page)),
    too_many: Bodies::of(Shed::Client(Class::Page)),
    retry_after: (1..=limits::RETRY_AFTER_MOST_S).map(HeaderValue::from).collect(),
});

impl Bodies {
    fn of(shed: Shed) -> Bodies {
        let status = shed.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let text = shed.detail();
        let page = PlainPage { code: Some(status.as_u16()), title, text, said: None, again: None };
        let problem = Problem::new(status.as_u16(), title).detail(text);
        Bodies { problem: problem.to_json().into(), page: page.html().into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn those_who_are_told_come_again_at_different_times() {
        let waits: BTreeSet<String> = (0..16)
            .map(|_| {
                let response = Shed::Delay(Class::Page).response(&HeaderMap::new());
                response.headers()[header::RETRY_AFTER].to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(waits.into_iter().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    }

    #[test]
    fn each_reason_is_counted_under_its_name() {
        let all = [Shed::Delay(Class::Page), Shed::Full(Class::Page), Shed::Client(Class::Page)];
        for shed in all {
            let told = shed.cache_status();
            assert!(told.to_str().unwrap().ends_with(Shed::REASONS[shed.index()]), "{told:?}");
        }
    }
}

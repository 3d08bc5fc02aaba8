//! Everything the host answers by itself when a request goes no further, and how it is told.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use nearside_protocol::{
    limits,
    problem::{self, Problem},
    route::Method,
};

use crate::{accept::prefers_json, plain_page::PlainPage, shed::Shed, target::BadTarget};

#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    UnknownHost,
    /// The app is known but no release of it has arrived yet.
    NothingToServe,
    BadTarget(BadTarget),
    TargetTooLong,
    NotFound,
    Method(Vec<Method>),
    CrossSite,
    /// The file has so many bytes, and none of them is in the range asked for.
    Range {
        file_bytes: u64,
    },
    BodyTooLarge {
        most_bytes: usize,
    },
    BodyTooSlow {
        wait_s: u64,
    },
    BodyBroken,
    BadIdempotencyKey,
    /// A request with this key is being worked on.
    KeyRunning,
    /// More is asked for than can be rendered.
    Shed(Shed),
    /// Too much of something else is under way already.
    Busy,
    /// A blob that is not here, and the origin does not answer.
    BlobAway,
    /// The handler did not answer in time.
    Deadline {
        trace: String,
    },
    /// The handler failed in another way; the log says how.
    Handler {
        trace: String,
    },
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::UnknownHost | Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::NothingToServe | Refusal::Busy | Refusal::BlobAway => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Shed(shed) => shed.status(),
            Refusal::BadTarget(_) | Refusal::BodyBroken | Refusal::BadIdempotencyKey => StatusCode::BAD_REQUEST,
            Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
            Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::KeyRunning => StatusCode::CONFLICT,
            Refusal::CrossSite => StatusCode::FORBIDDEN,
            Refusal::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Refusal::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::BodyTooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Refusal::Deadline { .. } => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Handler { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For the person or program that asked: what happened and what to do, and nothing only an operator should see.
    fn detail(&self) -> String {
        match self {
            Refusal::UnknownHost => "No site of this name is served here.".into(),
            Refusal::NothingToServe => "This site is being prepared here. Please try again in a moment.".into(),
            Refusal::BadTarget(why) => format!("The address cannot be read: {why}."),
            Refusal::TargetTooLong => format!("The address is longer than {} bytes.", limits::REQUEST_TARGET_BYTES),
            Refusal::NotFound => "There is no page at this address.".into(),
            Refusal::Method(methods) => format!("This address answers {} only.", names(methods)),
            Refusal::CrossSite => {
                "This request came from another site, and changes are taken from this one only.".into()
            }
            Refusal::Range { file_bytes } => format!("There are {file_bytes} bytes here, and none in that range."),
            Refusal::BodyTooLarge { most_bytes } => format!("The body is larger than {most_bytes} bytes."),
            Refusal::BodyTooSlow { wait_s } => format!("The body did not arrive within {wait_s} s."),
            Refusal::BodyBroken => "The body broke off.".into(),
            Refusal::BadIdempotencyKey => {
                format!("Idempotency-Key takes 1 to {} visible ASCII characters.", limits::IDEMPOTENCY_KEY_BYTES)
            }
            Refusal::KeyRunning => {
                "A request with this Idempotency-Key is being worked on. Please ask again in a moment.".into()
            }
            Refusal::Shed(shed) => shed.detail().into(),
            Refusal::Busy => "Too much is being worked on right now. Please try again in a moment.".into(),
            Refusal::BlobAway => "This file cannot be had right now. Please try again in a moment.".into(),
            Refusal::Deadline { trace } => format!("This page took too long to make. Trace {trace}."),
            Refusal::Handler { trace } => format!("This page could not be made. Trace {trace}."),
        }
    }

    /// A problem document for programs, a plain page for people.
    pub fn response(&self, request: &HeaderMap) -> Response<Bytes> {
        if let Refusal::Shed(shed) = self {
            return shed.response(request);
        }
        let status = self.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let (content_type, body) = if prefers_json(request) {
            let problem = Problem::new(status.as_u16(), title).detail(self.detail());
            (problem::CONTENT_TYPE, problem.to_json())
        } else {
            let text = self.detail();
            let code = Some(status.as_u16());
            let page = PlainPage { code, title, text: &text, said: None, again: None };
            ("text/html; charset=utf-8", page.html())
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Refusal::Busy | Refusal::NothingToServe | Refusal::BlobAway | Refusal::KeyRunning => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Refusal::Method(methods) => {
                let allow = HeaderValue::from_str(&names(methods)).expect("BUG: method names are ASCII");
                headers.insert(header::ALLOW, allow);
            }
            // Where rendered answers have it too, whatever the page says.
            Refusal::Deadline { trace } | Refusal::Handler { trace } => {
                let trace = HeaderValue::from_str(&format!("trace;desc=\"{trace}\""));
                headers.insert("server-timing", trace.expect("BUG: a trace is hexadecimal digits"));
            }
            Refusal::Range { file_bytes } => {
                let range = HeaderValue::from_str(&format!("bytes */{file_bytes}")).expect("BUG: digits");
                headers.insert(header::CONTENT_RANGE, range);
            }
            _ => {}
        }
        response
    }
}

/// The methods of a path as `Allow` lists them: HEAD comes with GET, and OPTIONS always.
pub fn names(methods: &[Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
    if methods.contains(&Method::Get) {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.join(", ")
}

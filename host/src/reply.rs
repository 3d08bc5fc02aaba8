//! Responses as they leave: headers put right, validators, conditional requests, and what the cache did.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{Either, Full};
use nearside_protocol::{
    digest::Digest,
    limits,
    release::ReleaseId,
    route::{Inputs, Route},
    wire::{BEHIND_HEADER, RECEIPT_COOKIE, RECEIPT_HEADER, RELEASE_HEADER},
    write::Receipt,
};

use crate::{
    cache::Entry,
    inputs::is_hop_by_hop,
    policy::{Lifetime, NotStored},
    render::{Rendered, Stream},
    static_files::StaticFile,
};

pub type ReplyBody = Either<Full<Bytes>, Stream>;
pub type Reply = Response<ReplyBody>;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// How the cache took part, RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheStatus {
    Hit,
    /// Rendered, and kept.
    Stored,
    /// Someone else was rendering it already.
    Collapsed,
    NotStored(NotStored),
    /// Unsafe methods go past the cache.
    Method,
    /// Taken from the origin, because this node does not yet hold the visitor's own write.
    FromOrigin,
}

impl CacheStatus {
    fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            CacheStatus::Hit => "nearside; hit",
            CacheStatus::Stored => "nearside; fwd=miss; stored",
            CacheStatus::Collapsed => "nearside; fwd=miss; collapsed",
            CacheStatus::Method => "nearside; fwd=method",
            CacheStatus::FromOrigin => "nearside; fwd=stale; detail=receipt",
            CacheStatus::NotStored(why) => {
                return HeaderValue::from_str(&format!("nearside; fwd=miss; detail={why}"))
                    .expect("BUG: reasons are visible ASCII");
            }
        })
    }

    /// As metrics and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            CacheStatus::Hit => "hit",
            CacheStatus::Stored => "stored",
            CacheStatus::Collapsed => "collapsed",
            CacheStatus::NotStored(_) => "not_stored",
            CacheStatus::Method => "method",
            CacheStatus::FromOrigin => "from_origin",
        }
    }
}

/// Headers that belong to one connection, or to the host alone: a handler's are dropped.
fn is_hosts_own(name: &HeaderName) -> bool {
    let name_text = name.as_str();
    is_hop_by_hop(name)
        || matches!(name_text, "content-length" | "etag" | "age" | "date" | "cache-status" | "server-timing")
        || name_text.starts_with("nearside-")
}

/// A handler's headers, with the host's own added.
pub fn headers_of(rendered: &HeaderMap, route: &Route, release: ReleaseId) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(rendered.len() + 8);
    for (name, value) in rendered {
        if !is_hosts_own(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    let private = match &route.inputs {
        Inputs::Declared(declared) => {
            vary(declared, &mut headers);
            declared.is_private()
        }
        Inputs::All => true,
    };
    match headers.get(header::CACHE_CONTROL).map(|control| control.to_str().unwrap_or_default().to_ascii_lowercase()) {
        // Browsers always ask again, cheaply; this node's own copy lives by its release.
        None => {
            let control = if private { "private, no-cache" } else { "no-cache" };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
        }
        // Whatever caches lie behind this node do not know what else the page depends on.
        Some(says) if private && !["private", "no-store", "public"].iter().any(|word| says.contains(word)) => {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        Some(_) => {}
    }
    headers.insert(RELEASE_HEADER, release_value(release));
    headers
}

fn vary(declared: &nearside_protocol::route::Declared, headers: &mut HeaderMap) {
    let mut names: Vec<&str> = Vec::new();
    if !declared.accept.is_empty() {
        names.push("accept");
    }
    if !declared.languages.is_empty() {
        names.push("accept-language");
    }
    if !declared.cookies.is_empty() {
        names.push("cookie");
    }
    names.extend(declared.headers.iter().map(String::as_str));
    if !names.is_empty() {
        headers.append(header::VARY, HeaderValue::from_str(&names.join(", ")).expect("BUG: header names are checked"));
    }
}

fn release_value(release: ReleaseId) -> HeaderValue {
    HeaderValue::from_str(&release.to_string()).expect("BUG: a release is digits and a dot")
}

/// A whole response, ready to be kept and sent any number of times.
pub fn entry(
    rendered: &Rendered,
    body: Bytes,
    route: &Route,
    release: ReleaseId,
    lifetime: Result<Lifetime, NotStored>,
) -> Entry {
    let mut headers = headers_of(&rendered.headers, route, release);
    let etag = HeaderValue::from_str(&format!("\"{}\"", &Digest::of(&body).to_string()[..32]))
        .expect("BUG: hexadecimal digits");
    headers.insert(header::ETAG, etag.clone());
    let body = if is_bodiless(rendered.status) { Bytes::new() } else { body };
    if !is_bodiless(rendered.status) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let expires = match lifetime {
        Ok(Lifetime::For(time)) => Some(Instant::now() + time),
        _ => None,
    };
    Entry { release, status: rendered.status, headers, etag, body, expires }
}

/// RFC 9110 section 8.6: such a response has neither content nor a length.
pub fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Sends an entry: all of it, its head, or word that the client has it already.
pub fn from_entry(
    entry: &Arc<Entry>,
    method: &Method,
    request: &HeaderMap,
    status: CacheStatus,
    timing: Option<String>,
) -> Reply {
    let unchanged = entry.status == StatusCode::OK && none_match(request, &entry.etag);
    let body = if unchanged || method == Method::HEAD { Bytes::new() } else { entry.body.clone() };
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.headers_mut() = entry.headers.clone();
    if unchanged {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply.headers_mut().remove(header::CONTENT_LENGTH);
    } else {
        *reply.status_mut() = entry.status;
    }
    mark(&mut reply, status, timing);
    reply
}

/// Sends a response that cannot be kept whole.
pub fn from_stream(
    rendered: HeaderMap,
    status: StatusCode,
    stream: Stream,
    method: &Method,
    cache: CacheStatus,
    timing: String,
) -> Reply {
    let body = if method == Method::HEAD { Either::Left(Full::default()) } else { Either::Right(stream) };
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = rendered;
    mark(&mut reply, cache, Some(timing));
    reply
}

pub fn from_static_file(file: &StaticFile, release: ReleaseId, method: &Method, request: &HeaderMap) -> Reply {
    let unchanged = none_match(request, &file.etag);
    let body = if unchanged || method == Method::HEAD { Bytes::new() } else { file.body.clone() };
    let mut reply = Response::new(Either::Left(Full::new(body)));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, file.content_type.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, file.etag.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RELEASE_HEADER, release_value(release));
    if unchanged {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(file.body.len()));
    }
    reply
}

/// A response the origin made.
pub fn from_origin(response: Response<Bytes>, method: &Method) -> Reply {
    let (mut parts, body) = response.into_parts();
    let dropped: Vec<_> = parts.headers.keys().filter(|name| is_hosts_own(name) && !keeps(name)).cloned().collect();
    dropped.iter().for_each(|name| {
        parts.headers.remove(name);
    });
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let body = if method == Method::HEAD { Bytes::new() } else { body };
    let mut reply = Response::from_parts(parts, Either::Left(Full::new(body)));
    mark(&mut reply, CacheStatus::FromOrigin, None);
    reply
}

fn keeps(name: &HeaderName) -> bool {
    name == RELEASE_HEADER || name == header::ETAG
}

pub fn mark(reply: &mut Reply, status: CacheStatus, timing: Option<String>) {
    reply.headers_mut().insert(CACHE_STATUS, status.value());
    if let Some(timing) = timing.and_then(|timing| HeaderValue::from_str(&timing).ok()) {
        reply.headers_mut().insert(SERVER_TIMING, timing);
    }
}

/// Gives the visitor the receipt of a write, to be shown with later reads.
pub fn add_receipt(reply: &mut Reply, receipt: &Receipt) {
    let text = receipt.to_string();
    let cookie =
        format!("{RECEIPT_COOKIE}={text}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", limits::RECEIPT_COOKIE_SECONDS);
    let value = |text: &str| HeaderValue::from_str(text).expect("BUG: a receipt is plain ASCII");
    reply.headers_mut().insert(RECEIPT_HEADER, value(&text));
    reply.headers_mut().append(header::SET_COOKIE, value(&cookie));
}

/// Says that the visitor's own last write is not in this page.
pub fn mark_behind(reply: &mut Reply, why: &'static str) {
    reply.headers_mut().insert(BEHIND_HEADER, HeaderValue::from_static(why));
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply.headers_mut().remove(header::ETAG);
}

/// RFC 9110 section 13.1.2, with the weak comparison it asks for.
fn none_match(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let etag = etag.as_bytes();
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|tag| tag.trim_ascii())
        .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_compared_as_lists() {
        let etag = HeaderValue::from_static("\"a\"");
        let matches = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(text));
            none_match(&headers, &etag)
        };
        assert!(matches("\"a\"") && matches("\"b\", W/\"a\"") && matches("*"));
        assert!(!matches("\"b\"") && !matches("a") && !matches(""));
        assert!(!none_match(&HeaderMap::new(), &etag));
    }
}

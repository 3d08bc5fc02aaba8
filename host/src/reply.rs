//! Responses as they leave: headers put right, validators, conditional requests, and what the cache did.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use nearside_protocol::{
    digest::Digest,
    limits,
    release::ReleaseId,
    route::{Inputs, Route},
    wire::{BEHIND_HEADER, RECEIPT_COOKIE, RECEIPT_HEADER, RELEASE_HEADER},
    write::Receipt,
};

use crate::{
    cache::{Because, By, Entry, Expires, Whole},
    conditional::Sends,
    encoding::Wishes,
    evidence::Evidence,
    forms::{self, Forms},
    inputs::is_hop_by_hop,
    media_type::Inert,
    outbox::{self, Class, Deferral},
    policy::{Lifetime, NotStored, said_lifetime},
    refusal::Refusal,
    release::Release,
    render::Stream,
    reply_body::ReplyBody,
    static_files::Found,
};

pub use crate::cache_status::CacheStatus;

pub type Reply = Response<ReplyBody>;

const RELEASE: HeaderName = HeaderName::from_static(RELEASE_HEADER);
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

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
    if let Inputs::Declared(declared) = &route.inputs {
        vary(declared, &mut headers);
    }
    let private = is_private(route);
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

/// Whether its responses are for one visitor.
fn is_private(route: &Route) -> bool {
    match &route.inputs {
        Inputs::Declared(declared) => declared.is_private(),
        Inputs::All => true,
    }
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
    vary_too(&names, headers);
}

/// Adds what a response varies by to what it says of that already, as one header.
fn vary_too(names: &[&str], headers: &mut HeaderMap) {
    let said: Vec<HeaderValue> = headers.get_all(header::VARY).iter().cloned().collect();
    let said = said.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut all: Vec<&str> = Vec::new();
    for name in said.map(str::trim).chain(names.iter().copied()) {
        if !name.is_empty() && !all.iter().any(|there| there.eq_ignore_ascii_case(name)) {
            all.push(name);
        }
    }
    if !all.is_empty() {
        let joined = HeaderValue::from_str(&all.join(", ")).expect("BUG: header names are checked");
        headers.insert(header::VARY, joined);
    }
}

fn release_value(release: ReleaseId) -> HeaderValue {
    HeaderValue::from_str(&release.to_string()).expect("BUG: a release is digits and a dot")
}

/// A whole response as it was made, here or at a sibling.
pub struct Raw<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub evidence: Evidence,
    pub took: Duration,
    /// The release it was made on.
    pub on: ReleaseId,
}

/// The same, ready to be kept and sent any number of times.
pub fn entry(raw: Raw<'_>, route: &Route, release: &Release, lifetime: Result<Lifetime, NotStored>) -> Entry {
    let Raw { status, headers, body, evidence, took, on } = raw;
    let mut headers = headers_of(headers, route, on);
    let etag = etag_of(&Digest::of(&body));
    headers.insert(header::ETAG, etag.clone());
    let body = if is_bodiless(status) { Bytes::new() } else { body };
    if !is_bodiless(status) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let has_parts = lifetime.is_ok() && status == StatusCode::OK;
    headers.remove(header::ACCEPT_RANGES);
    if has_parts {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    // What belongs to one visitor is not compressed: where it also shows what somebody else may choose, a link's query say,
    // its length would tell that somebody what is in it.
    let has_forms = lifetime.is_ok() && !is_private(route) && forms::may_have(status, &headers, &body);
    let forms = has_forms.then(|| Forms::of(&etag));
    if has_forms {
        vary_too(&["accept-encoding"], &mut headers);
    }
    // In its place before it is known, so that a copy has its final size.
    headers.insert(CACHE_STATUS, CacheStatus::Method.value());
    let expires = match lifetime {
        Ok(Lifetime::For(left)) => {
            let left = left.min(limits::KEPT_AT_MOST);
            let says = said_lifetime(&headers).unwrap_or(left).clamp(left, limits::KEPT_AT_MOST);
            // In its place before it is known, like what the cache did.
            headers.insert(header::AGE, HeaderValue::from(0));
            Some(Expires { at: Instant::now() + left, says })
        }
        _ => None,
    };
    Entry {
        made_in: release.generation,
        right_until: AtomicU64::new(release.generation),
        by: By::Rendering,
        because: Because::default(),
        made_at: Instant::now(),
        evidence,
        took,
        expires,
        whole: Arc::new(Whole { status, headers, etag, body, has_parts, forms }),
        hits: AtomicU32::new(0),
    }
}

/// The strong validator of what has this hash.
pub fn etag_of(digest: &Digest) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{}\"", &digest.to_string()[..32])).expect("BUG: hexadecimal digits")
}

/// RFC 9110 section 8.6: such a response has neither content nor a length.
pub fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Sends an entry, in the form this client likes best: all of it, its head, a part, or word that the client has it already.
pub fn from_entry(
    entry: &Entry,
    release: &Release,
    parts: &Parts,
    wishes: Wishes,
    status: CacheStatus,
    timing: Option<String>,
) -> Result<Reply, Refusal> {
    let whole = &*entry.whole;
    let form = whole.form(wishes);
    let held = match whole.status {
        StatusCode::OK => whole.held(&parts.headers, wishes, form),
        _ => None,
    };
    let mut reply = match (held, part_of(whole, parts, wishes)) {
        (Some(etag), _) => unchanged(whole, etag),
        (None, Sends::Whole) => {
            let (headers, body) = form.map_or((&whole.headers, &whole.body), |form| (&form.headers, &form.body));
            let body = if parts.method == Method::HEAD { Bytes::new() } else { body.clone() };
            let mut reply = Response::new(ReplyBody::from(body));
            *reply.status_mut() = whole.status;
            *reply.headers_mut() = headers.clone();
            reply
        }
        (None, sends) => {
            let length = whole.body.len() as u64;
            let bytes = sends.bytes(&parts.method, length);
            let body = whole.body.slice(bytes.start as usize..bytes.end as usize);
            of_file(whole.headers.clone(), &sends, length, body.into())?
        }
    };
    reply.headers_mut().insert(RELEASE, release.header.clone());
    if let Some(expires) = &entry.expires {
        reply.headers_mut().insert(header::AGE, HeaderValue::from(expires.age().as_secs()));
    }
    mark(&mut reply, status, timing);
    Ok(reply)
}

/// Parts are those of the response as it stands, whatever else the client takes: it asks for few bytes by their number, and
/// only there do they mean the same at every node.
fn part_of(whole: &Whole, parts: &Parts, wishes: Wishes) -> Sends {
    if whole.has_parts && wishes.of_identity() > 0 {
        Sends::part(&parts.method, &parts.headers, &whole.etag, whole.body.len() as u64)
    } else {
        Sends::Whole
    }
}

/// RFC 9110 section 15.4.5: what a client keeps besides this is of what it has.
fn unchanged(whole: &Whole, etag: &HeaderValue) -> Reply {
    let mut reply = Response::new(ReplyBody::empty());
    *reply.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = reply.headers_mut();
    *headers = whole.headers.clone();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    headers.insert(header::ETAG, etag.clone());
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
    let body = if method == Method::HEAD { ReplyBody::empty() } else { ReplyBody::Streams(Box::new(stream)) };
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = rendered;
    mark(&mut reply, cache, Some(timing));
    reply
}

/// A static file, or as much of it as this client needs. Nothing is allocated for it but its headers.
pub fn from_static_file(found: Found<'_>, release: &Release, parts: &Parts) -> Result<Reply, Refusal> {
    let form = found.file.form(&parts.headers);
    let length = form.body.len() as u64;
    let sends = match form.has_parts {
        true => Sends::decide(&parts.method, &parts.headers, &form.etag, length),
        false => Sends::undivided(&parts.headers, &form.etag),
    };
    let mut headers = form.headers.clone();
    headers.insert(RELEASE_HEADER, release.header.clone());
    if found.is_immutable {
        headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    }
    let bytes = sends.bytes(&parts.method, length);
    let body = form.body.slice(bytes.start as usize..bytes.end as usize);
    of_file(headers, &sends, length, body.into())
}

/// A file of so many bytes, or what is sent of it. `headers` are those of all of it.
pub fn of_file(mut headers: HeaderMap, sends: &Sends, length: u64, body: ReplyBody) -> Result<Reply, Refusal> {
    let status = match sends {
        Sends::Whole => StatusCode::OK,
        Sends::Part(part) => {
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).expect("BUG: digits"));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
            StatusCode::PARTIAL_CONTENT
        }
        Sends::Nothing => {
            headers.remove(header::CONTENT_LENGTH);
            StatusCode::NOT_MODIFIED
        }
        Sends::NoSuchPart => return Err(Refusal::Range { file_bytes: length }),
    };
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    Ok(reply)
}

/// The headers of a visitor's file. Browsers may keep it for ever, and run nothing in it.
pub fn headers_of_blob(digest: &Digest, inert: Inert, length: u64) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(inert.content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::ETAG, etag_of(digest));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if !inert.is_shown {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    headers
}

/// What was asked for is elsewhere.
pub fn moved(status: StatusCode, location: HeaderValue, release: &Release) -> Reply {
    let mut reply = Response::new(ReplyBody::empty());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::LOCATION, location);
    // A browser may not keep it for ever, as it otherwise does: the next release may know better.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    headers.insert(RELEASE_HEADER, release.header.clone());
    reply
}

/// A response the origin made.
pub fn from_origin(response: Response<Bytes>, method: &Method) -> Reply {
    let (mut parts, body) = response.into_parts();
    let dropped: Vec<_> = parts
        .headers
        .keys()
        .filter(|name| !keeps(name) && (is_hosts_own(name) || *name == header::ACCEPT_RANGES))
        .cloned()
        .collect();
    dropped.iter().for_each(|name| {
        parts.headers.remove(name);
    });
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let body = if method == Method::HEAD { Bytes::new() } else { body };
    let mut reply = Response::from_parts(parts, ReplyBody::from(body));
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

/// Leads to what becomes of a deferred write. Whether the answer is a 202 or leads elsewhere is the handler's to say; but the
/// page of a 202 is the host's where a handler would say of a write that it is saved, and nobody knows.
pub fn add_ticket(reply: &mut Reply, deferral: &Deferral, request: &HeaderMap) {
    let value = |text: String| HeaderValue::from_str(&text).expect("BUG: a ticket is hexadecimal digits");
    let path = deferral.ticket.path();
    let is_accepted = reply.status() == StatusCode::ACCEPTED;
    if is_accepted && deferral.class == Class::Unsure {
        let (content_type, page) = outbox::unsure_page(&path, request);
        reply.headers_mut().remove(header::CONTENT_ENCODING);
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(page.len()));
        *reply.body_mut() = ReplyBody::from(page);
    }
    let headers = reply.headers_mut();
    headers.append(header::LINK, value(format!("<{path}>; rel=\"monitor\"")));
    if is_accepted {
        headers.entry(header::LOCATION).or_insert_with(|| value(path));
        headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from(limits::DEFERRED_RETRY_AFTER_S));
    }
}

/// Says for how long it was waited for the release that holds the visitor's own last write.
pub fn mark_waited(reply: &mut Reply, took: Duration) {
    let timing = format!("receipt;dur={:.1}", took.as_secs_f64() * 1_000.0);
    reply.headers_mut().append(SERVER_TIMING, HeaderValue::from_str(&timing).expect("BUG: a word and a number"));
}

/// Says that the visitor's own last write is not in this page.
pub fn mark_behind(reply: &mut Reply, why: &'static str) {
    reply.headers_mut().insert(BEHIND_HEADER, HeaderValue::from_static(why));
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply.headers_mut().remove(header::ETAG);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_response_varies_by_is_one_header() {
        let mut headers = HeaderMap::new();
        vary_too(&[], &mut headers);
        assert!(headers.is_empty());
        headers.append(header::VARY, HeaderValue::from_static("Accept , x-mine"));
        headers.append(header::VARY, HeaderValue::from_static("cookie,"));
        vary_too(&["accept", "x-seen"], &mut headers);
        vary_too(&["accept-encoding"], &mut headers);
        let all: Vec<_> = headers.get_all(header::VARY).iter().collect();
        assert_eq!(all, ["Accept, x-mine, cookie, x-seen, accept-encoding"]);
    }

    #[test]
    fn a_header_that_comes_twice_is_sent_twice_and_the_hosts_own_are_not() {
        let manifest = "name = \"a\"\nhosts = [\"a\"]\n[components]\nc = \"c\"\n[[routes]]\npath = \"/\"\ncomponent = \"c\"\nquery = []\n";
        let app = nearside_protocol::app::App::parse(manifest).unwrap();
        let mut rendered = HeaderMap::new();
        for (name, value) in
            [("link", "</a>"), ("link", "</b>"), ("age", "7"), ("nearside-x", "1"), ("connection", "x")]
        {
            rendered.append(name, HeaderValue::from_static(value));
        }
        let headers = headers_of(&rendered, &app.routes[0], ReleaseId { epoch: 1, seq: 2 });
        assert_eq!(headers.get_all("link").iter().collect::<Vec<_>>(), ["</a>", "</b>"]);
        assert!(["age", "nearside-x", "connection"].iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
    }
}

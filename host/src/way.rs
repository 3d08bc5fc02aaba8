//! Finding the way: from a request's host, target and method to an app's route - and whether it may go there.

use std::{borrow::Cow, fmt::Write};

use http::{HeaderValue, Method as HttpMethod, StatusCode, Uri, header, request::Parts};
use nearside_protocol::{limits, route::Method};

use crate::{
    blobs::BLOB,
    code::Found,
    cors,
    outbox::{Ticket, WRITE},
    refusal::{self, Refusal},
    release::Release,
    reply::Reply,
    reply_body::ReplyBody,
    static_files::STATIC,
    target::{Target, decoded_below},
};

/// The authority a request is for: of the target in HTTP/2, of the one Host header in HTTP/1.1.
pub(crate) fn authority_of(parts: &Parts) -> Option<&str> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

pub(crate) fn host_name(parts: &Parts) -> Option<Cow<'_, str>> {
    let name = without_port(authority_of(parts)?);
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) })
}

pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

pub(crate) fn canonical_host(release: &Release) -> &str {
    &release.code.app.hosts[0]
}

/// Where a request leads, within its app.
pub(crate) enum Way<'a> {
    /// To a static file; the path below `/static/`, without escapes.
    Static(Cow<'a, str>),
    /// To a blob; what follows `/_blob/`.
    Blob(String),
    /// To what became of a deferred write; its ticket.
    Written(Ticket),
    /// Elsewhere, for good or for now.
    Moved(StatusCode, HeaderValue),
    /// To whatever routes there are.
    Options(Target),
    Route {
        /// Index among the app's routes.
        route: usize,
        method: Method,
        target: Target,
    },
}

impl<'a> Way<'a> {
    pub(crate) fn of(release: &Release, parts: &'a Parts) -> Result<Way<'a>, Refusal> {
        if let Some(path) = parts.uri.path().strip_prefix(STATIC)
            && is_spelt_plainly(path)
        {
            return Ok(Way::Static(Cow::Borrowed(path)));
        }
        let target = target_of(&parts.uri)?;
        if let Some(path) = decoded_below(&target.path, STATIC) {
            return Ok(Way::Static(Cow::Owned(path)));
        }
        if let Some(name) = target.path.strip_prefix(BLOB) {
            return Ok(Way::Blob(name.to_owned()));
        }
        if let Some(ticket) = target.path.strip_prefix(WRITE) {
            return Ok(Way::Written(Ticket(ticket.to_owned())));
        }
        if let Some((redirect, location)) = release.code.moved(&target) {
            let status = StatusCode::from_u16(redirect.status).expect("BUG: a redirect's status is checked");
            return Ok(Way::Moved(status, location_value(&location)?));
        }
        let method = match &parts.method {
            &HttpMethod::GET | &HttpMethod::HEAD => Method::Get,
            &HttpMethod::OPTIONS => return Ok(Way::Options(target)),
            other => Method::parse(other.as_str()).ok_or_else(|| match methods_at(release, &target) {
                none if none.is_empty() => Refusal::NotFound,
                methods => Refusal::Method(methods),
            })?,
        };
        Ok(Way::Route { route: find(release, &target, method)?, method, target })
    }
}

/// Whether a path below `/static/` has one reading, as nearly all have that stand in pages. Any other is decoded first.
fn is_spelt_plainly(path: &str) -> bool {
    path.len() <= limits::REQUEST_TARGET_BYTES
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
        && !path.starts_with('.')
        && !path.contains("/.")
}

/// Queries may come with bytes beyond ASCII, which stand in a header escaped.
fn location_value(location: &str) -> Result<HeaderValue, Refusal> {
    let mut escaped = String::with_capacity(location.len());
    for byte in location.bytes() {
        if byte.is_ascii_graphic() {
            escaped.push(byte as char);
        } else {
            write!(escaped, "%{byte:02X}").expect("BUG: a String takes all text");
        }
    }
    if escaped.len() > limits::REQUEST_TARGET_BYTES * 2 {
        return Err(Refusal::TargetTooLong);
    }
    Ok(HeaderValue::from_str(&escaped).expect("BUG: visible ASCII"))
}

pub(crate) fn target_of(uri: &Uri) -> Result<Target, Refusal> {
    let (path, query) = (uri.path(), uri.query());
    if path.len() + query.map_or(0, str::len) > limits::REQUEST_TARGET_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    Target::parse(path, query).map_err(Refusal::BadTarget)
}

pub(crate) fn find(release: &Release, target: &Target, method: Method) -> Result<usize, Refusal> {
    match release.code.find(&target.path, method) {
        Found::Route(route) => Ok(route),
        Found::OtherMethods(methods) => Err(Refusal::Method(methods)),
        Found::Nothing => Err(Refusal::NotFound),
    }
}

/// All methods of the path; none where there is no such path.
pub(crate) fn methods_at(release: &Release, target: &Target) -> Vec<Method> {
    release.code.methods_at(&target.path)
}

/// Says which methods there are, and to a page of another site, whether it may use them.
pub(crate) fn options(release: &Release, target: &Target, parts: &Parts) -> Result<Reply, Refusal> {
    let methods = methods_at(release, target);
    if methods.is_empty() {
        return Err(Refusal::NotFound);
    }
    let mut reply = allowing(&methods);
    cors::answer_preflight(&mut reply, release, target, parts);
    Ok(reply)
}

/// The answer to OPTIONS.
pub(crate) fn allowing(methods: &[Method]) -> Reply {
    let mut reply = Reply::new(ReplyBody::empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let allow = refusal::names(methods);
    reply.headers_mut().insert(header::ALLOW, HeaderValue::from_str(&allow).expect("BUG: method names are ASCII"));
    reply
}

/// Whether a browser says that a page of another site sent this. Programs that say nothing are not browsers.
pub(crate) fn is_cross_site(parts: &Parts, release: &Release) -> bool {
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match header("sec-fetch-site") {
        Some("same-origin" | "none") => false,
        Some(_) => true,
        None => header("origin").is_some_and(|origin| {
            let from = origin.split_once("://").map(|(_, authority)| authority.to_ascii_lowercase());
            let asked = authority_of(parts).map(str::to_ascii_lowercase);
            let own = |authority: &String| release.code.app.hosts.contains(&without_port(authority).to_owned());
            from.is_none() || !(from == asked || from.as_ref().is_some_and(own))
        }),
    }
}

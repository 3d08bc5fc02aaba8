//! Finding the way: from a request's host, target and method to an app's route - and whether it may go there.

use http::{HeaderValue, StatusCode, Uri, header, request::Parts};
use http_body_util::{Either, Full};
use nearside_protocol::{limits, route::Method};

use crate::{
    code::Found,
    refusal::{self, Refusal},
    release::Release,
    reply::Reply,
    target::Target,
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

pub(crate) fn host_name(parts: &Parts) -> Option<String> {
    authority_of(parts).map(|authority| without_port(authority).to_ascii_lowercase())
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

pub(crate) fn options(release: &Release, target: &Target) -> Result<Reply, Refusal> {
    if methods_at(release, target).is_empty() {
        return Err(Refusal::NotFound);
    }
    let mut reply = Reply::new(Either::Left(Full::default()));
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let allow = refusal::names(&methods_at(release, target));
    reply.headers_mut().insert(header::ALLOW, HeaderValue::from_str(&allow).expect("BUG: method names are ASCII"));
    Ok(reply)
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

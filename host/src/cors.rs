//! Cross-origin requests, as the manifest grants them: the Fetch standard's CORS protocol.
//!
//! The grant is added to an answer when it is sent, not when it is made, so that a stored one is shared by all who ask.
//! An origin that is not admitted is never named in an answer; to whom nothing is granted, the browser shows nothing.

use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use nearside_protocol::{
    cors::{Cors, Origins},
    route::{Method, Route},
};

use crate::{refusal::names, release::Release, reply::Reply, target::Target};

const PREFLIGHT_VARIES: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

/// Whether the page that sent this may use what these rules are for.
pub(crate) fn admits(cors: &Cors, request: &HeaderMap) -> bool {
    origin(request).is_some_and(|origin| cors.admits(origin))
}

/// Answers a browser that asks before it sends a request for a page of another site. `reply` answers OPTIONS already.
pub(crate) fn answer_preflight(reply: &mut Reply, release: &Release, target: &Target, parts: &Parts) {
    let request = &parts.headers;
    let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_METHOD).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Some(origin) = origin(request) else { return };
    if !release.code.routes_at(&target.path).any(|route| route.cors.is_some()) {
        return;
    }
    let headers = reply.headers_mut();
    headers.append(header::VARY, PREFLIGHT_VARIES);
    let admitted: Vec<(&Route, &Cors)> = release
        .code
        .routes_at(&target.path)
        .filter_map(|route| Some((route, route.cors.as_ref().filter(|cors| cors.admits(origin))?)))
        .collect();
    let method = Method::parse(if wanted == "HEAD" { "GET" } else { wanted });
    let Some((_, cors)) = admitted.iter().find(|(route, _)| method.is_some_and(|method| route.answers(method))) else {
        return;
    };
    let methods: Vec<Method> = admitted.iter().flat_map(|(route, _)| route.methods.clone()).collect();
    name_origin(headers, cors, request);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, value(&names(&methods)));
    if !cors.headers.is_empty() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value(&cors.headers.join(", ")));
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age_s));
}

/// Adds to an answer what a route with these rules grants whoever asked. A handler's own word on it does not count.
pub(crate) fn grant(reply: &mut Reply, cors: &Cors, request: &HeaderMap) {
    let headers = reply.headers_mut();
    let theirs = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let dropped: Vec<HeaderName> = headers.keys().filter(theirs).cloned().collect();
    dropped.iter().for_each(|name| {
        headers.remove(name);
    });
    if cors.origins != Origins::Any {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if !admits(cors, request) {
        return;
    }
    name_origin(headers, cors, request);
    if !cors.expose.is_empty() {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, value(&cors.expose.join(", ")));
    }
}

/// Takes from a request of another site what belongs to the visitor rather than to that site, unless the route grants
/// it: cookies, and a password the browser remembers. An `Authorization` that scripts may set is the site's own.
pub(crate) fn without_credentials(cors: &Cors, headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    if !cors.credentials {
        headers.remove(header::COOKIE);
        if !cors.headers.iter().any(|name| name == header::AUTHORIZATION.as_str()) {
            headers.remove(header::AUTHORIZATION);
        }
    }
    headers
}

/// For an admitted origin only.
fn name_origin(headers: &mut HeaderMap, cors: &Cors, request: &HeaderMap) {
    let named = match cors.origins {
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::Listed(_) => request.get(header::ORIGIN).cloned(),
    };
    if let Some(named) = named {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, named);
    }
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn origin(request: &HeaderMap) -> Option<&str> {
    let mut origins = request.get_all(header::ORIGIN).iter();
    let origin = origins.next()?.to_str().ok()?;
    origins.next().is_none().then_some(origin)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("BUG: the manifest's header names are checked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_site_brings_its_own_credentials_only() {
        let cors = |credentials, header: &str| Cors {
            origins: Origins::Any,
            headers: vec![header.to_owned()],
            expose: Vec::new(),
            credentials,
            max_age_s: 0,
        };
        let mut headers = HeaderMap::new();
        for name in [header::COOKIE, header::AUTHORIZATION, header::ACCEPT] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        let left = |cors: &Cors| without_credentials(cors, &headers).len();
        assert_eq!(left(&cors(true, "x")), 3);
        assert_eq!(left(&cors(false, "x")), 1);
        assert_eq!(left(&cors(false, "authorization")), 2);
    }
}

//! The span of a visitor's request: the first step of what it leads to.

use http::{Version, request::Parts};
use nearside_protocol::{trace_context, wire::RELEASE_HEADER};

use crate::{
    host::Host,
    reply::{CACHE_STATUS, Reply},
    spans::{Span, method_name},
    way::{Way, host_name},
};

/// Begins it if the request is sampled. From then on the request carries it: as what is within it, and in its `traceparent`,
/// for logs and for a handler that is shown all headers.
pub(crate) fn begin(host: &Host, parts: &mut Parts) -> Option<Span> {
    let mut found = None;
    let mut span = host.tracer().request(&parts.headers, || {
        found = place(host, parts);
        let method = method_name(&parts.method);
        found.as_ref().map_or_else(|| method.to_owned(), |(_, route)| format!("{method} {route}"))
    })?;
    span.set("http.request.method", method_name(&parts.method));
    span.set("url.path", parts.uri.path().to_owned());
    span.set("network.protocol.version", version(parts.version));
    if let Some(name) = host_name(parts) {
        span.set("server.address", name.into_owned());
    }
    if let Some((app, route)) = found {
        span.set("http.route", route);
        span.set("nearside.app", app);
    }
    let traced = span.traced();
    parts.headers.insert(trace_context::HEADER, traced.header());
    parts.extensions.insert(traced);
    Some(span)
}

/// Notes how it was answered.
pub(crate) fn answered(mut span: Span, reply: &Reply) {
    let said = |name: &str| Some(reply.headers().get(name)?.to_str().ok()?.to_owned());
    if let Some(cache) = said(CACHE_STATUS.as_str()) {
        span.set("nearside.cache", cache);
    }
    if let Some(release) = said(RELEASE_HEADER) {
        span.set("nearside.release", release);
    }
    span.answered(reply.status());
}

/// The app and the pattern of the route that it leads to.
fn place(host: &Host, parts: &Parts) -> Option<(String, String)> {
    host.at(&host_name(parts)?, |served, release| match Way::of(release, parts) {
        Ok(Way::Route { route, .. }) => Some((served.name.clone(), release.code.app.routes[route].path.clone())),
        _ => None,
    })
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

//! The span of a request to the origin: only where whoever asks goes on with a trace. Nodes ask all the time, for themselves.

use http::Request;
use nearside_host::spans::{Kind, Span, context_in};
use nearside_protocol::trace_context;

use crate::origin::Origin;

/// Begins it. From then on the request carries what is within it.
pub(crate) fn begin<B>(origin: &Origin, request: &mut Request<B>) -> Option<Span> {
    let context = context_in(request.headers(), trace_context::HEADER)?;
    let traced = origin.tracer().continued(Some(context))?;
    let (method, route) = (request.method().as_str().to_owned(), pattern(request.uri().path()));
    let span = traced
        .span(Kind::Server, format!("{method} {route}"))
        .with("http.request.method", method)
        .with("http.route", route)
        .with("url.path", request.uri().path().to_owned());
    request.extensions_mut().insert(span.traced());
    Some(span)
}

/// A path without what is different each time.
fn pattern(path: &str) -> String {
    let mut parts = path.split('/').skip(1);
    let (version, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut pattern = format!("/{version}/{kind}");
    if parts.next().is_some() {
        pattern += "/{app}";
    }
    if let Some(what) = parts.next() {
        pattern = format!("{pattern}/{what}");
    }
    if parts.next().is_some() {
        pattern += "/{name}";
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_left_out_of_paths() {
        for (path, expected) in [
            ("/v1/heads", "/v1/heads"),
            ("/v1/apps/shop/commands/buy", "/v1/apps/{app}/commands/{name}"),
            ("/v1/apps/shop/deferred", "/v1/apps/{app}/deferred"),
            ("/v1/apps/shop/tasks/7/retry", "/v1/apps/{app}/tasks/{name}"),
            ("/", "//"),
        ] {
            assert_eq!(pattern(path), expected);
        }
    }
}

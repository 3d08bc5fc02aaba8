//! Whoever asks `localhost` means the one app there is, also when its manifest lists other hosts only.

use std::sync::Arc;

use http::{HeaderValue, Request, Uri, header};
use nearside_host::{host::Host, served::Served};

/// The app served here, if there is just one.
pub(crate) fn only(host: &Host) -> Option<Arc<Served>> {
    let heads = host.heads();
    let mut names = heads.keys();
    let name = names.next().filter(|_| names.next().is_none())?;
    host.by_name(name)
}

/// The request as it is, or sent to the app's first host when it names this machine and nobody is served by that name.
pub(crate) fn readdressed<B>(host: &Host, mut request: Request<B>) -> Request<B> {
    let Some(asked) = authority(&request) else { return request };
    let (name, port) = split(&asked);
    if !is_loopback(name) || host.by_host(name).is_some() {
        return request;
    }
    let Some(release) = only(host).and_then(|served| served.current()) else { return request };
    let Some(first) = release.code.app.hosts.first() else { return request };
    let now = format!("{first}{port}");
    let Ok(value) = HeaderValue::from_str(&now) else { return request };

    // A form of this very page says where it comes from; that is the same site under both names.
    let from = request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let own = from.and_then(|from| from.split_once("://")).filter(|(_, from)| from.eq_ignore_ascii_case(&asked));
    if let Some(origin) = own.and_then(|(scheme, _)| HeaderValue::from_str(&format!("{scheme}://{now}")).ok()) {
        request.headers_mut().insert(header::ORIGIN, origin);
    }
    request.headers_mut().insert(header::HOST, value);
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = path.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

fn authority<B>(request: &Request<B>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_ascii_lowercase());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then(|| host.to_ascii_lowercase())
}

/// A name, and its port with the colon.
fn split(authority: &str) -> (&str, &str) {
    match authority.rfind(':') {
        Some(at) if authority[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) => authority.split_at(at),
        _ => (authority, ""),
    }
}

fn is_loopback(name: &str) -> bool {
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_many_names() {
        for (authority, name, port) in [
            ("localhost:8080", "localhost", ":8080"),
            ("[::1]:8080", "[::1]", ":8080"),
            ("[::1]", "[::1]", ""),
            ("127.0.0.1", "127.0.0.1", ""),
            ("0.0.0.0:80", "0.0.0.0", ":80"),
        ] {
            assert_eq!(split(authority), (name, port));
            assert!(is_loopback(name), "{name}");
        }
        assert!(!is_loopback("hello.localhost") && !is_loopback("10.0.0.7") && !is_loopback("example.com"));
    }
}

//! From a request to what its handler sees - and to the cache key, made of the very same values.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use nearside_protocol::route::{Declared, Query};

use crate::{accept, target::Target};

/// All of a safe request that its handler may depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub target: Target,
    /// Visible headers, in the order of their names.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The cache key: the app and everything seen, each part preceded by its length, compared in full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Box<[u8]>);

impl Key {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn app(&self) -> &str {
        self.parts().next().and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default()
    }

    /// What a handler saw whose response is kept under this key.
    pub fn seen(&self) -> Seen {
        const MADE_HERE: &str = "BUG: a key is made of what was seen";
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).expect(MADE_HERE);
        let mut parts = self.parts().skip(1);
        let path = text(parts.next().expect(MADE_HERE));
        let query = (parts.next() == Some(b"?")).then(|| text(parts.next().expect(MADE_HERE)));
        let mut headers = Vec::new();
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let name = HeaderName::from_bytes(name).expect(MADE_HERE);
            headers.push((name, HeaderValue::from_bytes(value).expect(MADE_HERE)));
        }
        Seen { target: Target { path, query }, headers }
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (part, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(part)
        })
    }
}

/// The header that shows a declared client address to a handler.
pub const CLIENT_IP_HEADER: &str = "nearside-client-ip";

impl Seen {
    pub fn new(declared: &Declared, target: Target, headers: &HeaderMap, client: Option<IpAddr>) -> Seen {
        let mut seen = Vec::new();
        if !declared.accept.is_empty() {
            let chosen = accept::media_type(headers, &declared.accept);
            seen.push((header::ACCEPT, value(chosen)));
        }
        if !declared.languages.is_empty() {
            let chosen = accept::language(headers, &declared.languages);
            seen.push((header::ACCEPT_LANGUAGE, value(chosen)));
        }
        for name in &declared.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("BUG: the manifest's header names are checked");
            seen.extend(headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        }
        if !declared.cookies.is_empty() {
            let cookies = declared_cookies(headers, &declared.cookies);
            if !cookies.is_empty() {
                seen.push((header::COOKIE, value(&cookies)));
            }
        }
        if let Some(client) = client.filter(|_| declared.client_ip) {
            seen.push((HeaderName::from_static(CLIENT_IP_HEADER), value(&client.to_string())));
        }
        seen.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        Seen { target: shown(&declared.query, target), headers: seen }
    }

    /// What somebody else saw; whether it is what a route declares is to be asked of [`Seen::is_as_declared`].
    pub(crate) fn told(target: Target, headers: Vec<(HeaderName, HeaderValue)>) -> Seen {
        Seen { target, headers }
    }

    pub fn key(&self, app: &str) -> Key {
        let part = |bytes: usize| 4 + bytes;
        let query = self.target.query.as_ref().map_or(0, |query| part(query.len()));
        let headers: usize =
            self.headers.iter().map(|(name, value)| part(name.as_str().len()) + part(value.len())).sum();
        // Made once, as long as it will be: each request has one.
        let mut bytes = Vec::with_capacity(part(app.len()) + part(self.target.path.len()) + part(1) + query + headers);
        let mut part = |text: &[u8]| {
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text);
        };
        part(app.as_bytes());
        part(self.target.path.as_bytes());
        // An absent query and an empty one are told apart by the marker in front.
        match &self.target.query {
            None => part(b"-"),
            Some(query) => {
                part(b"?");
                part(query.as_bytes());
            }
        }
        for (name, value) in &self.headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        Key(bytes.into())
    }

    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Whether a request that is just this would be seen so by a route that declares these inputs.
    pub fn is_as_declared(&self, declared: &Declared) -> bool {
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        let client = headers.get(CLIENT_IP_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        Seen::new(declared, self.target.clone(), &headers, client) == *self
    }

    /// The request as its handler gets it. Scheme and authority are the app's own, whatever was asked.
    pub fn request<B>(&self, host: &str, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri(host, &self.target);
        for (name, value) in &self.headers {
            // One that came twice is seen twice, as it is in the key.
            request.headers_mut().append(name.clone(), value.clone());
        }
        request
    }
}

/// An absolute URI, under the app's canonical host.
pub fn uri(host: &str, target: &Target) -> http::Uri {
    http::Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(target.path_and_query())
        .build()
        .unwrap_or_else(|_| http::Uri::from_static("http://localhost/"))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The query as declared: parameters decoded, chosen, sorted by name (values stay in their order) and encoded anew.
fn shown(query: &Query, target: Target) -> Target {
    let Query::Named(names) = query else { return target };
    let mut pairs: Vec<(String, String)> =
        form_urlencoded::parse(target.query.as_deref().unwrap_or_default().as_bytes())
            .filter(|(name, _)| names.iter().any(|declared| declared == name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Target { path: target.path, query: Some(query).filter(|query| !query.is_empty()) }
}

fn declared_cookies(headers: &HeaderMap, names: &[String]) -> String {
    let mut shown = Vec::new();
    for (name, value) in cookies(headers) {
        if names.iter().any(|declared| declared == name) {
            shown.push(format!("{name}={value}"));
        }
    }
    shown.sort();
    shown.join("; ")
}

/// The cookies of a request, RFC 6265 section 4.2.1.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// Headers that belong to one connection, RFC 9110 section 7.6.1.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    )
}

/// A request shown whole, to handlers that asked for it. What proxies say is shown only when they are trusted, and as
/// yet none are.
pub(crate) fn everything(
    host: &str,
    target: &Target,
    method: &Method,
    headers: &HeaderMap,
    client: IpAddr,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = if method == Method::HEAD { Method::GET } else { method.clone() };
    *request.uri_mut() = uri(host, target);
    for (name, value) in headers {
        let name_text = name.as_str();
        let hosts_own = name_text.starts_with("nearside-") || name_text.starts_with("x-forwarded-");
        let hosts_own = hosts_own || matches!(name_text, "forwarded" | "x-real-ip" | "host" | "expect");
        if !hosts_own && !is_hop_by_hop(name) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    if let Ok(client) = HeaderValue::from_str(&client.to_string()) {
        request.headers_mut().insert(CLIENT_IP_HEADER, client);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(declared: &Declared, path: &str, query: Option<&str>, headers: &[(&str, &str)]) -> Seen {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Seen::new(declared, Target::parse(path, query).unwrap(), &map, "192.0.2.1".parse().ok())
    }

    fn named(names: &[&str]) -> Declared {
        Declared { query: Query::Named(names.iter().map(|name| name.to_string()).collect()), ..Declared::default() }
    }

    #[test]
    fn undeclared_inputs_change_neither_key_nor_view() {
        let declared = named(&["q"]);
        let plain = seen(&declared, "/s", Some("q=a"), &[]);
        let noisy = seen(
            &declared,
            "/s",
            Some("utm=1&q=%61&x"),
            &[("cookie", "id=1"), ("authorization", "Bearer x"), ("x-forwarded-host", "evil"), ("accept", "a/b")],
        );
        assert_eq!(plain, noisy);
        assert_eq!(plain.key("app"), noisy.key("app"));
        assert_ne!(plain.key("app"), plain.key("other"));
        let request = noisy.request("a.example", ());
        assert_eq!(request.uri(), "http://a.example/s?q=a");
        assert!(request.headers().is_empty());
    }

    #[test]
    fn declared_inputs_are_shown_and_keyed() {
        let declared = Declared {
            headers: vec!["x-seen".into()],
            cookies: vec!["seen".into()],
            client_ip: true,
            accept: vec!["text/html".into(), "application/json".into()],
            ..Declared::default()
        };
        let one = seen(
            &declared,
            "/",
            None,
            &[("x-seen", "1"), ("cookie", "other=2; seen=3"), ("accept", "application/json")],
        );
        let headers = one.request("a", ()).into_parts().0.headers;
        assert_eq!(headers["cookie"], "seen=3");
        assert_eq!(headers["accept"], "application/json");
        assert_eq!(headers[CLIENT_IP_HEADER], "192.0.2.1");
        let other =
            seen(&declared, "/", None, &[("x-seen", "2"), ("cookie", "seen=3"), ("accept", "application/json")]);
        assert_ne!(one.key("a"), other.key("a"));
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        let whole = Declared::default();
        assert_ne!(seen(&whole, "/a", Some("b"), &[]).key("x"), seen(&whole, "/ab", None, &[]).key("x"));
        assert_ne!(seen(&whole, "/", None, &[]).key("xa"), seen(&whole, "/a", None, &[]).key("x"));
        let both = named(&["a", "b"]);
        assert_eq!(seen(&both, "/", Some("b=1&a=2"), &[]), seen(&both, "/", Some("a=2&b=1"), &[]));
        assert_ne!(seen(&both, "/", Some("a=1&a=2"), &[]), seen(&both, "/", Some("a=2&a=1"), &[]));
        assert_ne!(seen(&both, "/", Some("a=1%26b=2"), &[]), seen(&both, "/", Some("a=1&b=2"), &[]));
    }

    #[test]
    fn a_key_says_what_was_seen() {
        let declared = Declared { headers: vec!["x-a".into()], cookies: vec!["c".into()], ..Declared::default() };
        let headers = [("x-a", ""), ("x-a", "2"), ("cookie", "c=d")];
        for query in [None, Some("?"), Some("-"), Some("a=b&a=c")] {
            let seen = seen(&declared, "/a/%20b", query, &headers);
            let key = seen.key("app");
            assert_eq!((key.app(), key.seen()), ("app", seen.clone()));
            assert!(seen.is_as_declared(&declared) && !seen.is_as_declared(&Declared::default()));
        }
    }
}

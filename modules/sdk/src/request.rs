//! What a visitor asked for, as far as the route's declared inputs show it.

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::de::DeserializeOwned;

use crate::bindings::wasi::http::types as wasi;
use crate::bindings::wasi::io::streams::StreamError;
use crate::missed::{self, Kind};
use crate::multipart::{Limits, Multipart};
use crate::{Cookies, Error, Fields, negotiate};

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// A request. Its body stays with the host until it is asked for.
#[derive(Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    parameters: Vec<(&'static str, String)>,
    body: Incoming,
}

#[derive(Debug)]
enum Incoming {
    Host(wasi::IncomingRequest),
    Bytes(Vec<u8>),
}

impl Request {
    /// A request from nowhere, for tests: `Request::new(Method::GET, "/search?q=x")`.
    #[must_use]
    pub fn new(method: Method, path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            parameters: Vec::new(),
            body: Incoming::Bytes(Vec::new()),
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Incoming::Bytes(body.into());
        self
    }

    /// Takes over the host's request.
    pub(crate) fn receive(request: wasi::IncomingRequest) -> Self {
        let target = request.path_with_query();
        let mut this = Self::new(method(request.method()), target.as_deref().unwrap_or("/"));
        for (name, value) in request.headers().entries() {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
                this.headers.append(name, value);
            }
        }
        this.body = Incoming::Host(request);
        this
    }

    pub(crate) fn set_parameters(&mut self, parameters: Vec<(&'static str, String)>) {
        self.parameters = parameters;
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path as it was sent, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands behind the question mark, as it was sent.
    #[must_use]
    pub fn query_string(&self) -> &str {
        &self.query
    }

    /// The query, decoded.
    #[must_use]
    pub fn query(&self) -> Fields {
        Fields::parse_query(&self.query)
    }

    /// The headers the route declares.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        let value = self.text_of(name);
        if value.is_none() {
            missed::tell(Kind::Header, name.as_str());
        }
        value
    }

    /// The same for what the SDK looks for by itself, which nobody has to declare.
    fn text_of(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The cookies the route declares.
    #[must_use]
    pub fn cookies(&self) -> Cookies {
        Cookies::of(&self.headers)
    }

    /// What stood in the path at `{name}`, decoded; empty when the route's pattern has no such place.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The media type among `offers` that the client likes best; the first one when it likes none.
    #[must_use]
    pub fn negotiate<'a>(&self, offers: &[&'a str]) -> &'a str {
        let accept: Vec<&str> = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        negotiate::best(&accept.join(","), offers).or(offers.first().copied()).unwrap_or_default()
    }

    /// Whether a program asks rather than a person: then errors are problem documents.
    #[must_use]
    pub fn prefers_json(&self) -> bool {
        self.negotiate(&["text/html", "application/json", "application/problem+json"]) != "text/html"
    }

    /// The body, which can be read once.
    ///
    /// # Errors
    /// 413 when it is longer than `max_bytes`; 400 when it was cut off on the way or read before.
    pub fn body(&self, max_bytes: usize) -> Result<Vec<u8>, Error> {
        match &self.body {
            Incoming::Bytes(bytes) if bytes.len() > max_bytes => Err(Error::too_large(max_bytes)),
            Incoming::Bytes(bytes) => Ok(bytes.clone()),
            Incoming::Host(request) => {
                let length = self.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
                read_body(request, length.unwrap_or(0), max_bytes)
            }
        }
    }

    /// The body as a form.
    ///
    /// # Errors
    /// 415 when it is not `application/x-www-form-urlencoded`, and those of [`body`](Self::body).
    pub fn form(&self, max_bytes: usize) -> Result<Fields, Error> {
        self.expect_type(URLENCODED)?;
        Ok(Fields::parse(&self.body(max_bytes)?))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 415 when it is not `application/json`, 400 when it does not read as a `T`, and those of [`body`](Self::body).
    pub fn json<T: DeserializeOwned>(&self, max_bytes: usize) -> Result<T, Error> {
        self.expect_type("application/json")?;
        serde_json::from_slice(&self.body(max_bytes)?)
            .map_err(|error| Error::bad_request(format!("The body is not what is expected here: {error}.")))
    }

    /// The body as a form with files: `request.multipart(2 << 20)?.file("picture")`. See [`Limits`] for more than a
    /// number of bytes. A form that was sent as [`form`](Self::form) takes it has no files.
    ///
    /// # Errors
    /// 415 when it is neither `multipart/form-data` nor `application/x-www-form-urlencoded`, 400 when it is broken, 413 when it goes beyond a limit, and those of
    /// [`body`](Self::body).
    pub fn multipart(&self, limits: impl Into<Limits>) -> Result<Multipart, Error> {
        let limits = limits.into();
        if self.has_type(URLENCODED) {
            return Ok(Multipart::without_files(Fields::parse(&self.body(limits.total_bytes)?)));
        }
        self.expect_type("multipart/form-data")?;
        let content_type = self.text_of(&CONTENT_TYPE).unwrap_or_default();
        Ok(Multipart::parse(content_type, self.body(limits.total_bytes)?, &limits)?)
    }

    fn expect_type(&self, expected: &'static str) -> Result<(), Error> {
        if self.has_type(expected) { Ok(()) } else { Err(Error::unsupported_type(expected)) }
    }

    fn has_type(&self, expected: &str) -> bool {
        let sent = self.text_of(&CONTENT_TYPE).unwrap_or_default();
        sent.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
    }
}

fn method(method: wasi::Method) -> Method {
    match method {
        wasi::Method::Get => Method::GET,
        wasi::Method::Head => Method::HEAD,
        wasi::Method::Post => Method::POST,
        wasi::Method::Put => Method::PUT,
        wasi::Method::Delete => Method::DELETE,
        wasi::Method::Connect => Method::CONNECT,
        wasi::Method::Options => Method::OPTIONS,
        wasi::Method::Trace => Method::TRACE,
        wasi::Method::Patch => Method::PATCH,
        // A name that is no token matches no route, and neither does TRACE.
        wasi::Method::Other(name) => name.parse().unwrap_or(Method::TRACE),
    }
}

fn read_body(request: &wasi::IncomingRequest, length: usize, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let body = request.consume().map_err(|()| Error::bad_request("The body was read before."))?;
    let stream = body.stream().map_err(|()| Error::bad_request("The body was read before."))?;
    read_all(&stream, length, max_bytes).map_err(|reason| match reason {
        ReadError::TooLarge => Error::too_large(max_bytes),
        ReadError::CutOff => Error::bad_request("The body broke off."),
    })
}

/// Why a body could not be read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    TooLarge,
    CutOff,
}

/// Reads a stream to its end, in pieces as large as the host gives them. `length` is what is known of its length: room
/// that was made before needs no second copy.
pub(crate) fn read_all(
    stream: &crate::bindings::wasi::io::streams::InputStream,
    length: usize,
    max_bytes: usize,
) -> Result<Vec<u8>, ReadError> {
    const PIECE_BYTES: u64 = 64 * 1024;

    let mut bytes = Vec::with_capacity(if length > PIECE_BYTES as usize { length.min(max_bytes) } else { 0 });
    loop {
        match stream.blocking_read(PIECE_BYTES) {
            Ok(piece) if bytes.len() + piece.len() > max_bytes => return Err(ReadError::TooLarge),
            Ok(piece) if bytes.capacity() == 0 => bytes = piece,
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(ReadError::CutOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");

    #[test]
    fn a_form_is_read_within_its_limit() {
        let request = Request::new(Method::POST, "/").with_header(CONTENT_TYPE, FORM).with_body("name=g%2B%2B");
        assert_eq!(request.form(100).unwrap().get("name"), Some("g++"));
        assert_eq!(request.form(5).unwrap_err().status(), 413);
    }

    #[test]
    fn another_type_is_refused() {
        let request = Request::new(Method::POST, "/").with_body("name=x");
        assert_eq!(request.form(100).unwrap_err().status(), 415);
    }

    #[test]
    fn a_form_with_files_is_read_within_its_limit() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x--\r\n";
        let form = HeaderValue::from_static("multipart/form-data; boundary=x");
        let request = Request::new(Method::POST, "/").with_header(CONTENT_TYPE, form).with_body(body);
        assert_eq!(request.multipart(1000).unwrap().fields().get("note"), Some("hello"));
        assert_eq!(request.multipart(10).unwrap_err().status(), 413);
        let request = Request::new(Method::POST, "/").with_header(CONTENT_TYPE, FORM).with_body("note=hello");
        let form = request.multipart(1000).unwrap();
        assert!(form.fields().get("note") == Some("hello") && form.file("note").is_none());
        assert_eq!(request.multipart(5).unwrap_err().status(), 413);
        let request = Request::new(Method::POST, "/").with_body(body);
        assert_eq!(request.multipart(1000).unwrap_err().status(), 415);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn what_is_looked_for_and_not_there_is_told() {
        let request = Request::new(Method::GET, "/?q=1").with_header(ACCEPT, HeaderValue::from_static("text/html"));
        let query = request.query();
        let _ = (query.get("q"), query.filled("page"), request.header(&ACCEPT), request.header(&CONTENT_TYPE));
        let _ = (request.cookies().get("theme"), request.prefers_json(), Fields::parse(b"a=1").get("b"));
        let told = |kind, name: &str| (kind, name.to_owned());
        let expected = [told(Kind::Query, "page"), told(Kind::Header, "content-type"), told(Kind::Cookie, "theme")];
        assert_eq!(missed::told(), expected);
    }

    #[test]
    fn the_query_is_apart_from_the_path() {
        let request = Request::new(Method::GET, "/search?q=a?b&page=2");
        assert_eq!(request.path(), "/search");
        assert_eq!(request.query().get("q"), Some("a?b"));
    }

    #[test]
    fn an_accept_that_fits_nothing_takes_the_first_offer() {
        let request = Request::new(Method::GET, "/").with_header(ACCEPT, HeaderValue::from_static("image/png"));
        assert_eq!(request.negotiate(&["text/html", "application/json"]), "text/html");
    }
}

//! HTTP from a task to the hosts its manifest lists: one request, one answer, both held in memory.

use std::fmt;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types as wasi;
use crate::body::BodyWriter;
use crate::request::{ReadError, read_all};

/// How long connecting, the first byte, and each pause between bytes may take, unless the call says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is taken, unless the call says otherwise.
const DEFAULT_MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// A request to make: built by [`get`] or [`post`], run by [`send`](Self::send).
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    timeout: Duration,
    max_answer_bytes: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A GET.
#[must_use]
pub fn get(url: impl Into<String>) -> Call {
    Call::new(Method::GET, url)
}

/// A POST with a body.
#[must_use]
pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Call {
    Call { body: body.into(), ..Call::new(Method::POST, url) }
}

impl Call {
    /// Any other method.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            max_answer_bytes: DEFAULT_MAX_ANSWER_BYTES,
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with another time limit, for each of connecting, the first byte, and every pause after it.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with another limit for the answer's body.
    #[must_use]
    pub fn with_max_answer_bytes(mut self, max_answer_bytes: usize) -> Self {
        self.max_answer_bytes = max_answer_bytes;
        self
    }

    /// Sends it and waits for all of the answer, whatever its status.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn send(self) -> Result<Answer, Error> {
        let request = self.request()?;
        let body = request.body().map_err(|()| Error::transport("no body to write to"))?;
        // The host starts sending at once; a body written before that would wait for a reader.
        let pending = outgoing_handler::handle(request, Some(self.options())).map_err(Error::from_host)?;
        self.write(body)?;

        pending.subscribe().block();
        let response = match pending.get() {
            Some(Ok(result)) => result.map_err(Error::from_host)?,
            Some(Err(())) | None => return Err(Error::transport("no answer")),
        };
        let stream = response.consume().map_err(|()| Error::transport("no answer body"))?;
        let body = read(&stream, self.max_answer_bytes)?;
        let status = StatusCode::from_u16(response.status()).map_err(|error| Error::transport(error.to_string()))?;
        Ok(Answer { status, headers: headers(&response), body })
    }

    fn request(&self) -> Result<wasi::OutgoingRequest, Error> {
        let url: Uri = self.url.parse().map_err(|_| Error::BadUrl(self.url.clone()))?;
        let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else {
            return Err(Error::BadUrl(self.url.clone()));
        };
        let scheme = match scheme {
            scheme if *scheme == Scheme::HTTP => wasi::Scheme::Http,
            scheme if *scheme == Scheme::HTTPS => wasi::Scheme::Https,
            _ => return Err(Error::BadUrl(self.url.clone())),
        };
        let mut headers = self.headers.clone();
        if !self.body.is_empty() {
            // Without its length a body goes out in chunks, which not every receiver of webhooks reads.
            headers.push(("content-length".to_owned(), self.body.len().to_string().into_bytes()));
        }
        let fields = wasi::Fields::from_list(&headers).map_err(|error| Error::BadHeaders(format!("{error:?}")))?;
        let path = url.path_and_query().map(http::uri::PathAndQuery::as_str);
        let request = wasi::OutgoingRequest::new(fields);
        request
            .set_method(&method(&self.method))
            .and_then(|()| request.set_scheme(Some(&scheme)))
            .and_then(|()| request.set_authority(Some(authority.as_str())))
            .and_then(|()| request.set_path_with_query(path))
            .map_err(|()| Error::BadUrl(self.url.clone()))?;
        Ok(request)
    }

    /// A host that does not know one of these limits has its own; there is nothing to do about it here.
    fn options(&self) -> wasi::RequestOptions {
        let options = wasi::RequestOptions::new();
        let timeout = u64::try_from(self.timeout.as_nanos()).ok();
        let _ = options.set_connect_timeout(timeout);
        let _ = options.set_first_byte_timeout(timeout);
        let _ = options.set_between_bytes_timeout(timeout);
        options
    }

    /// A server may answer without reading all of a body, so a broken write is not yet a failed call.
    fn write(&self, body: wasi::OutgoingBody) -> Result<(), Error> {
        if !self.body.is_empty() {
            let stream = body.write().map_err(|()| Error::transport("no body to write to"))?;
            let mut writer = BodyWriter::new(stream);
            if writer.write(&self.body).and_then(|()| writer.finish()).is_err() {
                return Ok(());
            }
        }
        wasi::OutgoingBody::finish(body, None).map_err(Error::from_host)
    }
}

fn method(method: &Method) -> wasi::Method {
    match *method {
        Method::GET => wasi::Method::Get,
        Method::HEAD => wasi::Method::Head,
        Method::POST => wasi::Method::Post,
        Method::PUT => wasi::Method::Put,
        Method::DELETE => wasi::Method::Delete,
        Method::PATCH => wasi::Method::Patch,
        _ => wasi::Method::Other(method.as_str().to_owned()),
    }
}

fn read(body: &wasi::IncomingBody, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let stream = body.stream().map_err(|()| Error::transport("no answer body"))?;
    read_all(&stream, 0, max_bytes).map_err(|reason| match reason {
        ReadError::TooLarge => Error::TooLarge { max_bytes },
        ReadError::CutOff => Error::transport("the answer broke off"),
    })
}

fn headers(response: &wasi::IncomingResponse) -> HeaderMap {
    let pairs = response.headers().entries().into_iter();
    pairs
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?)))
        .collect()
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Not an absolute `http` or `https` URL.
    BadUrl(String),
    /// A header that cannot be sent.
    BadHeaders(String),
    /// The manifest does not list the host, or the address behind its name is not one a guest may reach.
    Denied,
    /// The answer is longer than the call allows.
    TooLarge {
        /// What the call allows.
        max_bytes: usize,
    },
    /// The network or the other side failed.
    Transport(String),
}

impl Error {
    fn transport(reason: impl Into<String>) -> Self {
        Self::Transport(reason.into())
    }

    fn from_host(code: wasi::ErrorCode) -> Self {
        match code {
            wasi::ErrorCode::HttpRequestDenied | wasi::ErrorCode::DestinationIpProhibited => Self::Denied,
            code => Self::Transport(format!("{code:?}")),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(url) => write!(f, "not an absolute http(s) URL: {url}"),
            Self::BadHeaders(reason) => write!(f, "headers: {reason}"),
            Self::Denied => write!(f, "the manifest does not allow this host"),
            Self::TooLarge { max_bytes } => write!(f, "the answer is longer than {max_bytes} bytes"),
            Self::Transport(reason) => write!(f, "{reason}"),
        }
    }
}

impl std::error::Error for Error {}

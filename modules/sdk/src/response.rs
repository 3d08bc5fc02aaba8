//! What goes back to the visitor.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use maud::Markup;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::body::{BodyWriter, Disconnected};
use crate::cookies::{MAX_COOKIE_BYTES, SetCookie};
use crate::events::Events;
use crate::{Error, Result, log};

/// A response: plain fields, and constructors for the common ones.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers; the host adds caching, `ETag` and its own.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// A body: ready, or written bit by bit after the head has gone out.
pub enum Body {
    /// Sent as it is.
    Bytes(Vec<u8>),
    /// Called once with the stream to write to.
    Stream(Produce),
}

/// What writes a body while it is being sent.
pub type Produce = Box<dyn FnOnce(&mut BodyWriter) -> Result<(), Disconnected>>;

/// What may not stand in a `Location` as it is.
const NOT_IN_A_LOCATION: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`');

impl Response {
    /// 200 with a body of the given type.
    #[must_use]
    pub fn new(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::with_type(content_type, Body::Bytes(body.into()))
    }

    /// 200 with no body and no type.
    #[must_use]
    pub fn empty() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body: Body::Bytes(Vec::new()) }
    }

    /// 200 with a page.
    #[must_use]
    pub fn html(page: Markup) -> Self {
        Self::new("text/html; charset=utf-8", page.into_string())
    }

    /// 200 with plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new("text/plain; charset=utf-8", text.into())
    }

    /// 200 with JSON.
    ///
    /// # Errors
    /// 500 when `value` cannot be JSON, such as a map whose keys are no strings.
    pub fn json(value: &impl Serialize) -> Result {
        let body = serde_json::to_vec(value).map_err(|error| Error::internal(format!("writing JSON: {error}")))?;
        Ok(Self::new("application/json", body))
    }

    /// 200 with a body that `write` produces while it is being sent.
    #[must_use]
    pub fn stream(
        content_type: &'static str,
        write: impl FnOnce(&mut BodyWriter) -> Result<(), Disconnected> + 'static,
    ) -> Self {
        Self::with_type(content_type, Body::Stream(Box::new(write)))
    }

    /// 200 with server-sent events, which `send` sends as they happen: see [`Events`].
    #[must_use]
    pub fn events(send: impl FnOnce(&mut Events<'_>) -> Result<(), Disconnected> + 'static) -> Self {
        Self::stream("text/event-stream", |body| send(&mut Events::new(body)))
            .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// 303: the answer to a form that was accepted, so that reloading does not send it again.
    #[must_use]
    pub fn see_other(location: &str) -> Self {
        let location = utf8_percent_encode(location, NOT_IN_A_LOCATION).to_string();
        let location = HeaderValue::try_from(location).expect("BUG: an encoded location is visible ASCII");
        Self::empty().with_status(StatusCode::SEE_OTHER).with_header(LOCATION, location)
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with a header, in place of one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with one more cookie. A response that gives cookies is never kept: it is for one visitor.
    #[must_use]
    pub fn with_cookie(mut self, cookie: SetCookie) -> Self {
        let value = cookie.to_header();
        if value.len() > MAX_COOKIE_BYTES {
            log(format_args!("a cookie of {} bytes: browsers drop more than {MAX_COOKIE_BYTES}", value.len()));
        }
        self.headers.append(SET_COOKIE, value);
        self
    }

    fn with_type(content_type: &'static str, body: Body) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status: StatusCode::OK, headers, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_added_one_by_one() {
        let response = Response::empty().with_cookie(SetCookie::new("a", "1")).with_cookie(SetCookie::new("b", "2"));
        assert_eq!(response.headers.get_all(SET_COOKIE).iter().count(), 2);
    }

    #[test]
    fn events_are_a_stream_that_nobody_keeps() {
        let response = Response::events(|events| {
            events.retry_after_ms(500)?;
            events.send("hello")?;
            events.keep_alive()
        });
        assert_eq!(response.headers[CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers[CACHE_CONTROL], "no-store");
        assert!(matches!(response.body, Body::Stream(_)));
    }

    #[test]
    fn a_redirect_cannot_be_given_a_second_line() {
        let response = Response::see_other("/a b\r\nset-cookie: x/ü#reviews");
        assert_eq!(response.status, 303);
        assert_eq!(response.headers[LOCATION], "/a%20b%0D%0Aset-cookie:%20x/%C3%BC#reviews");
    }
}

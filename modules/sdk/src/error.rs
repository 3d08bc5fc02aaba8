//! What went wrong, in two voices: a message for the visitor, a detail for the operator.

use std::borrow::Cow;
use std::fmt;

use http::header::{ALLOW, InvalidHeaderValue, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::{Response, log};

/// An error that becomes an answer. The detail goes to the log and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    status: StatusCode,
    message: Cow<'static, str>,
    detail: Option<String>,
    retry_after_s: Option<u32>,
    allow: Option<String>,
    /// `,"name":value` for each.
    members: String,
}

/// The members of RFC 9457 that say something here; `type` would be `about:blank`, which is what leaving it out means.
#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Error {
    /// An error with a status and what the visitor reads.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), detail: None, retry_after_s: None, allow: None, members: String::new() }
    }

    /// 400: the request makes no sense, and `message` says how.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    /// 405, with what is allowed.
    #[must_use]
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        let message = "This address does not take that method.";
        Self { allow: Some(allow.into()), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// 413.
    #[must_use]
    pub fn too_large(max_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("At most {max_bytes} bytes can be sent here."))
    }

    /// 415.
    #[must_use]
    pub fn unsupported_type(expected: &'static str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("This address takes {expected}."))
    }

    /// 500: our mistake. `detail` is for the log.
    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.").with_detail(detail)
    }

    /// 503: it will pass; the visitor may try again after so many seconds.
    #[must_use]
    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The same with what the operator should know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with one more member in the problem document, such as `type`, or `errors` with a list of what is wrong
    /// where. Visitors' programs read it. The members that are there anyway - title, status, detail - stay as they are.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: &impl Serialize) -> Self {
        let json = serde_json::to_string(name).and_then(|name| Ok((name, serde_json::to_string(value)?)));
        match json {
            _ if ["title", "status", "detail"].contains(&name) => {}
            Ok((name, value)) => self.members.extend([",", &name, ":", &value]),
            Err(error) => log(format_args!("the member {name} of a problem document: {error}")),
        }
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the visitor reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the operator reads.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Writes the detail, if there is one, to the log. The SDK does it for errors that a handler returns.
    pub fn report(&self) {
        if self.detail.is_some() {
            log(self);
        }
    }

    /// The answer for a program: a problem document (RFC 9457).
    #[must_use]
    pub fn to_problem(&self) -> Response {
        let problem = Problem { title: self.title(), status: self.status.as_u16(), detail: &self.message };
        // Two texts and a number are always JSON.
        let mut json = serde_json::to_string(&problem).unwrap_or_default();
        if !self.members.is_empty() && json.pop().is_some() {
            json.push_str(&self.members);
            json.push('}');
        }
        self.dress(Response::new("application/problem+json", json))
    }

    /// The answer for a person: a page without ornament, for apps that bring none of their own.
    #[must_use]
    pub fn to_page(&self) -> Response {
        let (title, message) = (self.title(), maud::Render::render(&*self.message).into_string());
        self.dress(Response::new(
            "text/html; charset=utf-8",
            format!(
                "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
                 <title>{title}</title><h1>{title}</h1><p>{message}</p>"
            ),
        ))
    }

    /// Puts this error's status and headers on a response: for apps that render their own page.
    #[must_use]
    pub fn dress(&self, response: Response) -> Response {
        let mut response = response.with_status(self.status);
        if let Some(seconds) = self.retry_after_s {
            response.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow.as_deref().and_then(|methods| HeaderValue::from_str(methods).ok()) {
            response.headers.insert(ALLOW, methods);
        }
        response
    }

    /// The name of the status.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.detail.as_deref().unwrap_or(&self.message))
    }
}

impl std::error::Error for Error {}

/// JSON of the app's own making that cannot be written or read. What a visitor sends is read by
/// [`Request::json`](crate::Request::json), which answers 400.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(format!("JSON: {error}"))
    }
}

/// A header with a value that no header can have.
impl From<InvalidHeaderValue> for Error {
    fn from(error: InvalidHeaderValue) -> Self {
        Self::internal(format!("a header: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;

    fn text(response: Response) -> String {
        match response.body {
            Body::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            Body::Stream(_) => panic!("an error is not streamed"),
        }
    }

    #[test]
    fn the_detail_stays_inside() {
        let error = Error::internal("disk 7 of node 3");
        assert!(!text(error.to_page()).contains("disk"));
        assert!(!text(error.to_problem()).contains("disk"));
        assert_eq!(error.to_string(), "500: disk 7 of node 3");
    }

    #[test]
    fn a_problem_document_has_its_type_and_headers() {
        let response = Error::unavailable("Later.", 5).to_problem();
        assert_eq!(response.status, 503);
        assert_eq!(response.headers["content-type"], "application/problem+json");
        assert_eq!(response.headers["retry-after"], "5");
        assert_eq!(text(response), r#"{"title":"Service Unavailable","status":503,"detail":"Later."}"#);
    }

    #[test]
    fn a_problem_document_has_members_of_its_own() {
        let error = Error::bad_request("No.")
            .with_member("type", &"https://a.example/invalid")
            .with_member("errors", &[("author", "is empty")])
            .with_member("status", &200)
            .with_member("a\"b", &1);
        assert_eq!(
            text(error.to_problem()),
            r#"{"title":"Bad Request","status":400,"detail":"No.","type":"https://a.example/invalid","errors":[["author","is empty"]],"a\"b":1}"#
        );
    }

    #[test]
    fn a_message_is_escaped() {
        assert!(text(Error::bad_request("<script>").to_page()).contains("&lt;script&gt;"));
    }
}

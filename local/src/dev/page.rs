//! Pages as the development server changes them: each gets a script that keeps it up to date, and a page the host could
//! not make tells why.

use std::{
    fmt::Write,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, response::Parts};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Full};

use super::trouble::Trouble;
use crate::{ansi::Span, local::Body, local::BoxError};

pub const SCRIPT_PATH: &str = "/_nearside/dev.js";
pub const SCRIPT: &str = include_str!("overlay.js");

/// What the script is told by the page it is on.
#[derive(Default)]
pub struct Told<'a> {
    /// The app's version the page was made from.
    pub version: &'a str,
    /// The trace under which to ask why this page is an error.
    pub failure: Option<&'a str>,
}

/// A file of its own, so that a page whose policy allows scripts of its own site takes it.
fn script(told: &Told<'_>) -> String {
    // Both values are digits and letters.
    let failure = told.failure.map(|trace| format!(" data-failure=\"{trace}\"")).unwrap_or_default();
    format!("\n<script src=\"{SCRIPT_PATH}\" data-version=\"{}\"{failure} defer></script>\n", told.version)
}

/// Whether a response is a page that the script belongs on.
pub fn is_page(request: &HeaderMap, parts: &Parts) -> bool {
    let text =
        |headers: &HeaderMap, name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let html = text(&parts.headers, "content-type").is_some_and(|kind| kind.starts_with("text/html"));
    // A script that fetches a piece of a page puts it into one that has the script already.
    let whole = text(request, "sec-fetch-dest").is_none_or(|to| matches!(to.as_str(), "document" | "iframe" | "frame"));
    let plain = !parts.headers.contains_key(header::CONTENT_ENCODING);
    let content = !matches!(parts.status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    html && whole && plain && content
}

/// Adds the script at the end, whether the page is whole or still being made.
pub fn with_script(response: Response<Body>, method: &Method, told: &Told<'_>) -> Response<Body> {
    let script = Bytes::from(script(told));
    let (mut parts, body) = response.into_parts();
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = length {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length + script.len() as u64));
    }
    // The page is another than the one that this names.
    parts.headers.remove(header::ETAG);
    let body = match method == Method::HEAD {
        true => body,
        false => Appended { body, tail: Some(script) }.boxed_unsync(),
    };
    Response::from_parts(parts, body)
}

/// A body with some more at its end.
struct Appended {
    body: Body,
    tail: Option<Bytes>,
}

impl HttpBody for Appended {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(None) => Poll::Ready(self.tail.take().map(|tail| Ok(Frame::data(tail)))),
            other => other,
        }
    }
}

/// The page in place of one that could not be made.
pub fn failed(status: StatusCode, trouble: &Trouble, version: &str) -> Response<Body> {
    let mut text = String::new();
    for Span { text: piece, looks } in &trouble.text {
        let _ = match looks.is_empty() {
            true => write!(text, "{}", escaped(piece)),
            false => write!(text, "<span class=\"{}\">{}</span>", looks.join(" "), escaped(piece)),
        };
    }
    let hint = trouble.hint.as_ref().map(|hint| format!("<p>{}</p>", escaped(hint))).unwrap_or_default();
    let title = escaped(&trouble.title);
    let page = format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{PAGE_STYLE}</style>\
         <main role=alert><h1>{title}</h1><pre tabindex=0>{text}</pre>{hint}</main>{}</html>\n",
        script(&Told { version, failure: None })
    );
    html(status, page)
}

pub fn html(status: StatusCode, page: String) -> Response<Body> {
    let mut response = answered("text/html; charset=utf-8", page);
    *response.status_mut() = status;
    response
}

pub fn answered(content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const PAGE_STYLE: &str = "\
:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:6vh auto;padding:0 1rem}\
h1{font-size:1.3rem;color:light-dark(#b00020,#ff8a80)}\
pre{font:.85rem/1.5 ui-monospace,monospace;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;\
padding:1rem;border:1px solid light-dark(#ccc,#444);border-radius:.4rem;background:light-dark(#f7f7f7,#1c1c1c)}\
.bold{font-weight:700}.red{color:light-dark(#b00020,#ff8a80)}.yellow{color:light-dark(#7a5c00,#e8c464)}\
.green{color:light-dark(#1b6e2e,#7fd48f)}.blue,.cyan{color:light-dark(#0b5cad,#8ab8ff)}\
.magenta{color:light-dark(#8a1f8a,#e29ae2)}.grey{color:light-dark(#666,#aaa)}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
    }

    #[tokio::test]
    async fn the_script_comes_after_the_page() {
        let page = || {
            let mut page = html(StatusCode::OK, "<h1>Hi</h1>".into());
            page.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"1\""));
            page.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(11));
            page
        };
        let told = Told { version: "abc", failure: Some("0f") };
        let with = with_script(page(), &Method::GET, &told);
        assert!(!with.headers().contains_key(header::ETAG));
        let length: usize = with.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let body = text(with).await;
        assert_eq!(body.len(), length);
        assert!(body.starts_with("<h1>Hi</h1>\n<script src=\"/_nearside/dev.js\""), "{body}");
        assert!(body.contains("data-version=\"abc\" data-failure=\"0f\" defer"), "{body}");
        let head = with_script(page(), &Method::HEAD, &told);
        assert_eq!(head.headers()[header::CONTENT_LENGTH], length.to_string());
    }

    #[tokio::test]
    async fn only_pages_get_it() {
        let is = |request: &[(&'static str, &'static str)], response: &[(&'static str, &'static str)]| {
            let headers = |list: &[(&'static str, &'static str)]| {
                list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
            };
            let (mut parts, ()) = Response::new(()).into_parts();
            parts.headers = headers(response);
            is_page(&headers(request), &parts)
        };
        let html = ("content-type", "text/html; charset=utf-8");
        assert!(is(&[], &[html]) && is(&[("sec-fetch-dest", "document")], &[html]));
        assert!(!is(&[("sec-fetch-dest", "empty")], &[html]));
        assert!(!is(&[], &[("content-type", "application/json")]) && !is(&[], &[]));
        assert!(!is(&[], &[html, ("content-encoding", "gzip")]));
    }

    #[tokio::test]
    async fn what_failed_is_text_on_the_page() {
        let trouble = Trouble { hint: Some("so & so".into()), ..Trouble::new("The <build> failed", "a <b> & c") };
        let page = text(failed(StatusCode::INTERNAL_SERVER_ERROR, &trouble, "abc")).await;
        assert!(page.contains("a &lt;b&gt; &amp; c") && page.contains("so &amp; so"), "{page}");
        assert!(!page.contains("<build>") && page.contains("data-version=\"abc\""), "{page}");
    }
}

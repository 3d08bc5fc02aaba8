//! The package directory as one competent service has it: every page rendered from the write store when it is asked for,
//! and everything that a write causes done before its answer.

mod form;
mod home;
mod picture;
mod post;
mod results;
mod section;
mod store;
mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::native::Reader;
use super::package::{self, wants_json};
use super::search::{self, Reads};
use super::{Answer, serve_async};
use crate::args::ServeSite;
use crate::queries::Queries;
use crate::request::percent_decode;
use picture::Pictures;
use store::{Readers, Writer};
use webhook::Webhook;

/// Tells how many statements were run for pages so far.
pub const COUNT: &str = "/-/queries";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

struct Site {
    readers: Readers,
    writer: Writer,
    pictures: Pictures,
    webhook: Webhook,
    asked: Arc<AtomicU64>,
}

/// What is asked for, by its address.
#[derive(Debug, PartialEq)]
enum Page {
    Home,
    Sections,
    Section { name: String, page: u32 },
    Package { name: String },
    Search { words: String },
}

/// A body with its type.
type Rendered = (&'static str, Vec<u8>);

pub fn run(args: &ServeSite) -> Result<()> {
    let asked = Arc::new(AtomicU64::new(0));
    let queries = Arc::new(Queries::read(&args.app.join("queries.sql"))?);
    // The writer makes it a database with a log, which readers then find.
    let writer = Writer::open(&args.db)?;
    let readers = Readers::open(&args.db, queries, asked.clone())?;
    let (pictures, webhook) = (Pictures::beside(&args.db)?, Webhook::new(&args.webhook)?);
    let site = Arc::new(Site { readers, writer, pictures, webhook, asked });
    serve_async(&args.listen, move |request| {
        let site = site.clone();
        async move { site.answer(request).await }
    })
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (path, as_json) = (request.uri().path(), wants_json(&request));
        if *request.method() == Method::POST {
            return self.post(request).await.unwrap_or_else(|error| failed(&error));
        }
        if path == COUNT {
            return text(StatusCode::OK, self.asked.load(Ordering::Relaxed).to_string());
        }
        let Some(page) = Page::at(path, request.uri().query().unwrap_or_default()) else {
            return text(StatusCode::NOT_FOUND, "There is no such page.".to_owned());
        };
        match self.readers.read(move |reader| page.render(reader, as_json)).await {
            Ok(Some((content_type, body))) => typed(StatusCode::OK, content_type, body),
            Ok(None) => text(StatusCode::NOT_FOUND, "There is no such page.".to_owned()),
            Err(error) => failed(&error),
        }
    }
}

impl Page {
    fn at(path: &str, query: &str) -> Option<Self> {
        let segments: Vec<String> = path.split('/').skip(1).map(percent_decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match segments.as_slice() {
            [""] => Page::Home,
            ["sections"] => Page::Sections,
            ["section", name] => {
                let page = query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse().ok());
                Page::Section { name: (*name).to_owned(), page: page.unwrap_or(1) }
            }
            ["package", name] => Page::Package { name: (*name).to_owned() },
            ["search"] => Page::Search { words: search::typed(query) },
            _ => return None,
        })
    }

    /// None if there is nothing of this name.
    fn render(&self, reader: &Reader<'_>, as_json: bool) -> Result<Option<Rendered>> {
        let html = |body| Some((HTML, body));
        Ok(match self {
            Page::Home => html(home::page(reader)?),
            Page::Sections => html(home::all_sections(reader)?),
            Page::Section { name, page } => section::page(reader, name, *page)?.and_then(html),
            Page::Package { name } => match package::load(reader, name)? {
                Some(package) if as_json => Some((JSON, package::json(&package)?)),
                Some(package) => html(package::html(&package)),
                None => None,
            },
            Page::Search { words } if as_json => {
                Some((JSON, search::json(&search::load(reader, words, Reads::Program)?)?))
            }
            Page::Search { words } => html(results::page(&search::load(reader, words, Reads::Person)?)),
        })
    }
}

fn typed(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn text(status: StatusCode, text: String) -> Answer {
    typed(status, "text/plain; charset=utf-8", text.into_bytes())
}

fn failed(error: &anyhow::Error) -> Answer {
    eprintln!("{error:#}");
    let busy = error.is::<store::Busy>();
    let status = if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    text(status, "This page could not be made just now.".to_owned())
}

/// Work that waits for the disk, or computes for long, on a thread that serves nobody.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("a thread of the service panicked")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_by_their_addresses() {
        assert_eq!(Page::at("/", ""), Some(Page::Home));
        assert_eq!(Page::at("/section/lib%20s", "page=3"), Some(Page::Section { name: "lib s".into(), page: 3 }));
        assert_eq!(Page::at("/section/libs", "page=x"), Some(Page::Section { name: "libs".into(), page: 1 }));
        assert_eq!(Page::at("/package/g%2B%2B", ""), Some(Page::Package { name: "g++".into() }));
        assert_eq!(Page::at("/search", "q=a+b%20c"), Some(Page::Search { words: "a b c".into() }));
        assert_eq!(Page::at("/my/reviews", ""), None);
    }
}

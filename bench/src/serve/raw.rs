//! Raw hyper: the same bytes and headers to everyone. What any server over hyper could at best be.

use std::fs;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;

use super::{Answer, serve};
use crate::args::ServeRaw;

#[derive(Debug)]
struct Fixed {
    headers: HeaderMap,
    body: Bytes,
}

pub fn run(args: &ServeRaw) -> Result<()> {
    let body = fs::read(&args.body_file).with_context(|| format!("reading {}", args.body_file.display()))?;
    let fixed = Fixed { headers: parse(&args.headers)?, body: body.into() };
    serve(&args.listen, move |request| fixed.answer(&request))
}

impl Fixed {
    fn answer<B>(&self, request: &Request<B>) -> Answer {
        let unchanged = request.headers().get(IF_NONE_MATCH).is_some_and(|tag| self.headers.get(ETAG) == Some(tag));
        let body = if unchanged { Bytes::new() } else { self.body.clone() };
        let mut response = Response::new(Full::new(body));
        *response.headers_mut() = self.headers.clone();
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    }
}

fn parse(lines: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let (name, value) = line.split_once(':').with_context(|| format!("--header {line:?} has no colon"))?;
        let name: HeaderName = name.trim().parse().with_context(|| format!("--header {line:?}"))?;
        let value: HeaderValue = value.trim().parse().with_context(|| format!("--header {line:?}"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_or_a_304() {
        let headers = parse(&["etag: \"a\"".to_owned(), "x-y: z".to_owned()]).unwrap();
        let fixed = Fixed { headers, body: Bytes::from_static(b"body") };
        let answer = fixed.answer(&Request::new(()));
        assert_eq!((answer.status(), answer.headers()["x-y"].as_bytes()), (StatusCode::OK, &b"z"[..]));
        let request = Request::builder().header(IF_NONE_MATCH, "\"a\"").body(()).unwrap();
        assert_eq!(fixed.answer(&request).status(), StatusCode::NOT_MODIFIED);
        let request = Request::builder().header(IF_NONE_MATCH, "\"b\"").body(()).unwrap();
        assert_eq!(fixed.answer(&request).status(), StatusCode::OK);
        assert!(parse(&["nonsense".to_owned()]).is_err());
    }
}

//! A refusal, as it is shown: to a person by the app's own page, where it has one; to a program as a problem document.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use nearside_protocol::{limits, wire::RELEASE_HEADER};

use crate::{
    accept::prefers_json,
    bindings::edge::page::IncludeError,
    evidence::Gathering,
    fragment::{Place, Within},
    host::Host,
    refusal::Refusal,
    release::Release,
    render::For,
    reply::CACHE_STATUS,
    senses::Taint,
    static_files::STATIC,
    target::{Target, decoded_below},
    trace::trace_id,
};

/// Why the app's page is not shown.
#[derive(Debug, thiserror::Error)]
enum NoPage {
    #[error("there is no such file")]
    NoFile,
    #[error("it is longer than {} bytes", limits::ERROR_PAGE_BYTES)]
    TooLong,
    #[error("its route cannot be rendered: {0}")]
    Render(String),
    #[error("its route answers with status {0}")]
    Status(u16),
}

/// The answer to a request of an app: the refusal's status and headers, and the app's body if that is at hand.
pub(crate) async fn response(
    host: &Arc<Host>,
    release: &Arc<Release>,
    refusal: &Refusal,
    request: &HeaderMap,
) -> Response<Bytes> {
    let response = plain(release, refusal, request);
    let Some(path) = page_of(release, refusal, request) else { return response };
    let status = response.status();
    match page(host, release, path, status).await {
        Ok((headers, body)) => {
            let (mut parts, _) = response.into_parts();
            parts.headers.remove(header::CONTENT_TYPE);
            let mut all = headers;
            all.extend(parts.headers.drain());
            parts.headers = all;
            Response::from_parts(parts, body)
        }
        Err(why) => {
            let app = &release.code.app.name;
            tracing::warn!(%app, page = path, cause = %why, "an error page is not shown");
            response
        }
    }
}

/// The same without the app's body.
pub(crate) fn plain(release: &Release, refusal: &Refusal, request: &HeaderMap) -> Response<Bytes> {
    let mut response = refusal.response(request);
    response.headers_mut().insert(RELEASE_HEADER, release.header.clone());
    response
}

/// Where the app has its own page for this, and for who asks.
pub(crate) fn page_of<'a>(release: &'a Release, refusal: &Refusal, request: &HeaderMap) -> Option<&'a str> {
    let path = release.code.app.error_pages.page(refusal.status().as_u16())?;
    // That nothing can be rendered now is not told by rendering.
    let is_at_hand = !matches!(refusal, Refusal::Shed(_)) || target_of_static(path).is_some();
    (is_at_hand && !prefers_json(request)).then_some(path)
}

async fn page(
    host: &Arc<Host>,
    release: &Arc<Release>,
    path: &str,
    status: StatusCode,
) -> Result<(HeaderMap, Bytes), NoPage> {
    let (mut headers, body) = match target_of_static(path) {
        Some(name) => {
            let found = release.code.static_files().find(&name).ok_or(NoPage::NoFile)?;
            let form = found.file.plain();
            (form.headers.clone(), form.body.clone())
        }
        None => rendered(host, release, path, status).await?,
    };
    if body.len() > limits::ERROR_PAGE_BYTES {
        return Err(NoPage::TooLong);
    }
    // What is said of the page itself, at its own address, does not hold for this answer.
    for name in [
        header::ACCEPT_RANGES,
        header::AGE,
        header::CACHE_CONTROL,
        header::CONTENT_LENGTH,
        header::ETAG,
        header::LOCATION,
        header::SET_COOKIE,
        header::VARY,
        CACHE_STATUS,
    ] {
        headers.remove(name);
    }
    Ok((headers, body))
}

fn target_of_static(path: &str) -> Option<String> {
    decoded_below(&Target::parse(path, None).ok()?.path, STATIC)
}

/// A page of the app, rendered for nobody in particular.
async fn rendered(
    host: &Arc<Host>,
    release: &Arc<Release>,
    path: &str,
    status: StatusCode,
) -> Result<(HeaderMap, Bytes), NoPage> {
    let entry = {
        let (taint, evidence, trace) = (Taint::default(), Gathering::default(), trace_id(&HeaderMap::new()));
        let within = Within { whom: For::Visitor, taint: &taint, evidence: &evidence, trace: &trace, traced: None };
        host.fragment_entry(release, path, 0, within, Place::ItsOwn).await
    };
    let entry = entry.map_err(|error| match error {
        IncludeError::Refused(why) => NoPage::Render(why),
        IncludeError::Status(status) => NoPage::Status(status),
    })?;
    // A page that says by itself what it is for is right, too.
    if entry.whole.status != StatusCode::OK && entry.whole.status != status {
        return Err(NoPage::Status(entry.whole.status.as_u16()));
    }
    Ok((entry.whole.headers.clone(), entry.whole.body.clone()))
}

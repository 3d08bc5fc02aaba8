//! A refusal, as it is shown: to a person by the app's own page, where it has one; to a program as a problem document.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use nearside_protocol::wire::RELEASE_HEADER;

use crate::{
    accept::prefers_json,
    bindings::edge::page::IncludeError,
    error_files::{ErrorBody, NoBody, name_of},
    evidence::Gathering,
    fragment::{Place, Within},
    host::Host,
    refusal::Refusal,
    release::Release,
    render::For,
    senses::Taint,
    shed::Shed,
    trace::trace_id,
};

/// The answer to a request of an app: the refusal's status and headers, and the app's body if that is at hand.
pub(crate) async fn response(
    host: &Arc<Host>,
    release: &Arc<Release>,
    refusal: &Refusal,
    request: &HeaderMap,
) -> Response<Bytes> {
    if let Refusal::Shed(shed) = refusal {
        return at_hand(release, *shed, request);
    }
    let response = plain(release, refusal, request);
    let Some(path) = page_of(release, response.status(), request) else { return response };
    if name_of(path).is_some() {
        return showing(release.code.error_files().get(path), response);
    }
    match rendered(host, release, path, response.status()).await {
        Ok(body) => showing(Some(&body), response),
        Err(why) => {
            let app = &release.code.app.name;
            tracing::warn!(%app, page = path, cause = %why, "an error page is not shown");
            response
        }
    }
}

/// The same where there is no place to make a page. That nothing can be rendered now is not told by rendering.
pub(crate) fn at_hand(release: &Release, shed: Shed, request: &HeaderMap) -> Response<Bytes> {
    let response = plain(release, &Refusal::Shed(shed), request);
    let page = page_of(release, response.status(), request);
    showing(page.and_then(|path| release.code.error_files().get(path)), response)
}

/// Without the app's body.
fn plain(release: &Release, refusal: &Refusal, request: &HeaderMap) -> Response<Bytes> {
    let mut response = refusal.response(request);
    response.headers_mut().insert(RELEASE_HEADER, release.header.clone());
    response
}

/// Where the app has its own page for this, and for who asks.
fn page_of<'a>(release: &'a Release, status: StatusCode, request: &HeaderMap) -> Option<&'a str> {
    let path = release.code.app.error_pages.page(status.as_u16())?;
    (!prefers_json(request)).then_some(path)
}

fn showing(body: Option<&ErrorBody>, response: Response<Bytes>) -> Response<Bytes> {
    let Some(ErrorBody { headers, body }) = body else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_TYPE);
    let mut all = headers.clone();
    all.extend(parts.headers.drain());
    parts.headers = all;
    Response::from_parts(parts, body.clone())
}

/// A page of the app, rendered for nobody in particular.
async fn rendered(
    host: &Arc<Host>,
    release: &Arc<Release>,
    path: &str,
    status: StatusCode,
) -> Result<ErrorBody, NoBody> {
    let entry = {
        let (taint, evidence, trace) = (Taint::default(), Gathering::default(), trace_id(&HeaderMap::new()));
        let within = Within { whom: For::Visitor, taint: &taint, evidence: &evidence, trace: &trace, traced: None };
        host.fragment_entry(release, path, 0, within, Place::ItsOwn).await
    };
    let entry = entry.map_err(|error| match error {
        IncludeError::Refused(why) => NoBody::Render(why),
        IncludeError::Status(status) => NoBody::Status(status),
    })?;
    // A page that says by itself what it is for is right, too.
    if entry.whole.status != StatusCode::OK && entry.whole.status != status {
        return Err(NoBody::Status(entry.whole.status.as_u16()));
    }
    ErrorBody::of(entry.whole.headers.clone(), entry.whole.body.clone())
}

//! The origin's HTTP interface, as the table in [`nearside_protocol::wire`] has it.

mod asked;
mod how;
pub(crate) mod queries;
pub(crate) mod releases;
mod tasks;
mod tokens;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use nearside_host::{file_pieces::FilePieces, spans::Traced};
use nearside_protocol::{
    action::{Actions, By, OPERATOR_HEADER},
    canary::{Halted, Promoted},
    digest::Digest,
    heads::{HeadsAsked, Newest},
    heartbeat::{Heartbeat, Siblings},
    limits,
    voucher::AppVoucher,
    wire::{IDEMPOTENCY_KEY_HEADER, Rollback, VOUCHER_HEADER},
    write::{Delivered, Delivery, Enqueued, IdempotencyKey, Outcome, Unsure},
};

use asked::Asked;

use crate::{
    actions::Operator,
    api_error::ApiError,
    api_span,
    body::{self, Body, IncomingFile},
    operate::Work,
    origin::Origin,
    page, render,
    site::{Running, Site},
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const SQLITE: &str = "application/vnd.sqlite3";

/// Who is at the other end of a request's connection.
#[derive(Clone, Copy)]
pub(crate) struct Client(pub(crate) SocketAddr);

pub(crate) async fn answer(origin: &Arc<Origin>, mut request: Request<Incoming>) -> Response<Body> {
    if page::is_at(request.uri().path()) {
        return page::answer(origin, request).await;
    }
    if request.uri().path() == "/livez" {
        return answered(TEXT, "alive\n");
    }
    let span = api_span::begin(origin, &mut request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match respond(origin, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::info!(%method, path, ?error, "refused");
            error.into_response()
        }
    };
    if let Some(mut span) = span {
        span.answered(response.status());
    }
    response
}

async fn respond(origin: &Arc<Origin>, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let asked = Asked::of(request.method(), request.uri().path());
    // Who is not known is told nothing else.
    let holder = origin.tokens.holder(shown(request.headers())).map_err(|why| {
        origin.tokens.count(why);
        ApiError::unauthorized(why, asked.as_ref().ok().map(Asked::duty))
    })?;
    let asked = asked?;
    let (head, body) = request.into_parts();
    let operator = operator(&head).holding(&holder);
    let work = Work { origin, operator: &operator };
    if !holder.role.may(asked.duty()) {
        return Err(work.refused(&holder, asked.duty(), asked.deed()).await);
    }
    match asked {
        Asked::Key => Ok(answered(TEXT, origin.key().to_string())),
        Asked::Heads => heads(origin, body).await,
        Asked::Status => Ok(json(&origin.status().await)),
        Asked::Heartbeat => heartbeat(origin, body).await,
        Asked::Fleet => Ok(json(&origin.fleet())),
        Asked::Actions => actions(origin, head.uri.query().unwrap_or_default()).await,
        Asked::Metrics => Ok(answered(TEXT, crate::metrics::text(&origin.status().await, &origin.tokens.list()))),
        Asked::Tokens => Ok(tokens::list(&work)),
        Asked::AddToken => tokens::add(&work, body).await,
        Asked::RemoveToken(id) => Ok(json(&work.remove_token(id).await?)),
        Asked::Logs => logs(origin, head.uri.query()),
        Asked::Releases(app) => Ok(json(&releases::list(&*site(origin, &app)?))),
        Asked::Release(app, id) => releases::manifest(&*site(origin, &app)?, id).await,
        Asked::Object(app, name) => releases::object(&*site(origin, &app)?, name, &head.headers).await,
        Asked::Pages(app, root) => releases::pages(&*site(origin, &app)?, root, head.uri.query()).await,
        Asked::Snapshot(app, root) => releases::snapshot(&*site(origin, &app)?, root),
        Asked::Diff(app, from, to) => releases::difference(&*site(origin, &app)?, from, to).await,
        Asked::Rollback(app) => {
            let body = body::whole(body, limits::HEADS_BYTES).await?;
            let Rollback { release, replace } = match body.is_empty() {
                true => Rollback::default(),
                false => serde_json::from_slice(&body).map_err(|error| {
                    ApiError::bad_request(format!("the body is {{\"release\": \"1.4\"}}, or empty; {error}"))
                })?,
            };
            let site = site(origin, &app)?;
            if replace {
                work.make_way(&site).await?;
            }
            Ok(json(&work.rollback(&site, release).await?))
        }
        Asked::Resume(app) => Ok(json(&work.resume(&*site(origin, &app)?).await?)),
        Asked::Canary(app) => {
            let canary = site(origin, &app)?.canary();
            canary.map(|canary| json(&canary)).ok_or_else(|| ApiError::not_found(format!("`{app}` has had no canary")))
        }
        Asked::Promote(app) => Ok(json(&work.promote(&*site(origin, &app)?, Promoted::ByHand, None).await?)),
        Asked::Halt(app) => Ok(json(&work.halt(&*site(origin, &app)?, Halted::ByHand, None).await?)),
        Asked::Secrets(app, digest) => {
            let site = site(origin, &app)?;
            file(&site.objects.secrets_path(&digest), JSON, || format!("`{app}` has no secrets {digest}")).await
        }
        Asked::Blob(app, digest) => {
            let site = site(origin, &app)?;
            file(&site.blobs.path(&digest), BYTES, || format!("`{app}` has no blob {digest}")).await
        }
        Asked::PutBlob(app, digest) => put_blob(origin, &app, digest, body).await,
        Asked::PushArchive(app) => push_archive(&work, &app, &head, body).await,
        Asked::PushData(app) => push_data(&work, &app, &head.uri, body).await,
        Asked::Command(app, command) => self::command(origin, &app, &command, &head, body).await,
        Asked::Deferred(app) => deferred(origin, &app, body).await,
        Asked::Unsure(app) => unsure(origin, &app, body).await,
        Asked::Task(app, task) => self::task(origin, &app, &task, &head, body).await,
        Asked::Tasks(app) => self::tasks::list(&*site(origin, &app)?, head.uri.query().unwrap_or_default()).await,
        Asked::TaskShown(app, id) => self::tasks::show(&*site(origin, &app)?, id).await,
        Asked::Steer(app, order) => Ok(json(&work.steer(&app, order).await?)),
        Asked::Queries(app) => queries::list(&site(origin, &app)?, head.uri.query()).await,
        Asked::Counted(app) => queries::take(&*site(origin, &app)?, body).await,
        Asked::Advise(app) => {
            let (site, wanted) = (site(origin, &app)?, queries::wanted(body).await?);
            Ok(json(&work.advise(&site, wanted).await?))
        }
        Asked::Audit(app) => {
            let site = site(origin, &app)?;
            // It goes on, and is noted, though whoever asked goes away.
            let audit = tokio::spawn(async move { site.audit().await }).await;
            audit.ok().flatten().map(|audited| json(&audited)).ok_or_else(|| not_running(&app))
        }
        Asked::Watermark(app) => {
            let mark = site(origin, &app)?
                .watermark()
                .await
                .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            mark.map(|mark| json(&mark)).ok_or_else(|| not_running(&app))
        }
        Asked::Render(app) => {
            let target = target_in(head.uri.query().unwrap_or_default())
                .ok_or_else(|| ApiError::bad_request("render needs ?target=/path, percent-encoded"))?;
            render::render(&site(origin, &app)?, &target, &head.headers, Traced::of_request(&head)).await
        }
    }
}

/// Who asks, by what they say of themselves.
fn operator(head: &Parts) -> Operator {
    let said = head.headers.get(OPERATOR_HEADER).and_then(|value| value.to_str().ok());
    let from = head.extensions.get::<Client>().map(|Client(address)| address.ip().to_string());
    Operator::named(said, from, By::Program)
}

/// The token that whoever asks shows.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) fn site(origin: &Origin, app: &str) -> Result<Arc<Site>, ApiError> {
    origin.site(app).ok_or_else(|| ApiError::not_found(format!("no app `{app}` here: push it first")))
}

pub(crate) fn running(origin: &Origin, app: &str) -> Result<Arc<Running>, ApiError> {
    site(origin, app)?.running().ok_or_else(|| not_running(app))
}

fn not_running(app: &str) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, format!("`{app}` is not running: see the origin's status"))
}

/// Answers as soon as the origin's releases are not those the node has; or after a while, or at the origin's end.
async fn heads(origin: &Origin, body: Incoming) -> Result<Response<Body>, ApiError> {
    let body = body::whole(body, limits::HEADS_BYTES).await?;
    let HeadsAsked { nonce, have, node, candidates } = serde_json::from_slice(&body).map_err(|error| {
        ApiError::bad_request(format!("the body is {{\"nonce\": 32 digits, \"have\": {{app: release}}}}; {error}"))
    })?;
    let (node, known) = (node.as_deref(), Newest { heads: have, candidates });
    let mut ours = origin.outs();
    let mut stopping = origin.stopping();
    tokio::select! {
        _ = ours.wait_for(|ours| ours.for_node(node) != known) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = tokio::time::sleep(limits::LONG_POLL) => {}
    }
    let newest = ours.borrow().for_node(node);
    Ok(json(&origin.sign_heads(nonce, &newest)))
}

fn logs(origin: &Origin, query: Option<&str>) -> Result<Response<Body>, ApiError> {
    match origin.logs.answer(query, origin.stopping()) {
        Ok(response) => Ok(response.map(|body| body.map_err(std::io::Error::other).boxed_unsync())),
        Err(error) => Err(ApiError::new(error.status(), error.to_string())),
    }
}

/// A node tells how it is.
async fn heartbeat(origin: &Origin, body: Incoming) -> Result<Response<Body>, ApiError> {
    let body = body::whole(body, limits::HEARTBEAT_BYTES).await?;
    let beat: Heartbeat = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is how a node is; {error}")))?;
    let siblings = origin.nodes.take(beat, Instant::now());
    let siblings = siblings.map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(json(&Siblings { secret: Some(origin.tokens.sibling_secret()), ..siblings }))
}

/// `?limit=…`
async fn actions(origin: &Origin, query: &str) -> Result<Response<Body>, ApiError> {
    let limit = match query.strip_prefix("limit=") {
        Some(number) => number.parse().map_err(|_| ApiError::bad_request("limit: a number expected"))?,
        None if query.is_empty() => limits::ACTIONS_SHOWN_UNASKED,
        None => return Err(ApiError::bad_request("actions takes ?limit= and nothing else")),
    };
    Ok(json(&Actions { actions: origin.newest_actions(limit).await? }))
}

async fn push_archive(work: &Work<'_>, app: &str, head: &Parts, body: Incoming) -> Result<Response<Body>, ApiError> {
    let _place = work.origin.pushes.acquire().await;
    let packed = body::whole(body, limits::APP_ARCHIVE_BYTES).await?;
    let voucher = head.headers.get(VOUCHER_HEADER).map(|value| {
        let text = value.to_str().unwrap_or_default();
        AppVoucher::from_header(text, app, &Digest::of(&packed))
            .map_err(|error| ApiError::bad_request(error.to_string()))
    });
    let how = how::how(work, app, &head.uri).await?;
    Ok(json(&work.push_app(app, packed, voucher.transpose()?, how).await?))
}

async fn push_data(work: &Work<'_>, app: &str, uri: &Uri, body: Incoming) -> Result<Response<Body>, ApiError> {
    let origin = work.origin;
    let site = site(origin, app)?;
    let _place = origin.pushes.acquire().await;
    let path = site.incoming(origin.next_incoming());
    let file = IncomingFile::receive(body, limits::DATABASE_BYTES, path).await?;
    let how = how::how(work, app, uri).await?;
    Ok(json(&work.push_data(&site, file.path(), how).await?))
}

async fn put_blob(origin: &Origin, app: &str, digest: Digest, body: Incoming) -> Result<Response<Body>, ApiError> {
    let site = site(origin, app)?;
    let _place = origin.blob_puts.acquire().await;
    let content = body::whole(body, limits::BLOB_BYTES).await?;
    let stored = tokio::task::spawn_blocking(move || site.blobs.put(&digest, &content)).await;
    stored.map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the origin is stopping"))??;
    let mut stored = Response::new(body::full(""));
    *stored.status_mut() = StatusCode::NO_CONTENT;
    Ok(stored)
}

async fn command(
    origin: &Origin,
    app: &str,
    command: &str,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, ApiError> {
    let running = running(origin, app)?;
    let key = key_in(&head.headers)?;
    let payload = payload(body).await?;
    let outcome: Outcome = running.writer.submit_traced(command, &payload, &key, Traced::of_request(head)).await;
    Ok(json(&outcome))
}

async fn deferred(origin: &Origin, app: &str, body: Incoming) -> Result<Response<Body>, ApiError> {
    let running = running(origin, app)?;
    // Escapes of JSON within JSON may double a payload's length.
    let body = body::whole(body, limits::DELIVERY_BYTES * 2).await?;
    let delivery: Delivery = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is a delivery of deferred commands; {error}")))?;
    if delivery.writes.len() > limits::DELIVERY_WRITES {
        let (came, most) = (delivery.writes.len(), limits::DELIVERY_WRITES);
        return Err(ApiError::bad_request(format!("{came} commands in one delivery; at most {most} are taken")));
    }
    Ok(json(&Delivered { taken: running.writer.deliver(delivery, origin.tracer()).await }))
}

async fn unsure(origin: &Origin, app: &str, body: Incoming) -> Result<Response<Body>, ApiError> {
    let running = running(origin, app)?;
    let body = body::whole(body, limits::COMMAND_PAYLOAD_BYTES * 2 + limits::HEADS_BYTES).await?;
    let unsure: Unsure = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is a command that was not answered; {error}")))?;
    Ok(json(&running.writer.find_out(unsure, origin.tracer()).await))
}

async fn task(
    origin: &Origin,
    app: &str,
    task: &str,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, ApiError> {
    let running = running(origin, app)?;
    let key = key_in(&head.headers)?;
    let payload = payload(body).await?;
    let queued = running.writer.enqueue_traced(task, &payload, &key, Traced::of_request(head)).await?;
    Ok(json(&Enqueued::from(queued)))
}

fn key_in(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let value = headers.get(IDEMPOTENCY_KEY_HEADER).ok_or_else(|| {
        ApiError::bad_request("a write needs an Idempotency-Key header, so that it can be sent again")
    })?;
    let text = value.to_str().unwrap_or_default().to_owned();
    IdempotencyKey::try_from(text).map_err(|error| ApiError::bad_request(error.to_string()))
}

async fn payload(body: Incoming) -> Result<String, ApiError> {
    let bytes = body::whole(body, limits::COMMAND_PAYLOAD_BYTES).await?;
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("the payload is not UTF-8 text"))
}

/// The value of `target` in a query, decoded.
fn target_in(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("target="))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|target| target.starts_with('/') && target.len() <= limits::REQUEST_TARGET_BYTES)
}

async fn file(
    path: &std::path::Path,
    content_type: &'static str,
    missing: impl FnOnce() -> String,
) -> Result<Response<Body>, ApiError> {
    match FilePieces::open(path).await {
        Ok(Some(body)) => Ok(with_type(content_type, body.boxed_unsync())),
        Ok(None) => Err(ApiError::not_found(missing())),
        Err(error) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{}: {error}", path.display()))),
    }
}

fn json(value: &impl serde::Serialize) -> Response<Body> {
    answered(JSON, serde_json::to_vec(value).expect("BUG: what is answered is plain data"))
}

fn answered(content_type: &'static str, bytes: impl Into<bytes::Bytes>) -> Response<Body> {
    with_type(content_type, body::full(bytes))
}

fn with_type(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;

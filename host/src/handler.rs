//! The life of a request. Reads top to bottom: app, release, way; then a file, a write, or a read through the cache.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method as HttpMethod, Request, header, request::Parts};
use hyper::body::Incoming;
use nearside_protocol::{
    class::Class,
    cors::Cors,
    limits,
    route::{Inputs, Method},
    wire::{BEHIND_AT_MOST_HEADER, IDEMPOTENCY_KEY_HEADER, RELEASE_HEADER},
    write::IdempotencyKey,
};

use crate::{
    blobs::{self, BlobName},
    cache::{Because, By, Entry, Joined, Landing, Look, Right},
    cache_status::CacheStatus,
    conditional::Sends,
    cors,
    encoding::Wishes,
    error_page, forms,
    freshness::{self, Fresh, Makers},
    hand_over::{self, Instead, Wanted},
    host::Host,
    inputs::{Key, Seen, everything},
    leading::{Somewhere, led_somewhere},
    making::{Asking, Led, Made, make, refresh},
    outbox::{self, Ticket},
    pause,
    policy::NotStored,
    refusal::Refusal,
    release::Release,
    render::RenderedBody,
    reply::{self, Reply},
    reply_body::ReplyBody,
    request_body,
    served::Served,
    shed::Shed,
    spans::Traced,
    stale::{self, Before},
    target::Target,
    trace::trace_id,
    upstream::Visitor,
    way::{Way, allowing, canonical_host, find, host_name, is_cross_site, options},
};

const BEHIND_AT_MOST: HeaderName = HeaderName::from_static(BEHIND_AT_MOST_HEADER);

/// Answers one request. There is an answer to everything.
///
/// This future is moved about, and one is made for each request, so what takes longer than a hit has a box of its own.
pub async fn answer(host: &Arc<Host>, request: Request<Incoming>, client: IpAddr) -> Reply {
    let (parts, body) = request.into_parts();
    let (served, release) = match site(host, &parts) {
        Ok(found) => found,
        Err(refusal) => return refuse(host, &refusal, refusal.response(&parts.headers), &parts),
    };
    let way = Way::of(&release, &parts);
    let cors = match &way {
        Ok(Way::Route { route, .. }) => release.code.app.routes[*route].cors.as_ref(),
        _ => None,
    };
    let is_page = matches!(way, Ok(Way::Route { .. }));
    let began = Instant::now();
    let answered = match way {
        Ok(way) => respond(host, &served, release.clone(), way, &parts, body, client).await,
        Err(refusal) => Err(refusal),
    };
    let reply = match answered {
        Ok(reply) => reply,
        Err(refusal) => {
            let response = Box::pin(error_page::response(host, &release, &refusal, &parts.headers)).await;
            refuse(host, &refusal, response, &parts)
        }
    };
    if is_page {
        release.counts.count_answer(reply.status(), began.elapsed());
    }
    finished(reply, &served, cors, &parts)
}

/// What an answer says whatever it is.
pub(crate) fn finished(mut reply: Reply, served: &Served, cors: Option<&Cors>, parts: &Parts) -> Reply {
    if let Some(cors) = cors {
        cors::grant(&mut reply, cors, &parts.headers);
    }
    if let Some(behind) = served.behind_header() {
        reply.headers_mut().insert(BEHIND_AT_MOST, behind);
    }
    reply
}

fn site(host: &Host, parts: &Parts) -> Result<(Arc<Served>, Arc<Release>), Refusal> {
    let served = host_name(parts).and_then(|name| host.by_host(&name)).ok_or(Refusal::UnknownHost)?;
    let release = served.current().ok_or(Refusal::NothingToServe)?;
    Ok((served, release))
}

pub(crate) fn refuse(host: &Host, refusal: &Refusal, mut response: http::Response<Bytes>, parts: &Parts) -> Reply {
    host.counters.count_refused();
    if matches!(refusal, Refusal::Shed(_)) {
        pause::refuses();
    }
    let length = response.body().len();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response.map(|body| if parts.method == HttpMethod::HEAD { ReplyBody::empty() } else { body.into() })
}

async fn respond(
    host: &Arc<Host>,
    served: &Served,
    mut release: Arc<Release>,
    way: Way<'_>,
    parts: &Parts,
    body: Incoming,
    client: IpAddr,
) -> Result<Reply, Refusal> {
    let (mut route, method, target) = match way {
        Way::Static(path) => return static_file(host, &release, &path, parts),
        Way::Blob(name) => return Box::pin(blob(host, served, &name, parts)).await,
        Way::Written(ticket) => return written(host, served, ticket, parts).await,
        Way::Moved(status, location) => {
            host.counters.count_redirect();
            return Ok(reply::moved(status, location, &release));
        }
        Way::Options(target) => return options(&release, &target, parts),
        Way::Route { route, method, target } => (route, method, target),
    };
    release.counts.count_request();
    if !method.is_safe() {
        return Box::pin(write(host, release, route, target, parts, body, client)).await;
    }

    let (mut behind, mut waited) = (None, None);
    if let Some(receipt) = freshness::receipt_of(&parts.headers) {
        let makers = match release.code.app.routes[route].inputs {
            Inputs::Declared(_) => Makers::NodeAndOrigin,
            Inputs::All => Makers::NodeAlone,
        };
        let visitor = Visitor { headers: parts.headers.clone(), client, traced: Traced::of_request(parts) };
        let settled = freshness::settle(host, served, release, &receipt, &target, &parts.method, &visitor, makers);
        match Box::pin(settled).await {
            Fresh::Release(fresh) => release = fresh,
            Fresh::Waited(fresh, took) => (release, waited) = (fresh, Some(took)),
            Fresh::Behind(there_is, why) => (release, behind) = (there_is, Some(why)),
            Fresh::Origin(reply) => {
                host.counters.count(CacheStatus::FromOrigin);
                return Ok(*reply);
            }
        }
        // Of the release it was settled on.
        route = find(&release, &target, method)?;
    }
    let mut reply = read(host, served, release, route, target, parts, client).await?;
    if let Some(why) = behind {
        reply::mark_behind(&mut reply, why);
    }
    if let Some(took) = waited {
        reply::mark_waited(&mut reply, took);
    }
    Ok(reply)
}

// --- Reads ----------------------------------------------------------------------------------------------------------

async fn read(
    host: &Arc<Host>,
    served: &Served,
    release: Arc<Release>,
    route: usize,
    target: Target,
    parts: &Parts,
    client: IpAddr,
) -> Result<Reply, Refusal> {
    let inputs = &release.code.app.routes[route].inputs;
    let Inputs::Declared(declared) = inputs else {
        let request =
            everything(canonical_host(&release), &target, &parts.method, &parts.headers, client, Bytes::new());
        let (trace, traced) = (trace_id(&parts.headers), Traced::of_request(parts));
        let ask = Asking { release, route, request, request_key: None, trace, traced };
        return Box::pin(alone(host, ask, None, None, parts, client)).await;
    };
    let seen = Seen::new(declared, target, &parts.headers, Some(client));
    let key = seen.key(&served.name);
    match host.cache.look(&key, &release) {
        Look::Hit(entry, right) => send_again(host, &key, &entry, &release, CacheStatus::Hit(right), parts),
        missed => Box::pin(fill(host, release, route, seen, key, missed, parts, client)).await,
    }
}

/// Waits for the render in flight, or leads it.
#[allow(clippy::too_many_arguments)]
async fn fill(
    host: &Arc<Host>,
    release: Arc<Release>,
    route: usize,
    seen: Seen,
    key: Key,
    looked: Look,
    parts: &Parts,
    client: IpAddr,
) -> Result<Reply, Refusal> {
    let before = match looked {
        Look::Hit(entry, right) => return send_again(host, &key, &entry, &release, CacheStatus::Hit(right), parts),
        Look::Unstorable(why) => {
            let is_whole = !matches!(why, NotStored::TooLarge | NotStored::EventStream);
            let asking = Asking::of(release, route, &seen, parts);
            return alone(host, asking, Some(key), is_whole.then_some(&seen), parts, client).await;
        }
        Look::InDoubt(entry) => Before::InDoubt(entry),
        Look::Wrong(entry, cause) => Before::Wrong(entry, cause),
        Look::Miss => Before::Nothing,
    };
    let stale = stale::may_be_shown(&before, &release, route, &parts.headers);
    let mut joined = host.cache.join(&key, &release);
    let mut is_second = false;
    loop {
        let mut waiter = match joined {
            Joined::Landed(entry, right) => {
                return send_again(host, &key, &entry, &release, CacheStatus::Hit(right), parts);
            }
            Joined::Leads(lead) => {
                if let Some((entry, since)) = stale {
                    refresh(host, lead, Asking::of(release.clone(), route, &seen, parts), before);
                    return send_stale(host, &key, &entry, &release, since, parts);
                }
                return match led_somewhere(host, lead, &release, route, seen, before, parts, client).await? {
                    Somewhere::Here(Led::Confirmed(entry)) => {
                        send_again(host, &key, &entry, &release, CacheStatus::Hit(Right::SameRows), parts)
                    }
                    Somewhere::Here(Led::Made(made)) => finish(host, *made, parts),
                    Somewhere::AtASibling(instead) => send_instead(host, instead, &release, parts),
                };
            }
            Joined::Waits(_) | Joined::Full if stale.is_some() => {
                let (entry, since) = stale.expect("BUG: it was looked at");
                return send_stale(host, &key, &entry, &release, since, parts);
            }
            Joined::Waits(waiter) => waiter,
            Joined::Full => return Err(Refusal::Busy),
        };
        // The leader has a deadline of its own; this bound only keeps a lost leader from holding anyone.
        let patience = Duration::from_millis(release.code.app.routes[route].deadline_ms) * 2 + limits::STREAM_IDLE;
        let landing = tokio::time::timeout(patience, waiter.landed.wait_for(Option::is_some)).await;
        let landing = landing.ok().and_then(Result::ok).and_then(|landing| landing.clone());
        let refusal = match landing {
            Some(Landing::Entry(entry)) => {
                let status = match entry.by {
                    By::SameRows => CacheStatus::Hit(Right::SameRows),
                    _ => CacheStatus::Collapsed(entry.because.cause),
                };
                return send_again(host, &key, &entry, &release, status, parts);
            }
            Some(Landing::Newer(entry)) => {
                let status = CacheStatus::Collapsed(entry.because.cause);
                return send_from_elsewhere(host, &entry, &release, status, parts, None);
            }
            Some(Landing::Unstorable) => {
                let asking = Asking::of(release, route, &seen, parts);
                return alone(host, asking, Some(key), Some(&seen), parts, client).await;
            }
            // Who led has hung up, or nobody waited for it; whoever waits now has a place in the queue of their own.
            Some(Landing::Left)
            | Some(Landing::Failed(Refusal::Shed(Shed::Delay(Class::Refresh) | Shed::Full(Class::Refresh)))) => {
                joined = host.cache.join_again(&waiter, &key, &release);
                continue;
            }
            Some(Landing::Failed(refusal)) => refusal,
            None => Refusal::Handler { trace: trace_id(&parts.headers) },
        };
        if is_second || !matches!(refusal, Refusal::Handler { .. } | Refusal::Deadline { .. }) {
            return Err(refusal);
        }
        // One of those who waited tries once more, for all of them.
        is_second = true;
        joined = host.cache.join_again(&waiter, &key, &release);
    }
}

/// Renders for this visitor alone. A response that turns out storable, where the last one was not, is kept under `key`; without
/// one, it streams. A sibling may be shown what was seen.
async fn alone(
    host: &Arc<Host>,
    asking: Asking,
    key: Option<Key>,
    seen: Option<&Seen>,
    parts: &Parts,
    client: IpAddr,
) -> Result<Reply, Refusal> {
    let (release, route) = (asking.release.clone(), asking.route);
    let trace = asking.trace.clone();
    let rendered = match make(host, asking, key.is_none(), client).await {
        Ok(rendered) => rendered,
        Err(refusal) => {
            let (Some(key), Some(seen), Refusal::Shed(Shed::Delay(_) | Shed::Full(_))) = (key, seen, &refusal) else {
                return Err(refusal);
            };
            let traced = Traced::of_request(parts);
            let wanted = Wanted { release: release.clone(), route, seen: seen.clone(), trace, traced };
            let instead = hand_over::for_one(host, &wanted, key, refusal).await?;
            return send_instead(host, instead, &release, parts);
        }
    };
    let mut made = Made::of(rendered, release, route, Because::default());
    if let (Some(key), Some(entry), Ok(_)) = (key, &made.entry, made.verdict) {
        host.cache.forget_unstorable(&key);
        if let Err(why) = host.cache.store(key, entry.clone()) {
            made.status = CacheStatus::NotStored(why);
        }
    }
    finish(host, made, parts)
}

fn finish(host: &Host, made: Made, parts: &Parts) -> Result<Reply, Refusal> {
    let timing = made.rendered.cost.server_timing(made.rendered.took);
    if let Some(entry) = &made.entry {
        host.counters.count(made.status);
        let wishes = Wishes::of(&parts.headers);
        return reply::from_entry(entry, &made.release, parts, wishes, made.status, Some(timing));
    }
    host.counters.count(made.status);
    let route = &made.release.code.app.routes[made.route];
    let headers = reply::headers_of(&made.rendered.headers, route, made.release.manifest.release);
    match made.rendered.body {
        RenderedBody::Streams(stream) => {
            Ok(reply::from_stream(headers, made.rendered.status, stream, &parts.method, made.status, timing))
        }
        RenderedBody::Whole(_) => unreachable!("BUG: a whole response has an entry"),
    }
}

/// Sends what is not sent for the first time: that much is known of it, so that it is worth compressing.
pub(crate) fn send_again(
    host: &Arc<Host>,
    key: &Key,
    entry: &Arc<Entry>,
    release: &Release,
    status: CacheStatus,
    parts: &Parts,
) -> Result<Reply, Refusal> {
    host.counters.count(status);
    let wishes = Wishes::of(&parts.headers);
    let reply = reply::from_entry(entry, release, parts, wishes, status, None)?;
    // Who has it already, or takes a part, would have no use for an encoded form.
    if reply.status() == entry.whole.status {
        forms::make_for(host, key, entry, wishes);
    }
    Ok(reply)
}

/// A page that is not right any more, named after the release it was right for.
fn send_stale(
    host: &Arc<Host>,
    key: &Key,
    entry: &Arc<Entry>,
    release: &Release,
    since: Duration,
    parts: &Parts,
) -> Result<Reply, Refusal> {
    entry.hits.fetch_add(1, Ordering::Relaxed);
    let mut reply = send_again(host, key, entry, release, CacheStatus::Stale(since), parts)?;
    if let Some(made_on) = entry.whole.headers.get(RELEASE_HEADER) {
        reply.headers_mut().insert(RELEASE_HEADER, made_on.clone());
    }
    Ok(reply)
}

/// Sends what a sibling made instead.
fn send_instead(host: &Host, instead: Instead, release: &Release, parts: &Parts) -> Result<Reply, Refusal> {
    let Instead { entry, status, timing } = instead;
    send_from_elsewhere(host, &entry, release, status, parts, Some(timing))
}

/// The same, named after the release it was made on.
fn send_from_elsewhere(
    host: &Host,
    entry: &Entry,
    release: &Release,
    status: CacheStatus,
    parts: &Parts,
    timing: Option<String>,
) -> Result<Reply, Refusal> {
    host.counters.count(status);
    let wishes = Wishes::of(&parts.headers);
    let mut reply = reply::from_entry(entry, release, parts, wishes, status, timing)?;
    if let Some(made_on) = entry.whole.headers.get(RELEASE_HEADER) {
        reply.headers_mut().insert(RELEASE_HEADER, made_on.clone());
    }
    Ok(reply)
}

// --- Writes ---------------------------------------------------------------------------------------------------------

async fn write(
    host: &Arc<Host>,
    release: Arc<Release>,
    route: usize,
    target: Target,
    parts: &Parts,
    body: Incoming,
    client: IpAddr,
) -> Result<Reply, Refusal> {
    let declared = &release.code.app.routes[route];
    let headers = match &declared.cors {
        _ if !is_cross_site(parts, &release) => Cow::Borrowed(&parts.headers),
        Some(cors) if cors::admits(cors, &parts.headers) => Cow::Owned(cors::without_credentials(cors, &parts.headers)),
        _ => return Err(Refusal::CrossSite),
    };
    let request_key = match parts.headers.get(IDEMPOTENCY_KEY_HEADER) {
        None => None,
        Some(value) => {
            let text = value.to_str().map_err(|_| Refusal::BadIdempotencyKey)?.trim_matches('"').to_owned();
            Some(IdempotencyKey::try_from(text).map_err(|_| Refusal::BadIdempotencyKey)?)
        }
    };
    let begin = |key: &IdempotencyKey| host.running_keys.begin(&release.code.app.name, key).ok_or(Refusal::KeyRunning);
    let _running = request_key.as_ref().map(begin).transpose()?;
    let (body_room, body) = request_body::whole(host, declared.body_bytes, parts, body).await?;
    let request = everything(canonical_host(&release), &target, &parts.method, &headers, client, body);
    let (trace, traced) = (trace_id(&parts.headers), Traced::of_request(parts));
    let asking = Asking { release: release.clone(), route, request, request_key, trace, traced };
    let rendered = make(host, asking, false, client).await?;
    drop(body_room);
    host.counters.count(CacheStatus::Method);

    let timing = rendered.cost.server_timing(rendered.took);
    let route = &release.code.app.routes[route];
    let mut headers = reply::headers_of(&rendered.headers, route, release.manifest.release);
    let mut reply = match rendered.body {
        RenderedBody::Streams(stream) => {
            reply::from_stream(headers, rendered.status, stream, &parts.method, CacheStatus::Method, timing)
        }
        RenderedBody::Whole(body) => {
            if !reply::is_bodiless(rendered.status) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            let body = if reply::is_bodiless(rendered.status) { Bytes::new() } else { body };
            let mut reply = Reply::new(ReplyBody::from(body));
            *reply.status_mut() = rendered.status;
            *reply.headers_mut() = headers;
            reply::mark(&mut reply, CacheStatus::Method, Some(timing));
            reply
        }
    };
    if let Some(receipt) = &rendered.receipt {
        reply::add_receipt(&mut reply, receipt);
    }
    if let Some(deferral) = &rendered.deferred {
        reply::add_ticket(&mut reply, deferral, &parts.headers);
    }
    Ok(reply)
}

/// What became of a deferred write.
async fn written(host: &Arc<Host>, served: &Served, ticket: Ticket, parts: &Parts) -> Result<Reply, Refusal> {
    match parts.method {
        HttpMethod::GET | HttpMethod::HEAD => {}
        HttpMethod::OPTIONS => return Ok(allowing(&[Method::Get])),
        _ => return Err(Refusal::Method(vec![Method::Get])),
    }
    let outbox = host.outbox().ok_or(Refusal::NotFound)?.clone();
    let app = served.name.clone();
    let found = tokio::task::spawn_blocking(move || outbox.written(&app, &ticket)).await;
    let written = match found {
        Ok(Ok(written)) => written.ok_or(Refusal::NotFound)?,
        Ok(Err(error)) => {
            tracing::error!(cause = %error, "what became of a deferred write cannot be read");
            return Err(Refusal::Busy);
        }
        Err(_) => return Err(Refusal::Busy),
    };
    let (response, receipt) = outbox::answer(&written, &parts.headers);
    let mut reply = response.map(|body| match parts.method {
        HttpMethod::HEAD => ReplyBody::empty(),
        _ => ReplyBody::from(body),
    });
    if let Some(receipt) = &receipt {
        reply::add_receipt(&mut reply, receipt);
    }
    Ok(reply)
}

// --- Files ------------------------------------------------------------------------------------------------------------

fn static_file(host: &Host, release: &Release, path: &str, parts: &Parts) -> Result<Reply, Refusal> {
    let found = release.code.static_files().find(path).ok_or(Refusal::NotFound)?;
    match parts.method {
        HttpMethod::GET | HttpMethod::HEAD => {
            host.counters.count_static();
            reply::from_static_file(found, release, parts)
        }
        HttpMethod::OPTIONS => Ok(allowing(&[Method::Get])),
        _ => Err(Refusal::Method(vec![Method::Get])),
    }
}

async fn blob(host: &Arc<Host>, served: &Served, name: &str, parts: &Parts) -> Result<Reply, Refusal> {
    let blobs = host.blobs().ok_or(Refusal::NotFound)?;
    let (digest, inert) = blobs::parse(name).ok_or(Refusal::NotFound)?;
    match parts.method {
        HttpMethod::GET | HttpMethod::HEAD => {}
        HttpMethod::OPTIONS => return Ok(allowing(&[Method::Get])),
        _ => return Err(Refusal::Method(vec![Method::Get])),
    }
    let name = BlobName { app: served.name.clone(), digest };
    let blob = blobs.get(&name, host.upstream()).await?;
    host.counters.count_blob();
    let (length, etag) = (blob.bytes, reply::etag_of(&digest));
    let sends = Sends::decide(&parts.method, &parts.headers, &etag, length);
    let body = match sends.bytes(&parts.method, length) {
        nothing if nothing.is_empty() => ReplyBody::empty(),
        bytes => ReplyBody::File(Box::new(blob.part(bytes).await.map_err(|_| Refusal::BlobAway)?)),
    };
    reply::of_file(reply::headers_of_blob(&digest, inert, length), &sends, length, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<'a, F: Future>(_: impl Fn(&'a Arc<Host>, Request<Incoming>, IpAddr) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_a_hit_moves_about_is_small() {
        let bytes = future_bytes(answer);
        println!("{bytes} bytes");
        assert!(bytes < 2_048, "{bytes} bytes");
    }
}

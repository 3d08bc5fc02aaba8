//! Being asked for a render by a node that has no place for it. Whoever holds the secret is believed; nobody else gets so far.
//!
//! Nothing here leads to another node. And nothing here waits for a render in flight: its leader may have handed it to the very
//! node that asks, and both would wait for each other.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use nearside_protocol::{
    class::Class,
    hand_over::{self as wire, Asked, NotTaken, Outcome, Seal, Told},
    limits,
    problem::{self, Problem},
    release::{Manifest, ReleaseId},
    route::{Inputs, Method},
    trace_context,
};

use super::{HandOver, TakenAs, is_for_everybody, page, tally::Kind};
use crate::{
    cache::{Because, Entry, Joined, Look},
    host::Host,
    inputs::{Key, Seen},
    making::{Asking, Led, Made, lead_on, made_in},
    policy::NotStored,
    refusal::Refusal,
    release::Release,
    spans::{Kind as SpanKind, Traced, context_in, within},
    stale::Before,
    target::Target,
    trace::trace_id,
    way::{canonical_host, find},
};

/// Answers a question at the admin address.
pub(crate) async fn answer(host: &Arc<Host>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(hand_over) = host.hand_over() else {
        return refusal(StatusCode::NOT_FOUND, "this node makes no pages for others: it is told not to");
    };
    let context = context_in(request.headers(), trace_context::HEADER);
    let shown = request.headers().get(wire::SEAL_HEADER).and_then(|seal| Seal::parse(seal.to_str().ok()?));
    let body = Limited::new(request.into_body(), limits::HANDED_QUESTION_BYTES).collect();
    let Ok(Ok(body)) = tokio::time::timeout(limits::HANDED_QUESTION_WAIT, body).await else {
        return refusal(StatusCode::BAD_REQUEST, "the question did not come, or is too large");
    };
    let body = body.to_bytes();
    let sealed = shown.and_then(|seal| Some((seal, host.in_fleet.keys.sealed(&body, &seal, Instant::now())?)));
    let Some((seal, key)) = sealed else {
        hand_over.taken.count(TakenAs::Unsealed);
        return refusal(StatusCode::UNAUTHORIZED, "the question is not sealed by a node that the origin knows");
    };
    let Ok((asked, _)) = wire::decode::<Asked>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "the question cannot be read");
    };
    // Whoever holds the secret may say that it is traced.
    let span = host.tracer().continued(context).map(|traced| traced.span(SpanKind::Server, "make for a sibling"));
    let Taken { outcome, body } = take(host, hand_over, asked, within(&span)).await;
    let body = wire::encode(&Told { load: host.renders_load(), outcome }, &body);
    let sealed = key.of_answer(&seal, &body).to_hex();
    let mut response = Response::new(Full::new(body.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(wire::SEAL_HEADER, HeaderValue::from_str(&sealed).expect("BUG: hexadecimal digits"));
    response
}

struct Taken {
    outcome: Outcome,
    body: Bytes,
}

async fn take(host: &Arc<Host>, hand_over: &HandOver, asked: Asked, traced: Option<Traced>) -> Taken {
    let (from, app, trace) = (asked.from.clone(), asked.app.clone(), asked.trace.clone());
    let taken = made(host, asked, traced).await;
    let (how, taken) = match taken {
        Ok((how, taken)) => (how, taken),
        Err(why) => (of(why), Taken { outcome: Outcome::NotTaken(why), body: Bytes::new() }),
    };
    hand_over.taken.count(how);
    tracing::debug!(sibling = %from, %app, %trace, outcome = how.name(), "a sibling asked for a render");
    taken
}

fn of(why: NotTaken) -> TakenAs {
    match why {
        NotTaken::Busy => TakenAs::Busy,
        NotTaken::OtherRelease => TakenAs::OtherRelease,
        NotTaken::NotHere => TakenAs::NotHere,
        NotTaken::Streams => TakenAs::Streams,
    }
}

/// The page, from the cache or rendered; or why it is not made here.
async fn made(host: &Arc<Host>, asked: Asked, traced: Option<Traced>) -> Result<(TakenAs, Taken), NotTaken> {
    if asked.to != host.name() || host.leaving.has_begun() {
        return Err(NotTaken::NotHere);
    }
    let release = host.by_name(&asked.app).and_then(|served| served.current()).ok_or(NotTaken::NotHere)?;
    if !stands_for(&release.manifest, &asked) {
        return Err(NotTaken::OtherRelease);
    }
    let on = release.manifest.release;
    let (route, seen, trace) = read(&release, asked).ok_or(NotTaken::NotHere)?;
    let key = seen.key(&release.manifest.app);
    let before = match host.cache.look(&key, &release) {
        Look::Hit(entry, _) => return Ok(stored(&entry, on)),
        Look::Unstorable(NotStored::TooLarge | NotStored::EventStream) => return Err(NotTaken::Streams),
        Look::Unstorable(_) | Look::Miss => Before::Nothing,
        Look::InDoubt(entry) => Before::InDoubt(entry),
        Look::Wrong(entry, cause) => Before::Wrong(entry, cause),
    };
    // Whom this node's own visitors are too many for need not wait to be told so.
    if host.queue.is_hot() {
        return Err(NotTaken::Busy);
    }
    let place = host.queue.place(Class::Handed, limits::HANDED_WAIT).await.map_err(|_| NotTaken::Busy)?;
    let request = seen.request(canonical_host(&release), Full::default());
    let asking = Asking { release: release.clone(), route, request, request_key: None, trace: trace.clone(), traced };
    let task_host = host.clone();
    // In a task of its own, which goes on when whoever asks leaves: it is kept here in any case.
    let made = match host.cache.join(&key, &release) {
        Joined::Landed(entry, _) => return Ok(stored(&entry, on)),
        Joined::Leads(lead) => host.spawn(async move { lead_on(&task_host, lead, place, asking, before).await }).await,
        Joined::Waits(_) | Joined::Full => {
            let made = async move {
                let made = made_in(&task_host, place, asking, false).await?;
                let made = Made::of(made, release, route, Because::default());
                keep_alone(&task_host, key, &made);
                Ok(Led::Made(Box::new(made)))
            };
            host.spawn(made).await
        }
    };
    match made.unwrap_or(Err(Refusal::Handler { trace })) {
        Ok(Led::Confirmed(entry)) => Ok(stored(&entry, on)),
        Ok(Led::Made(made)) => rendered(&made, on),
        Err(refusal) => failed(refusal),
    }
}

/// Whether what is made on this release is what was asked for: by the same code, and of no less than was written where it was
/// asked. A later release may hold less, after a rollback; after a restore, the numbers of commits are given out again. What is only
/// tried out here is for this node's visitors.
fn stands_for(here: &Manifest, asked: &Asked) -> bool {
    let is_same = here.release == asked.release;
    let is_later = here.release.epoch == asked.release.epoch
        && here.release > asked.release
        && here.applied_commit >= asked.applied_commit
        && here.candidate.is_none();
    here.database == asked.database && here.app_digest == asked.app_digest && (is_same || is_later)
}

/// The route and what its handler will see, if it is a page for everybody and asked for as its route declares; and the trace.
fn read(release: &Release, asked: Asked) -> Option<(usize, Seen, String)> {
    let target = Target::parse(&asked.path, asked.query.as_deref()).ok()?;
    let route = find(release, &target, Method::Get).ok()?;
    let declared = &release.code.app.routes[route];
    let seen = Seen::told(target, page::headers(asked.headers)?);
    let Inputs::Declared(inputs) = &declared.inputs else { return None };
    if !is_for_everybody(declared) || !seen.is_as_declared(inputs) {
        return None;
    }
    let is_trace =
        (1..=TRACE_BYTES).contains(&asked.trace.len()) && asked.trace.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trace = if is_trace { asked.trace } else { trace_id(&HeaderMap::new()) };
    Some((route, seen, trace))
}

const TRACE_BYTES: usize = 32;

fn keep_alone(host: &Host, key: Key, made: &Made) {
    if let (Some(entry), Ok(_)) = (&made.entry, made.verdict) {
        host.cache.forget_unstorable(&key);
        // Whether it is kept here is nothing to whoever asked.
        let _ = host.cache.store(key, entry.clone());
    }
}

fn stored(entry: &Entry, on: ReleaseId) -> (TakenAs, Taken) {
    (TakenAs::Stored, taken(entry, Ok(()), on, true, None))
}

fn rendered(made: &Made, on: ReleaseId) -> Result<(TakenAs, Taken), NotTaken> {
    let entry = made.entry.as_ref().ok_or(NotTaken::Streams)?;
    let timing = made.rendered.cost.server_timing(made.rendered.took);
    Ok((TakenAs::Made, taken(entry, made.verdict.map(|_| ()), on, false, Some(timing))))
}

fn taken(
    entry: &Entry,
    verdict: Result<(), NotStored>,
    on: ReleaseId,
    was_stored: bool,
    timing: Option<String>,
) -> Taken {
    let page = page::told_of(entry, verdict, on, was_stored, timing);
    Taken { outcome: Outcome::Made(Box::new(page)), body: entry.whole.body.clone() }
}

fn failed(refusal: Refusal) -> Result<(TakenAs, Taken), NotTaken> {
    let was_late = match refusal {
        Refusal::Deadline { .. } => true,
        Refusal::Handler { .. } => false,
        Refusal::Shed(_) | Refusal::Busy => return Err(NotTaken::Busy),
        _ => return Err(NotTaken::NotHere),
    };
    Ok((TakenAs::Failed, Taken { outcome: Outcome::Failed { was_late }, body: Bytes::new() }))
}

fn refusal(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let problem = Problem::new(status.as_u16(), status.canonical_reason().unwrap_or("Error")).detail(why);
    let mut response = Response::new(Full::new(problem.to_json().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
    response
}

#[cfg(test)]
mod tests {
    use nearside_protocol::{
        canary::Candidacy,
        digest::Digest,
        key::SecretKey,
        release::{DatabaseId, FORMAT},
        voucher::AppVoucher,
    };

    use super::*;

    fn here(epoch: u64, seq: u64, applied_commit: u64) -> Manifest {
        let digest = Digest::of(b"code");
        Manifest {
            format: FORMAT,
            app: "a".into(),
            database: DatabaseId("d".into()),
            release: ReleaseId { epoch, seq },
            parent: None,
            created_at_ms: 0,
            applied_commit,
            page_count: 1,
            root: digest,
            rolled_back_to: None,
            candidate: None,
            deltas: vec![],
            base: None,
            app_digest: digest,
            app_archive_bytes: 1,
            app_vouched: AppVoucher::sign("a", &digest, &SecretKey::from_seed([9; 32])),
            variables: Default::default(),
            secrets: None,
            fingerprint: digest,
        }
    }

    fn asked(epoch: u64, seq: u64, applied_commit: u64) -> Asked {
        let Manifest { app, release, database, app_digest, applied_commit, .. } = here(epoch, seq, applied_commit);
        Asked {
            nonce: [0; 16],
            from: "one".into(),
            to: "other".into(),
            app,
            release,
            database,
            app_digest,
            applied_commit,
            path: "/".into(),
            query: None,
            headers: vec![],
            trace: "0".into(),
        }
    }

    #[test]
    fn a_page_is_made_on_the_same_release_or_a_later_one_of_the_same_epoch_that_holds_no_less() {
        let asked = asked(3, 7, 100);
        for (epoch, seq, commit, stands) in [
            (3, 7, 100, true),
            (3, 8, 100, true),
            (3, 9, 120, true),
            (3, 6, 100, false),
            (3, 8, 99, false),
            // After a restore: the number may stand for another commit.
            (4, 1, 100, false),
            (4, 8, 120, false),
            (2, 9, 120, false),
        ] {
            assert_eq!(stands_for(&here(epoch, seq, commit), &asked), stands, "{epoch}.{seq} with {commit}");
        }
        let candidate = Some(Candidacy { since_ms: 1, nodes: vec!["other".into()] });
        assert!(!stands_for(&Manifest { candidate: candidate.clone(), ..here(3, 8, 100) }, &asked));
        assert!(stands_for(&Manifest { candidate, ..here(3, 7, 100) }, &asked), "it is tried out there as well");
        assert!(!stands_for(&Manifest { database: DatabaseId("e".into()), ..here(3, 7, 100) }, &asked));
        assert!(!stands_for(&Manifest { app_digest: Digest::of(b"other"), ..here(3, 7, 100) }, &asked));
    }
}

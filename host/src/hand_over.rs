//! Renders there is no place for, made by a sibling: one hop, and no further.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | who is asked, one after another, and what the visitor gets |
//! | `choice` | which sibling is asked, as functions of values |
//! | `standing` | what is known of each from having asked it |
//! | `page` | responses as they travel, with what they were computed from |
//! | `asked` | being asked |
//! | `tally` | what became of them, counted |
//!
//! What is handed over is what anybody may see. It is made by the same code on the same release, so it is what would have been
//! made here, and is kept with the evidence that came along. Made on a newer release it goes to those who wait, and no further:
//! whether it is right for this node's release, nobody here can say.

mod asked;
mod choice;
mod page;
mod standing;
mod tally;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request};
use nearside_protocol::{
    hand_over::{self as wire, Asked, NotTaken, Outcome, Seal, SealKey, Told},
    heartbeat::{Load, Sibling},
    limits,
    route::{Inputs, Route},
};

pub(crate) use self::asked::answer;
use self::{
    choice::{Candidate, better_of_two, may_take},
    page::Made,
    standing::{Answered, Known, Out},
    tally::{Kind, TakenAs, Tally, Went},
};
use crate::{
    cache::{Because, By, Entry, Lead},
    cache_status::{CacheStatus, Cause},
    host::Host,
    in_fleet::Heard,
    inputs::{Key, Seen},
    origin_client::{bytes, traced_by, whole},
    policy::NotStored,
    refusal::Refusal,
    release::Release,
    spans::{Kind as SpanKind, Traced, within},
    stale::Before,
};

/// What a node needs to hand renders over, and to be handed some, among nodes that know each other by
/// [`SiblingKeys`](crate::sibling_keys::SiblingKeys).
#[derive(Default)]
pub struct HandOver {
    /// By the node's name; of those that were last heard of.
    known: Mutex<BTreeMap<String, (String, Arc<Known>)>>,
    out: AtomicUsize,
    asked: Tally<Went>,
    taken: Tally<TakenAs>,
}

impl HandOver {
    /// What became of renders there was no place for.
    pub fn handed(&self) -> BTreeMap<String, u64> {
        self.asked.all()
    }

    /// What became of those that siblings asked for.
    pub fn taken(&self) -> BTreeMap<String, u64> {
        self.taken.all()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, (String, Arc<Known>)>> {
        self.known.lock().expect("BUG: nothing panics while holding who is known")
    }

    /// What is known of a node at an address; nothing if that is none.
    fn of(&self, node: &str, url: &str) -> Option<Arc<Known>> {
        let mut known = self.known();
        if let Some((there, of_node)) = known.get(node)
            && there == url
        {
            return Some(of_node.clone());
        }
        let of_node = match Known::at(url) {
            Ok(of_node) => Arc::new(of_node),
            Err(error) => {
                tracing::debug!(sibling = node, cause = %error, "a sibling's admin_url is none");
                return None;
            }
        };
        known.insert(node.to_owned(), (url.to_owned(), of_node.clone()));
        Some(of_node)
    }

    /// Forgets those that are not heard of any more.
    fn keep(&self, heard: &Heard) {
        let mut known = self.known();
        if known.len() > heard.siblings.siblings.len() {
            known.retain(|node, _| heard.siblings.siblings.iter().any(|sibling| sibling.node == *node));
        }
    }
}

// --- What visitors get ----------------------------------------------------------------------------------------------

/// What there is no place for.
pub(crate) struct Wanted {
    pub release: Arc<Release>,
    pub route: usize,
    /// What its handler is to see.
    pub seen: Seen,
    pub trace: String,
    pub traced: Option<Traced>,
}

/// What a sibling made instead.
pub(crate) struct Instead {
    pub entry: Arc<Entry>,
    pub status: CacheStatus,
    pub timing: String,
}

/// Why there is nothing from a sibling for one who leads for others.
pub(crate) enum NotForAll {
    /// Its handler failed there, as it would have here. It has landed with this.
    Failed(Refusal),
    /// Nobody could be asked now. It is still to be landed.
    NobodyAsked(Lead),
    /// Those who were asked had no place either. It is still to be landed.
    NobodyHadRoom(Lead),
}

/// Instead of refusing one who leads for others: a sibling's page for all of them.
pub(crate) async fn for_all(
    host: &Arc<Host>,
    lead: Lead,
    wanted: &Wanted,
    before: &Before,
) -> Result<Instead, NotForAll> {
    let because = match before {
        Before::Nothing => Because::default(),
        Before::Wrong(_, cause) => Because::of(*cause),
        Before::InDoubt(_) => Because::of(Cause::TooMuchToAsk),
    };
    let Handed { made, timing, is_newer } = match ask(host, wanted).await {
        Ok(handed) => handed,
        Err(NotHanded::Failed(refusal)) => {
            let _ = lead.land(Err(refusal.clone()));
            return Err(NotForAll::Failed(refusal));
        }
        Err(NotHanded::NobodyAsked) => return Err(NotForAll::NobodyAsked(lead)),
        Err(NotHanded::NobodyHadRoom) => return Err(NotForAll::NobodyHadRoom(lead)),
    };
    let cause = because.cause;
    let entry = Arc::new(Entry { because, by: By::Sibling, ..made.entry });
    let mut is_stored = made.verdict.is_ok() && !is_newer;
    // What is not to be kept may be for one visitor alone, whatever release it is of.
    if is_newer && made.verdict.is_ok() {
        lead.land_newer(entry.clone());
    } else if lead.land(Ok((entry.clone(), made.verdict))).is_err() {
        is_stored = false;
    }
    Ok(Instead { entry, status: CacheStatus::BySibling { cause, is_stored }, timing })
}

/// The same for one who asks for itself alone. A response that turns out storable is kept under `key`.
pub(crate) async fn for_one(host: &Arc<Host>, wanted: &Wanted, key: Key, refusal: Refusal) -> Result<Instead, Refusal> {
    let handed = ask(host, wanted).await;
    let Handed { made, timing, is_newer } = handed.map_err(|why| match why {
        NotHanded::Failed(failed) => failed,
        NotHanded::NobodyAsked | NotHanded::NobodyHadRoom => refusal,
    })?;
    let entry = Arc::new(Entry { by: By::Sibling, ..made.entry });
    let mut is_stored = false;
    if made.verdict.is_ok() && !is_newer {
        host.cache.forget_unstorable(&key);
        is_stored = host.cache.store(key, entry.clone()).is_ok();
    }
    Ok(Instead { entry, status: CacheStatus::BySibling { cause: Cause::First, is_stored }, timing })
}

// --- Asking ---------------------------------------------------------------------------------------------------------

/// A page that a sibling made.
struct Handed {
    made: Made,
    /// What `Server-Timing` says of it.
    timing: String,
    is_newer: bool,
}

/// Why no sibling made it.
enum NotHanded {
    /// One tried and its handler failed: so it would have here.
    Failed(Refusal),
    NobodyAsked,
    NobodyHadRoom,
}

/// Whether its responses are for everybody, and so may be asked of another node.
fn is_for_everybody(route: &Route) -> bool {
    matches!(&route.inputs, Inputs::Declared(declared) if !declared.is_private())
}

async fn ask(host: &Arc<Host>, wanted: &Wanted) -> Result<Handed, NotHanded> {
    let route = &wanted.release.code.app.routes[wanted.route];
    let Some(hand_over) = host.hand_over().filter(|_| is_for_everybody(route)) else {
        return Err(NotHanded::NobodyAsked);
    };
    // Before the origin was heard, nobody is known.
    let Some(key) = host.in_fleet.keys.seal() else {
        hand_over.asked.count(Went::Nobody);
        return Err(NotHanded::NobodyAsked);
    };
    let began = Instant::now();
    let by = began + Duration::from_millis(route.deadline_ms) + limits::HANDED_GRACE;
    let mut tried: Vec<String> = Vec::new();
    while tried.len() < limits::HANDED_TRIES {
        let Some((node, out)) = choose(host, hand_over, wanted, &tried) else {
            if tried.is_empty() {
                hand_over.asked.count(Went::Nobody);
            }
            break;
        };
        let Some(_room) = Room::take(&hand_over.out, host.cores() * limits::HANDED_OUT_A_CORE) else {
            hand_over.asked.count(Went::HeldBack);
            break;
        };
        let mut span = wanted.traced.as_ref().map(|traced| traced.span(SpanKind::Client, "hand over"));
        let answer = put(&key, &out, host.name(), &node, wanted, within(&span), by).await;
        let told =
            answer.map(|(told, body)| Understood { outcome: Read::of(told.outcome, body, wanted), load: told.load });
        let (went, how, load) = verdict(&told);
        if let Some(span) = &mut span {
            span.set("nearside.node", node.clone());
            span.set("nearside.outcome", went.name());
        }
        drop(span);
        out.out.answered(how, load, Instant::now());
        hand_over.asked.count(went);
        tracing::debug!(
            sibling = %node,
            app = %wanted.release.code.app.name,
            route = %route.path,
            trace = %wanted.trace,
            outcome = went.name(),
            cause = told.as_ref().err().map(tracing::field::display),
            took_ms = began.elapsed().as_millis() as u64,
            "a render was handed over"
        );
        match told.map(|told| told.outcome) {
            Ok(Read::Made(page)) => {
                let (made, rendered) = *page;
                let timing = format!("sibling;dur={:.3}", began.elapsed().as_secs_f64() * 1_000.0);
                let timing = rendered.map_or(timing.clone(), |rendered| format!("{timing}, {rendered}"));
                let is_newer = made.on > wanted.release.manifest.release;
                return Ok(Handed { made, timing, is_newer });
            }
            Ok(Read::Unreadable) => tracing::warn!(sibling = %node, "a page that a sibling made cannot be read"),
            Ok(Read::Failed { was_late }) => {
                let trace = wanted.trace.clone();
                let refusal = if was_late { Refusal::Deadline { trace } } else { Refusal::Handler { trace } };
                return Err(NotHanded::Failed(refusal));
            }
            // It streams there as it would here, and nobody has a place to try.
            Ok(Read::NotTaken(NotTaken::Streams)) => {
                let key = wanted.seen.key(&wanted.release.code.app.name);
                host.cache.remember_unstorable(key, wanted.release.code.digest, NotStored::TooLarge);
                break;
            }
            Ok(Read::NotTaken(_)) | Err(_) => {}
        }
        tried.push(node);
    }
    Err(if tried.is_empty() { NotHanded::NobodyAsked } else { NotHanded::NobodyHadRoom })
}

/// Whether a sibling could be asked now for pages of this route, by what was last heard of it.
pub(crate) fn may_be_asked(host: &Host, release: &Release, route: &Route) -> bool {
    let Some(hand_over) = host.hand_over().filter(|_| is_for_everybody(route)) else { return false };
    let Some(word) = host.in_fleet.last_word() else { return false };
    may_take_one(hand_over, &word, release, Instant::now()).next().is_some()
}

/// There was no place for a page of this route, and nobody who could be asked.
pub(crate) fn count_nobody(host: &Host, route: &Route) {
    if let Some(hand_over) = host.hand_over().filter(|_| is_for_everybody(route)) {
        hand_over.asked.count(Went::Nobody);
    }
}

/// A sibling that is to be asked.
struct Target {
    out: Out,
    known: Arc<Known>,
}

/// The one to ask now: not one that was asked already.
fn choose(host: &Host, hand_over: &HandOver, wanted: &Wanted, tried: &[String]) -> Option<(String, Target)> {
    let word = host.in_fleet.last_word()?;
    hand_over.keep(&word);
    let (declared, now) = (host.in_fleet.declared(), Instant::now());
    let (found, candidates): (Vec<_>, Vec<_>) = may_take_one(hand_over, &word, &wanted.release, now)
        .filter(|(sibling, ..)| !tried.contains(&sibling.node))
        .map(|(sibling, known, load)| {
            let candidate = Candidate::of(sibling, declared.place.as_deref(), &load, known.out());
            ((&sibling.node, known), candidate)
        })
        .unzip();
    let (node, known) = &found[better_of_two(&candidates, lot())?];
    let out = known.send(now)?;
    Some(((*node).clone(), Target { out, known: known.clone() }))
}

/// All that could take a render on this release, each with how busy it is.
fn may_take_one<'a>(
    hand_over: &'a HandOver,
    word: &'a Heard,
    release: &'a Release,
    now: Instant,
) -> impl Iterator<Item = (&'a Sibling, Arc<Known>, Load)> {
    word.siblings.siblings.iter().filter_map(move |sibling| {
        let known = hand_over.of(&sibling.node, sibling.declared.admin.as_ref()?)?;
        let load = known.load(&sibling.load, word.at.checked_sub(Duration::from_millis(sibling.heard_ms_ago)));
        let may = may_take(sibling, &load, &release.manifest.app, release.manifest.release).is_ok();
        (may && known.has_room(&load, now)).then_some((sibling, known, load))
    })
}

fn lot() -> u64 {
    let mut chance = [0; 8];
    getrandom::fill(&mut chance).expect("BUG: an operating system without randomness cannot serve");
    u64::from_le_bytes(chance)
}

/// Why there is no answer that counts.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("it does not answer in time")]
    Late,
    #[error("{0}")]
    Unreachable(#[from] crate::origin_client::ClientError),
    #[error("its answer is not sealed by one of this fleet")]
    Unsealed,
    #[error(transparent)]
    Unreadable(#[from] wire::Unreadable),
}

/// Sends the question, and reads the answer: what is told, and the page.
async fn put(
    key: &SealKey,
    target: &Target,
    from: &str,
    to: &str,
    wanted: &Wanted,
    traced: Option<Traced>,
    by: Instant,
) -> Result<(Told, Bytes), NoAnswer> {
    let body = wire::encode(&question(from, to, wanted), &[]);
    let seal = key.of_question(&body);
    let answer = async {
        let client = &target.known.client;
        let request: Result<Request<_>, _> = traced_by(client.request(Method::POST, wire::PATH), traced.as_ref())
            .header(wire::SEAL_HEADER, seal.to_hex())
            .body(bytes(body));
        let request = request.map_err(|error| crate::origin_client::ClientError::Malformed(error.to_string()))?;
        let response = client.send(request, by.saturating_duration_since(Instant::now())).await?;
        let sealed = response.headers().get(wire::SEAL_HEADER).and_then(|seal| Seal::parse(seal.to_str().ok()?));
        Ok::<_, NoAnswer>((sealed, whole(response, limits::HANDED_ANSWER_BYTES).await?))
    };
    let (sealed, body) = tokio::time::timeout_at(by.into(), answer).await.map_err(|_| NoAnswer::Late)??;
    if sealed != Some(key.of_answer(&seal, &body)) {
        return Err(NoAnswer::Unsealed);
    }
    let (told, at) = wire::decode(&body)?;
    Ok((told, body.slice(at..)))
}

fn question(from: &str, to: &str, wanted: &Wanted) -> Asked {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("BUG: an operating system without randomness cannot serve");
    let manifest = &wanted.release.manifest;
    Asked {
        nonce,
        from: from.to_owned(),
        to: to.to_owned(),
        app: manifest.app.clone(),
        release: manifest.release,
        database: manifest.database.clone(),
        app_digest: manifest.app_digest,
        applied_commit: manifest.applied_commit,
        path: wanted.seen.target.path.clone(),
        query: wanted.seen.target.query.clone(),
        headers: page::told(wanted.seen.headers().iter().map(|(name, value)| (name, value))),
        trace: wanted.trace.clone(),
    }
}

/// An answer that counts.
struct Understood {
    outcome: Read,
    load: Load,
}

enum Read {
    /// And what is said of its render.
    Made(Box<(Made, Option<String>)>),
    /// It is not what was asked for.
    Unreadable,
    Failed {
        was_late: bool,
    },
    NotTaken(NotTaken),
}

impl Read {
    fn of(outcome: Outcome, body: Bytes, wanted: &Wanted) -> Read {
        match outcome {
            Outcome::Made(page) => match page::read(*page, body, wanted) {
                Some(made) => Read::Made(Box::new(made)),
                None => Read::Unreadable,
            },
            Outcome::Failed { was_late } => Read::Failed { was_late },
            Outcome::NotTaken(why) => Read::NotTaken(why),
        }
    }
}

/// What an answer means: for the count, for the sibling's standing, and how busy it says it is.
fn verdict(answer: &Result<Understood, NoAnswer>) -> (Went, Answered, Option<Load>) {
    let told = match answer {
        Err(_) => return (Went::Away, Answered::InVain, None),
        Ok(told) => told,
    };
    let (went, how) = match &told.outcome {
        Read::Made(_) => (Went::Made, Answered::Taken),
        Read::Unreadable => (Went::Away, Answered::InVain),
        Read::Failed { .. } => (Went::Failed, Answered::Taken),
        Read::NotTaken(NotTaken::Streams) => (Went::Streams, Answered::Taken),
        Read::NotTaken(NotTaken::Busy) => (Went::Busy, Answered::Busy),
        Read::NotTaken(NotTaken::OtherRelease) => (Went::OtherRelease, Answered::InVain),
        Read::NotTaken(NotTaken::NotHere) => (Went::NotHere, Answered::InVain),
    };
    (went, how, Some(told.load))
}

/// One of those that may be out at once.
struct Room<'a>(&'a AtomicUsize);

impl Room<'_> {
    fn take(out: &AtomicUsize, most: usize) -> Option<Room<'_>> {
        let more = |out: usize| (out < most).then_some(out + 1);
        out.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Room(out))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_read_is_none_that_was_made() {
        let load = || Load { cores: 1, ..Load::default() };
        let (went, how, told) = verdict(&Ok(Understood { outcome: Read::Unreadable, load: load() }));
        assert_eq!((went, how, told), (Went::Away, Answered::InVain, Some(load())));
    }

    #[test]
    fn so_many_are_out_at_once_and_no_more() {
        let out = AtomicUsize::new(0);
        let (one, two) = (Room::take(&out, 2), Room::take(&out, 2));
        assert!(one.is_some() && two.is_some() && Room::take(&out, 2).is_none());
        drop(one);
        assert!(Room::take(&out, 2).is_some());
    }
}

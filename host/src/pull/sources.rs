//! Who is asked for a release's objects: siblings, which are near, then the origin. None of them is believed: every object
//! proves itself.
//!
//! All nodes hear of a release at once, so nobody has its delta to give when the others ask. So that the origin does not send a
//! large one to each of them, lots are drawn, which come out the same wherever they are drawn: of the siblings that drew a better
//! one than this node, the best is asked first and may have it come meanwhile. Lots are in an order, so nobody waits for
//! itself, by however many others.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Builder};
use hyper::body::Incoming;
use nearside_protocol::{digest::Digest, limits};

use crate::origin_client::{ClientError, OriginClient, bytes};

/// Siblings first, then the origin.
#[derive(Clone)]
pub struct Sources {
    all: Arc<[Source]>,
    /// Where siblings reach this node.
    own_url: Option<Arc<str>>,
}

pub struct Source {
    client: Arc<OriginClient>,
    kind: Kind,
    /// One that did not answer is not asked again before this.
    rests_until: Mutex<Option<Instant>>,
}

/// What is to happen where an object is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The next one is asked.
    AtOnce,
    /// If it is on its way there, that is waited for.
    AsItComes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sibling,
    Origin,
}

impl Sources {
    pub fn new(siblings: Vec<Arc<OriginClient>>, origin: Arc<OriginClient>) -> Sources {
        let source = |client, kind| Source { client, kind, rests_until: Mutex::default() };
        let siblings = siblings.into_iter().map(|client| source(client, Kind::Sibling));
        Sources { all: siblings.chain([source(origin.clone(), Kind::Origin)]).collect(), own_url: None }
    }

    /// Of a node that its siblings reach there.
    pub fn reached_at(self, url: Option<&str>) -> Sources {
        Sources { own_url: url.map(|url| url.trim_end_matches('/').into()), ..self }
    }

    /// In the order in which they are asked for what is large.
    pub fn near_first(&self) -> impl Iterator<Item = &Source> {
        self.all.iter()
    }

    /// In the order in which they are asked for what the origin alone has for sure.
    pub fn origin_first(&self) -> impl Iterator<Item = &Source> {
        self.all.iter().rev()
    }

    /// In the order in which they are asked for a delta of so many bytes.
    pub(super) fn for_delta(&self, path: &str, bytes: u64) -> Vec<(&Source, Asks)> {
        // Asking around for it costs more than it does.
        if bytes < limits::SIBLING_DELTA_BYTES {
            return self.origin_first().map(|source| (source, Asks::AtOnce)).collect();
        }
        let mut turns: Vec<_> = self.near_first().map(|source| (source, Asks::AtOnce)).collect();
        let better = self.own_url.as_ref().and_then(|own| self.better_than(lot(own, path), path));
        if let Some(at) = better {
            let (source, _) = turns.remove(at);
            turns.insert(0, (source, Asks::AsItComes));
        }
        turns
    }

    /// Which sibling drew the best lot, if it is better than this one.
    fn better_than(&self, own: Digest, path: &str) -> Option<usize> {
        let siblings = self.all.iter().enumerate().filter(|(_, source)| source.kind == Kind::Sibling);
        let awake = siblings.filter(|(_, source)| !source.is_resting());
        let drawn = awake.map(|(at, source)| (lot(source.client.url(), path), at));
        drawn.max().filter(|(drawn, _)| *drawn > own).map(|(_, at)| at)
    }

    pub(crate) fn has_siblings(&self) -> bool {
        self.all.len() > 1
    }

    pub fn origin(&self) -> &Arc<OriginClient> {
        &self.all.last().expect("BUG: the origin is always among the sources").client
    }
}

impl Source {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn is_resting(&self) -> bool {
        let until = *self.rests_until.lock().expect("BUG: nothing panics while holding it");
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Asks for an object. If it is on its way there, and that is waited for, the answer may be 202, after a while.
    pub async fn open(&self, path: &str, asks: Asks) -> Result<Response<Incoming>, ClientError> {
        let request = self.client.request(Method::GET, path);
        match asks {
            Asks::AtOnce => self.send(request, Duration::ZERO).await,
            Asks::AsItComes => {
                let preferences = format!("respond-async, wait={}", limits::SIBLING_HOLD.as_secs());
                self.send(request.header(PREFER, preferences), limits::SIBLING_HOLD).await
            }
        }
    }

    /// Asks for the rest of an object, from its byte `at` on; `tag` is what it was called when it began.
    pub async fn go_on(
        &self,
        path: &str,
        at: u64,
        tag: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = self.client.request(Method::GET, path);
        if at > 0 {
            request = request.header(header::RANGE, format!("bytes={at}-"));
            if let Some(tag) = tag {
                request = request.header(header::IF_RANGE, tag);
            }
        }
        self.send(request, Duration::ZERO).await
    }

    async fn send(&self, request: Builder, more_patience: Duration) -> Result<Response<Incoming>, ClientError> {
        let request = request.body(bytes("")).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let answer = self.client.send(request, self.patience() + more_patience).await;
        if self.kind == Kind::Sibling && matches!(answer, Err(ClientError::Unreachable { .. })) {
            let until = Instant::now() + limits::SIBLING_REST;
            *self.rests_until.lock().expect("BUG: nothing panics while holding it") = Some(until);
        }
        answer
    }

    /// How long it may take until the first byte: the origin may have to make the object first.
    fn patience(&self) -> Duration {
        match self.kind {
            Kind::Sibling => limits::SIBLING_WAIT,
            Kind::Origin => limits::OBJECT_WAIT,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Sibling => "the sibling",
            Kind::Origin => "the origin",
        };
        write!(f, "{kind} {}", self.client.url())
    }
}

/// RFC 7240.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How long an answer may take, if somebody says so, in whole seconds.
pub(crate) fn preferred_wait(preferences: &HeaderValue) -> Option<Duration> {
    let mut all = preferences.to_str().ok()?.split([',', ';']).map(str::trim);
    let seconds = all.find_map(|one| one.strip_prefix("wait="))?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a node draws for an object.
fn lot(url: &str, path: &str) -> Digest {
    Digest::of(format!("{url} {path}").as_bytes())
}

/// Whether this source simply has no such object.
pub fn is_missing(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(problem) if problem.status == StatusCode::NOT_FOUND.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: u64 = limits::SIBLING_DELTA_BYTES;

    fn url(number: usize) -> String {
        format!("http://127.0.0.1:{number}")
    }

    /// What node `own` of so many knows.
    fn sources(own: usize, nodes: usize) -> Sources {
        let client = |url: &str| Arc::new(OriginClient::near(url).unwrap());
        let siblings = (1..=nodes).filter(|number| *number != own).map(|number| client(&url(number))).collect();
        Sources::new(siblings, client("http://127.0.0.1:9")).reached_at(Some(&format!("{}/", url(own))))
    }

    /// Who is asked for it and may have it come, by that node.
    fn waited_for(own: usize, nodes: usize, path: &str) -> Option<String> {
        let sources = sources(own, nodes);
        let turns = sources.for_delta(path, LARGE);
        assert_eq!((turns.len(), turns[nodes - 1].0.kind()), (nodes, Kind::Origin));
        assert!(turns[1..].iter().all(|(_, asks)| *asks == Asks::AtOnce));
        (turns[0].1 == Asks::AsItComes).then(|| turns[0].0.client.url().to_owned())
    }

    #[test]
    fn one_asks_the_origin_for_a_large_delta_and_the_others_that_one() {
        let mut leaders = std::collections::BTreeSet::new();
        for delta in 0..64 {
            let path = format!("/v1/apps/shop/deltas/{delta}");
            let waits: Vec<_> = (1..=5).map(|own| waited_for(own, 5, &path)).collect();
            let [leader] = (1..=5).filter(|own| waits[own - 1].is_none()).collect::<Vec<_>>()[..] else {
                panic!("{waits:?}")
            };
            assert!(waits.iter().flatten().all(|waited| *waited == url(leader)), "{waits:?}");
            leaders.insert(leader);
        }
        assert_eq!(leaders.len(), 5, "each in its turn");
    }

    #[test]
    fn small_ones_come_from_the_origin_and_who_is_not_reached_waits_for_nobody() {
        let near = sources(1, 5);
        let small = near.for_delta("/v1/apps/shop/deltas/1", LARGE - 1);
        assert!(small[0].0.kind() == Kind::Origin && small.iter().all(|(_, asks)| *asks == Asks::AtOnce));
        let unknown = near.reached_at(None);
        for delta in 0..64 {
            let turns = unknown.for_delta(&format!("/v1/apps/shop/deltas/{delta}"), LARGE);
            assert!(turns.iter().all(|(_, asks)| *asks == Asks::AtOnce));
        }
    }

    #[test]
    fn how_long_an_answer_may_take_is_said_as_rfc_7240_has_it() {
        let preferred = |text: &'static str| preferred_wait(&HeaderValue::from_static(text));
        assert_eq!(preferred("wait=2"), Some(Duration::from_secs(2)));
        assert_eq!(preferred("respond-async, wait=10"), Some(Duration::from_secs(10)));
        for none in ["", "wait", "wait=", "wait=-1", "wait=x", "respond-async"] {
            assert_eq!(preferred(none), None, "{none}");
        }
    }
}

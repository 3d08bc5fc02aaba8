//! Who is asked for a release's objects: siblings, which are near, then the origin. None of them is believed: every object
//! proves itself.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use nearside_protocol::limits;

use crate::origin_client::{ClientError, OriginClient, bytes};

/// Siblings first, then the origin.
#[derive(Clone)]
pub struct Sources(Arc<[Source]>);

pub struct Source {
    client: Arc<OriginClient>,
    kind: Kind,
    /// One that did not answer is not asked again before this.
    rests_until: Mutex<Option<Instant>>,
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
        Sources(siblings.chain([source(origin.clone(), Kind::Origin)]).collect())
    }

    /// In the order in which they are asked for what is large.
    pub fn near_first(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// In the order in which they are asked for what the origin alone has for sure.
    pub fn origin_first(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().rev()
    }

    pub(crate) fn has_siblings(&self) -> bool {
        self.0.len() > 1
    }

    pub fn origin(&self) -> &Arc<OriginClient> {
        &self.0.last().expect("BUG: the origin is always among the sources").client
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

    /// Asks for an object from its byte `at` on; `tag` is what it was called when it began.
    pub async fn open(
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
        let request = request.body(bytes("")).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let answer = self.client.send(request, self.patience()).await;
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

/// Whether this source simply has no such object.
pub fn is_missing(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(problem) if problem.status == StatusCode::NOT_FOUND.as_u16())
}

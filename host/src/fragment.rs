//! Pages rendered for others than a visitor's socket: for a page that includes them, for an error they stand for, and at
//! the origin for a node.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::Full;
use nearside_protocol::route::{Inputs, Method};

use crate::{
    again::ask_again,
    bindings::edge::page::IncludeError,
    cache::{Because, Entry, Look},
    code::Found,
    evidence::Gathering,
    host::Host,
    inputs::{Key, Seen},
    making::{Asking, Made, make},
    refusal::Refusal,
    release::Release,
    render::{Ask, For, Rendered, render},
    senses::Taint,
    spans::Traced,
    target::Target,
    trace::trace_id,
    upstream::Visitor,
    way::{canonical_host, find, target_of},
};

/// Whose place among the renders a fragment is rendered in.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    OfItsPage,
    ItsOwn,
}

/// The page that a fragment is for: what it looks at and is computed from becomes the page's own.
#[derive(Clone, Copy)]
pub struct Within<'a> {
    pub whom: For,
    pub taint: &'a Taint,
    pub evidence: &'a Gathering,
    pub trace: &'a str,
    pub traced: Option<&'a Traced>,
}

/// A fragment that is not in the cache.
struct Asked {
    route: usize,
    seen: Seen,
    key: Key,
    depth: usize,
    place: Place,
}

impl Host {
    /// Renders a page past the cache, as this visitor sees it: how the origin answers for a node that is behind.
    pub async fn render_for(
        self: &Arc<Host>,
        release: Arc<Release>,
        target: Target,
        visitor: &Visitor,
    ) -> Result<http::Response<Bytes>, Refusal> {
        let route = find(&release, &target, Method::Get)?;
        let trace = trace_id(&visitor.headers);
        let Inputs::Declared(declared) = &release.code.app.routes[route].inputs else {
            return Err(Refusal::NotFound);
        };
        let seen = Seen::new(declared, target, &visitor.headers, Some(visitor.client));
        let request = seen.request(canonical_host(&release), Full::default());
        let (request_key, traced) = (None, visitor.traced.clone());
        let asking = Asking { release: release.clone(), route, request, request_key, trace: trace.clone(), traced };
        let rendered = make(self, asking, false, visitor.client).await?;
        let made = Made::of(rendered, release, route, Because::default());
        let entry = made.entry.ok_or(Refusal::Handler { trace })?;
        let mut response = http::Response::new(entry.whole.body.clone());
        *response.status_mut() = entry.whole.status;
        *response.headers_mut() = entry.whole.headers.clone();
        Ok(response)
    }
}

impl Host {
    /// The body of another page of the same release, for a page that includes it.
    pub async fn fragment(
        self: &Arc<Host>,
        release: &Arc<Release>,
        path: &str,
        depth: usize,
        within: Within<'_>,
    ) -> Result<Bytes, IncludeError> {
        let entry = self.fragment_entry(release, path, depth, within, Place::OfItsPage).await?;
        if entry.whole.status == StatusCode::OK {
            Ok(entry.whole.body.clone())
        } else {
            Err(IncludeError::Status(entry.whole.status.as_u16()))
        }
    }

    /// A page as one without a visitor gets it, from the cache or rendered.
    ///
    /// It never waits for a render in flight: two pages that include each other would wait for ever.
    pub(crate) async fn fragment_entry(
        self: &Arc<Host>,
        release: &Arc<Release>,
        path: &str,
        depth: usize,
        within: Within<'_>,
        place: Place,
    ) -> Result<Arc<Entry>, IncludeError> {
        let refused = |why: &str| IncludeError::Refused(format!("`{path}`: {why}"));
        let uri: Uri = path.parse().map_err(|_| refused("it is not a path"))?;
        let target = target_of(&uri).map_err(|_| refused("it is not a path"))?;
        let Found::Route(route) = release.code.find(&target.path, Method::Get) else {
            return Err(refused("no route answers there"));
        };
        let Inputs::Declared(declared) = &release.code.app.routes[route].inputs else {
            return Err(refused("its route sees all inputs, so it cannot be shared"));
        };
        let seen = Seen::new(declared, target, &HeaderMap::new(), None);
        let key = seen.key(&release.code.app.name);
        let asked = Asked { route, seen, key, depth, place };
        let entry = match self.cache.look(&asked.key, release) {
            Look::Hit(entry, _) => entry,
            Look::InDoubt(entry) => match ask_again(release, &entry) {
                Ok(confirmed) => {
                    let confirmed = Arc::new(confirmed);
                    self.store(release, &asked.key, &confirmed);
                    confirmed
                }
                Err(because) => self.render_fragment(release, asked, because, within).await?,
            },
            Look::Wrong(_, cause) => self.render_fragment(release, asked, Because::of(cause), within).await?,
            Look::Miss | Look::Unstorable(_) => {
                self.render_fragment(release, asked, Because::default(), within).await?
            }
        };
        if let Some(expires) = &entry.expires {
            within.taint.read_clock();
            within.taint.over_at(expires.at);
        }
        within.evidence.with(|evidence| evidence.join(&entry.evidence));
        Ok(entry)
    }

    async fn render_fragment(
        self: &Arc<Host>,
        release: &Arc<Release>,
        asked: Asked,
        because: Because,
        within: Within<'_>,
    ) -> Result<Arc<Entry>, IncludeError> {
        let Asked { route, seen, key, depth, place } = asked;
        let ask = Ask {
            whom: within.whom,
            release: release.clone(),
            route,
            request: seen.request(canonical_host(release), Full::default()),
            request_key: None,
            trace: within.trace.to_owned(),
            traced: within.traced.cloned(),
            depth,
            streams: false,
            place: None,
        };
        let rendered = match place {
            // A page's render runs its fragments' renders, which may have fragments of their own.
            Place::OfItsPage => Box::pin(render(self, ask)).await,
            Place::ItsOwn => self.rendered_apart(ask).await,
        };
        let rendered = rendered.map_err(|refusal| IncludeError::Status(refusal.status().as_u16()))?;
        let made = Made::of(rendered, release.clone(), route, because);
        within.taint.join(&made.rendered.taint);
        let Some(entry) = made.entry else {
            // When its rows are others it may fit.
            within.taint.met_failure();
            return Err(IncludeError::Refused("it streams: it is too large to include, or events".into()));
        };
        if made.verdict.is_ok() {
            self.store(release, &key, &entry);
        }
        Ok(entry)
    }

    /// Among the renders, in a place of its own.
    async fn rendered_apart(self: &Arc<Host>, mut ask: Ask) -> Result<Rendered, Refusal> {
        let host = self.clone();
        let trace = ask.trace.clone();
        let task = self.spawn(async move {
            let route = &ask.release.code.app.routes[ask.route];
            let place = host.queue.place(route.class(true), Duration::from_millis(route.deadline_ms)).await;
            ask.place = Some(place.map_err(Refusal::Shed)?);
            render(&host, ask).await
        });
        task.await.unwrap_or(Err(Refusal::Handler { trace }))
    }

    /// Keeps an entry: with its release, as long as that is not served yet.
    pub(crate) fn store(&self, release: &Release, key: &Key, entry: &Arc<Entry>) {
        if !release.ahead.put(key, entry) {
            // One that is of a newer release stays.
            let _ = self.cache.store(key.clone(), entry.clone());
        }
    }
}

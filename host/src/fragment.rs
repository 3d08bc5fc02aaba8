//! Pages rendered for others than a visitor's socket: for a page that includes them, and at the origin for a node.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::Full;
use nearside_protocol::route::{Inputs, Method};

use crate::{
    bindings::edge::page::IncludeError,
    cache::{Entry, Look},
    code::Found,
    handler::{Asking, keep, make},
    host::Host,
    inputs::{Key, Seen},
    refusal::Refusal,
    release::Release,
    render::{Ask, render},
    senses::Taint,
    target::Target,
    trace::trace_id,
    upstream::Visitor,
    way::{canonical_host, find, target_of},
};

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
        let asking = Asking { release: release.clone(), route, request, request_key: None, trace: trace.clone() };
        let rendered = make(self, asking, false).await?;
        let (made, _) = keep(rendered, release, route);
        let entry = made.entry.ok_or(Refusal::Handler { trace })?;
        let mut response = http::Response::new(entry.body.clone());
        *response.status_mut() = entry.status;
        *response.headers_mut() = entry.headers.clone();
        Ok(response)
    }
}

impl Host {
    /// The body of another page of the same release, for a page that includes it.
    ///
    /// It never waits for a render in flight: two pages that include each other would wait for ever.
    pub async fn fragment(
        self: &Arc<Host>,
        release: &Arc<Release>,
        path: &str,
        depth: usize,
        taint: &Taint,
        trace: &str,
    ) -> Result<Bytes, IncludeError> {
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
        let entry = match self.cache.look(&key, release.manifest.release) {
            Look::Hit(entry) => entry,
            _ => {
                let ask = Ask {
                    release: release.clone(),
                    route,
                    request: seen.request(canonical_host(release), Full::default()),
                    request_key: None,
                    trace: trace.to_owned(),
                    depth,
                    streams: false,
                    place: None,
                };
                self.render_fragment(ask, key, taint).await?
            }
        };
        if entry.expires.is_some() {
            taint.read_clock();
        }
        if entry.status == StatusCode::OK {
            Ok(entry.body.clone())
        } else {
            Err(IncludeError::Status(entry.status.as_u16()))
        }
    }

    async fn render_fragment(self: &Arc<Host>, ask: Ask, key: Key, taint: &Taint) -> Result<Arc<Entry>, IncludeError> {
        let (release, route) = (ask.release.clone(), ask.route);
        // A page's render runs its fragments' renders, which may have fragments of their own.
        let rendered =
            Box::pin(render(self, ask)).await.map_err(|refusal| IncludeError::Status(refusal.status().as_u16()))?;
        let (made, verdict) = keep(rendered, release, route);
        taint.join(&made.rendered.taint);
        let entry = made.entry.ok_or_else(|| IncludeError::Refused("it is too large to include".into()))?;
        if verdict.is_ok() {
            let _ = self.cache.store(key, entry.clone());
        }
        Ok(entry)
    }
}

//! A request at the development server: its trace, the node's answer, and what the page gets on top of it.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use nearside_host::{accept::prefers_json, logbook::Logbook, trace::trace_id};
use tokio::sync::watch;

use super::{
    failure,
    page::{self, Told},
    state::{self, EVENTS_PATH, State},
    terminal::{Answered, Terminal},
    trouble::Trouble,
};
use crate::local::{Body, Front, Local};

const OWN: &str = "/_nearside/";
const FAILURE: &str = "/_nearside/failure/";

pub struct DevFront {
    pub state: watch::Receiver<State>,
    pub logbook: Logbook,
    pub terminal: Arc<Terminal>,
}

#[async_trait::async_trait]
impl Front for DevFront {
    async fn answer(&self, local: &Local, request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        let path = request.uri().path();
        if path.starts_with(OWN) {
            return self.own(local, path);
        }
        if local.is_the_origins(&request) {
            return local.answer(request, client).await;
        }
        self.visitor(local, request, client).await
    }
}

impl DevFront {
    /// What is the development server's own.
    fn own(&self, local: &Local, path: &str) -> Response<Body> {
        match path {
            page::SCRIPT_PATH => page::answered("text/javascript; charset=utf-8", page::SCRIPT),
            EVENTS_PATH => state::events(self.state.clone(), local.stopped()),
            _ => match path.strip_prefix(FAILURE).and_then(|trace| failure::of_trace(&self.logbook, trace)) {
                Some(trouble) => {
                    page::answered("application/json", serde_json::to_vec(&trouble).expect("BUG: words make JSON"))
                }
                None => {
                    let mut nothing = page::answered("text/plain", "There is nothing here.\n");
                    *nothing.status_mut() = StatusCode::NOT_FOUND;
                    nothing
                }
            },
        }
    }

    async fn visitor(&self, local: &Local, mut request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        let started = Instant::now();
        let trace = traced(&mut request);
        let headers = request.headers().clone();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let for_people = !prefers_json(&headers);
        if for_people {
            // What is added to a page is neither compressed nor in the copy that a browser has kept.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
            request.headers_mut().remove(header::IF_NONE_MATCH);
        }
        // Looked at before, so that a page made while the version changes is loaded once too often rather than never.
        let state = self.state.borrow().clone();

        let response = match local.host().is_ready() {
            true => local.answer(request, client).await,
            false => self.nothing_yet(&state),
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let answered = Answered {
            method: &method,
            target,
            status: response.status(),
            headers: response.headers(),
            took: started.elapsed(),
        };
        self.terminal.answered(&answered);
        if for_people { self.dressed(response, &headers, &method, &trace, &state) } else { response }
    }

    fn dressed(
        &self,
        response: Response<Body>,
        request: &http::HeaderMap,
        method: &Method,
        trace: &str,
        state: &State,
    ) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let failed = parts.status.is_server_error();
        // One who waited for another's render is told of that one's failure.
        let trace = trace_of(&parts.headers).unwrap_or(trace).to_owned();
        if failed && method != Method::HEAD && !parts.headers.contains_key("cache-status")
            // The host's own page says nothing that only the one who develops should see.
            && let Some(trouble) = failure::of_trace(&self.logbook, &trace)
        {
            return page::failed(parts.status, &trouble, &state.version);
        }
        let is_page = page::is_page(request, &parts);
        let response = Response::from_parts(parts, body);
        match is_page {
            true => page::with_script(
                response,
                method,
                &Told { version: &state.version, failure: failed.then_some(&trace) },
            ),
            false => response,
        }
    }

    /// Before there is a first version.
    fn nothing_yet(&self, state: &State) -> Response<Body> {
        let building =
            || Trouble::new("Nothing to show yet", "The app is being built. This page shows it when it is there.");
        let trouble = state.trouble.clone().unwrap_or_else(building);
        page::failed(StatusCode::SERVICE_UNAVAILABLE, &trouble, &state.version)
    }
}

/// The trace a response says it was made under.
fn trace_of(headers: &http::HeaderMap) -> Option<&str> {
    let timing = headers.get("server-timing")?.to_str().ok()?;
    let (_, rest) = timing.split_once("trace;desc=\"")?;
    rest.split_once('"').map(|(trace, _)| trace)
}

/// Gives a request that has no trace one of its own, under which its failures can be found.
fn traced(request: &mut Request<Incoming>) -> String {
    let trace = trace_id(request.headers());
    let has =
        request.headers().get("traceparent").is_some_and(|value| value.to_str().is_ok_and(|v| v.contains(&trace)));
    if !has && let Ok(value) = HeaderValue::from_str(&format!("00-{trace}-{}-01", &trace[..16])) {
        request.headers_mut().insert("traceparent", value);
    }
    trace
}

//! The fleet page: what an operator looks at, and the few things that are done with it. Plain HTML, which is whole without a
//! script; with it, the page follows.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | to `/fleet` |
//! | `GET /fleet` | the page; to whoever is not signed in, the form for that |
//! | `POST /fleet/in`, `POST /fleet/out` | signs in with a token, and out |
//! | `POST /fleet/do` | does something; back to the page, or what came of it as JSON to who takes that |
//! | `GET /fleet/events` | the parts of the page that have changed, as server-sent events |
//! | `GET /fleet/page.css`, `GET /fleet/page.js` | |
//!
//! | module | what it holds |
//! |---|---|
//! | `session` | who is signed in |
//! | `facts` | what there is to show, gathered once for all who look |
//! | `concerns` | what of it needs a hand |
//! | `frame`, `sections`, `picture` | how it looks: the page, its parts, drawings |
//! | `act` | what its buttons do |
//! | `live` | following it |

mod act;
mod concerns;
mod facts;
mod frame;
mod live;
mod picture;
mod sections;
mod session;

use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use nearside_protocol::{
    action::{By, Deed},
    digest::Digest,
    limits,
    query_report::Advice,
};
use tokio::sync::Semaphore;

use crate::{
    actions::{Asked, Operator},
    api::Client,
    api_error::ApiError,
    body::{self, Body},
    origin::Origin,
    secrets::Token,
};
use facts::Gatherer;
use session::Sessions;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// Files are asked for by it, and may be kept for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| Digest::of(format!("{STYLE}{SCRIPT}").as_bytes()).short());

/// Nothing but what this origin serves, and nobody around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) struct Page {
    sessions: Sessions,
    gatherer: Gatherer,
    watchers: Arc<Semaphore>,
}

impl Page {
    pub(crate) fn of(token: &Token) -> Page {
        Page {
            sessions: Sessions::of(token),
            gatherer: Gatherer::default(),
            watchers: Arc::new(Semaphore::new(limits::FLEET_WATCHERS)),
        }
    }

    /// Indexes were tried: what was found is shown until the next time.
    pub(crate) async fn advised(&self, advice: Advice) {
        self.gatherer.advised(advice).await;
    }
}

pub(crate) fn is_at(path: &str) -> bool {
    path == "/" || path == "/fleet" || path.starts_with("/fleet/")
}

pub(crate) async fn answer(origin: &Arc<Origin>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let takes_json = takes_json(&head.headers);
    match respond(origin, &head, body).await {
        Ok(response) => guarded(response),
        Err(error) => {
            tracing::info!(path = head.uri.path(), ?error, "refused");
            let response = match takes_json {
                true => error.into_response(),
                false => html(error.status(), frame::refusal(error.status(), error.detail()).into_string()),
            };
            guarded(response)
        }
    }
}

async fn respond(origin: &Arc<Origin>, head: &Parts, body: Incoming) -> Result<Response<Body>, ApiError> {
    let session = origin.page.sessions.of_headers(&head.headers).filter(|session| session.holder(origin).is_some());
    match (&head.method, head.uri.path()) {
        (&Method::GET | &Method::HEAD, "/") => Ok(to("/fleet")),
        (&Method::GET | &Method::HEAD, "/fleet") => match session {
            None => Ok(html(StatusCode::OK, frame::sign_in(None).into_string())),
            Some(session) => {
                let facts = origin.page.gatherer.facts(origin).await;
                let told = told(head.uri.query().unwrap_or_default());
                Ok(html(
                    StatusCode::OK,
                    frame::page(&facts, &session, session.holder(origin).map(|holder| holder.role), told).into_string(),
                ))
            }
        },
        (&Method::GET, "/fleet/page.css") => Ok(asset("text/css; charset=utf-8", STYLE)),
        (&Method::GET, "/fleet/page.js") => Ok(asset("text/javascript; charset=utf-8", SCRIPT)),
        (&Method::GET, "/fleet/events") => live::follow(origin, session.ok_or_else(signed_out)?),
        (&Method::POST, "/fleet/in") => {
            own(head)?;
            sign_in(origin, head, body).await
        }
        (&Method::POST, "/fleet/out") => {
            own(head)?;
            let mut response = to("/fleet");
            response.headers_mut().insert(header::SET_COOKIE, Sessions::ended());
            Ok(response)
        }
        (&Method::POST, "/fleet/do") => {
            own(head)?;
            let session = session.ok_or_else(signed_out)?;
            let holder = session.holder(origin).ok_or_else(signed_out)?;
            let form = act::form(body).await?;
            let operator = operator(head, &session.who).holding(&holder);
            let done = act::act(origin, &operator, &holder, &form).await?;
            origin.page.gatherer.forget().await;
            if takes_json(&head.headers) {
                let text = serde_json::json!({ "told": done }).to_string();
                return Ok(with_type(StatusCode::OK, "application/json", text));
            }
            let newest = origin.newest_actions(1).await?.first().map_or(0, |action| action.id);
            Ok(to(&format!("/fleet?told={newest}")))
        }
        (_, "/" | "/fleet" | "/fleet/page.css" | "/fleet/page.js" | "/fleet/events") => Err(ApiError::method("GET")),
        (_, "/fleet/in" | "/fleet/out" | "/fleet/do") => Err(ApiError::method("POST")),
        _ => Err(ApiError::not_found("there is nothing at this path")),
    }
}

async fn sign_in(origin: &Origin, head: &Parts, body: Incoming) -> Result<Response<Body>, ApiError> {
    let form = act::form(body).await?;
    let operator = operator(head, form.get("who").map_or("", String::as_str));
    let holder = match origin.tokens.holder(form.get("token").map(|token| token.trim())) {
        Ok(holder) => holder,
        Err(why) => {
            origin.tokens.count(why);
            tracing::warn!(who = %operator.who, from = operator.from, "somebody showed a wrong token at the fleet page");
            return Ok(html(StatusCode::FORBIDDEN, frame::sign_in(Some(&operator.who)).into_string()));
        }
    };
    let operator = operator.holding(&holder);
    let asked = Asked { deed: Deed::SignIn, app: None, what: None };
    origin.actions.keep(&operator, asked, true, String::new()).await;
    // Whoever else serves this with TLS says so; then the cookie goes no other way.
    let is_secure = origin.speaks_tls() || head.headers.get("x-forwarded-proto").is_some_and(|value| value == "https");
    let mut response = to("/fleet");
    response
        .headers_mut()
        .insert(header::SET_COOKIE, origin.page.sessions.begin(&operator.who, holder.id.as_deref(), is_secure));
    Ok(response)
}

fn operator(head: &Parts, who: &str) -> Operator {
    let from = head.extensions.get::<Client>().map(|Client(address)| address.ip().to_string());
    Operator::named(Some(who), from, By::Page)
}

/// Only this page's own forms and script may post: browsers say where a request comes from.
fn own(head: &Parts) -> Result<(), ApiError> {
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let is_own = match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        // A browser from before that header, or one that reached the page without TLS, says at least this.
        None => {
            let from = text("origin").and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
            let asked = text("host").or_else(|| head.uri.authority().map(|authority| authority.as_str()));
            from.is_some() && from.map(str::to_ascii_lowercase) == asked.map(str::to_ascii_lowercase)
        }
    };
    match is_own {
        true => Ok(()),
        false => Err(ApiError::new(StatusCode::FORBIDDEN, "only the fleet page itself may ask for this")),
    }
}

fn signed_out() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "sign in at /fleet first: the session is over")
}

fn takes_json(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("json"))
}

/// `told=7`: what was done under this number is to be said.
fn told(query: &str) -> Option<u64> {
    query.strip_prefix("told=")?.parse().ok()
}

fn to(place: &str) -> Response<Body> {
    let mut response = with_type(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
    let place = HeaderValue::from_str(place).expect("BUG: the page's own paths are visible ASCII");
    response.headers_mut().insert(header::LOCATION, place);
    response
}

fn html(status: StatusCode, text: String) -> Response<Body> {
    with_type(status, HTML, text)
}

fn asset(content_type: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

fn with_type(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What every answer says to the browser, whatever it is.
fn guarded(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;

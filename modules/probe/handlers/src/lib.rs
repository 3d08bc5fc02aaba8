//! The app that tests torment: every route does one thing that a node has to survive, hide or get right.
#![cfg(target_family = "wasm")]

mod ask;
mod events;
mod files;
mod inputs;
mod looks;
mod misbehave;
mod plain;
mod random;
mod reused;
mod shared;
mod store;
mod wait;
mod write;

use nearside_sdk::bindings::handler::exports::wasi::http::incoming_handler::Guest;
use nearside_sdk::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use nearside_sdk::route::{Route, dispatch, get, post};
use nearside_sdk::{Request, Response, Result, serve};

const ROUTES: &[Route] = &[
    get("/hello", hello),
    get("/hashmap", inputs::hashmap),
    get("/clock", inputs::clock),
    get("/secret", inputs::secret),
    get("/random", random::random),
    get("/echo-inputs", inputs::echo),
    get("/all", inputs::echo),
    get("/loop", misbehave::spin),
    get("/hog", misbehave::hog),
    get("/trap", misbehave::trap),
    get("/panic", misbehave::panic),
    get("/broken-body", misbehave::broken_body),
    get("/half", misbehave::half),
    get("/big", misbehave::big),
    get("/slow", misbehave::slow),
    get("/wait", wait::wait),
    get("/visits", reused::visits),
    get("/plain", plain::page),
    get("/plain-again", plain::page),
    get("/account/{page}", inputs::echo),
    get("/portal", shared::portal),
    get("/set-cookie", shared::set_cookie),
    get("/pair", store::pair),
    get("/version", store::version),
    get("/runaway-sql", store::runaway),
    get("/cross", store::cross),
    get("/randomblob", store::randomblob),
    get("/overflow", store::overflow),
    get("/looks", looks::looks),
    get("/ask/{query}", ask::ask),
    get("/compose/{query}", ask::compose),
    get("/include", store::include),
    get("/include-loop", store::include_loop),
    get("/events", events::two),
    get("/asset", files::asset),
    post("/blob", files::blob),
    post("/bump", write::bump),
    post("/command", write::command),
    post("/task", write::task),
    post("/echo", write::echo),
];

/// Instead of `handler!`, because that always answers, and one route must not.
struct Probe;

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if request.path_with_query().as_deref() == Some("/nothing") {
            return;
        }
        serve(|request| dispatch(ROUTES, request), request, out);
    }
}

nearside_sdk::bindings::handler::export_handler!(Probe with_types_in nearside_sdk::bindings::handler);

#[global_allocator]
static ARENA: nearside_sdk::arena::Arena = nearside_sdk::arena::Arena::new();

fn hello(_: &Request) -> Result {
    Ok(Response::text("hello\n"))
}

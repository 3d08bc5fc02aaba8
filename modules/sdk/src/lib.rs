//! What a Nearside app is written with.
//!
//! An app has up to three kinds of components, each made by one macro and one function:
//!
//! | kind | macro | function | may |
//! |---|---|---|---|
//! | handler | [`handler!`] | `fn(Request) -> Result` | read by [`sql`], [`page::include`], write by [`origin`] |
//! | command | [`command!`] | `fn(&Command) -> Result<Reply, Refusal>` | read and write the [`store`] |
//! | task | [`task!`] | `fn(&Job) -> Result<(), Failure>` | call out by [`outgoing`], write by [`origin`] |
//!
//! ```ignore
//! use nearside_sdk::route::{Route, dispatch, get};
//! use nearside_sdk::{Request, Response, Result, handler};
//!
//! handler!(respond);
//!
//! const ROUTES: &[Route] = &[get("/hello/{name}", hello)];
//!
//! fn respond(request: Request) -> Result {
//!     dispatch(ROUTES, request)
//! }
//!
//! fn hello(request: &Request) -> Result {
//!     Ok(Response::text(format!("Hello, {}!", request.parameter("name"))))
//! }
//! ```
//!
//! Requests that change something need no token against forgery: the node refuses those that pages of other sites send.
//!
//! A component imports only what it calls. In builds with debug assertions that is one interface more, by which a handler
//! tells what it looked for and was not shown. Pure code is tested on the machine at hand:
//! `cargo test --target x86_64-unknown-linux-gnu`.

// What `#[derive(Row)]` writes names the SDK as apps do.
#[cfg(test)]
extern crate self as nearside_sdk;

pub mod arena;
pub mod assets;
pub mod bindings;
pub mod blob;
pub mod body;
pub mod command;
pub mod cookies;
pub mod digest;
mod error;
pub mod events;
pub mod fields;
pub mod flash;
mod hex;
mod log;
mod macros;
mod missed;
pub mod multipart;
pub mod negotiate;
pub mod origin;
pub mod outgoing;
pub mod page;
mod panics;
pub mod random;
mod request;
mod response;
pub mod route;
mod serve;
pub mod session;
pub mod signed;
pub mod sql;
pub mod store;
pub mod task;
mod variable;
pub mod webhook;

pub use cookies::{Cookies, SetCookie};
pub use error::Error;
pub use fields::Fields;
pub use http;
pub use log::log;
pub use request::Request;
pub use response::{Body, Produce, Response};
pub use serve::{send, serve};
pub use variable::variable;

/// What a handler gives back.
pub type Result<T = Response, E = Error> = std::result::Result<T, E>;

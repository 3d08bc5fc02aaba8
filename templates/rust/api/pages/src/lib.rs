//! Notes, as JSON over HTTP. Errors are problem documents (RFC 9457).

mod home;
mod note;

use nearside_sdk::route::{Route, dispatch, get, post};
use nearside_sdk::{Request, Result, handler};

handler!(respond);

const ROUTES: &[Route] =
    &[get("/", home::page), get("/notes", note::list), get("/notes/{id}", note::one), post("/notes", note::add)];

fn respond(request: Request) -> Result {
    dispatch(ROUTES, request).or_else(|error| {
        error.report();
        Ok(error.to_problem())
    })
}

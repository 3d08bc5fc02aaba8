//! The pages of the shelf. One file is one page, or several about one thing.

mod book;
mod layout;
mod note;
mod reader;
mod search;

use nearside_sdk::route::{Route, dispatch, get, post};
use nearside_sdk::{Request, Result, handler};

handler!(respond);

const ROUTES: &[Route] = &[
    get("/", book::all),
    get("/book/{id}", book::one),
    get("/search", search::page),
    post("/book/{id}/notes", note::post),
    get("/my/notes", note::mine),
];

fn respond(request: Request) -> Result {
    dispatch(ROUTES, request)
}

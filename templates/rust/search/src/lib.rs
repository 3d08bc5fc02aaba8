//! A catalogue of books, and a search in it.

mod book;
mod layout;
mod marks;
mod words;

use nearside_sdk::route::{Route, dispatch, get};
use nearside_sdk::{Request, Result, handler};

handler!(respond);

const ROUTES: &[Route] = &[get("/", book::search), get("/books/{id}", book::one)];

fn respond(request: Request) -> Result {
    dispatch(ROUTES, request)
}

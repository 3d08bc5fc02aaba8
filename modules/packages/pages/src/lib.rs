//! The pages of the package directory. One file is one page; what several share is below them.

mod home;
mod mine;
mod package;
mod review;
mod search;
mod sections;

mod day;
mod failure;
mod layout;
mod links;
mod marks;
mod number;
mod pager;
mod phrase;
mod picture;
mod stars;
mod visitor;

use nearside_sdk::route::{Route, dispatch, get, post};
use nearside_sdk::{Request, Result, handler};

handler!(respond);

const ROUTES: &[Route] = &[
    get("/", home::page),
    get("/sections", sections::all),
    get("/section/{section}", sections::one),
    get("/package/{name}", package::page),
    post("/package/{name}/reviews", review::post),
    get("/search", search::page),
    get("/my/reviews", mine::page),
    post("/my/reviews/forget", mine::forget),
];

fn respond(request: Request) -> Result {
    let by_program = request.prefers_json();
    dispatch(ROUTES, request).or_else(|error| failure::answer(error, by_program))
}

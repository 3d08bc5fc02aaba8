//! What a visitor sees when there is no page.

use maud::html;
use nearside_sdk::{Error, Response, Result};

use crate::layout::{self, SearchBox};

/// A page for people. A program gets the error as it is, which becomes a problem document.
pub(crate) fn answer(error: Error, by_program: bool) -> Result {
    if by_program {
        return Err(error);
    }
    error.report();
    let title = if error.status() == 404 { "Not found" } else { error.title() };
    let content = html! {
        div.message {
            p.eyebrow { (error.status().as_u16()) }
            h1 { (title) }
            p { (error.message()) }
            p { "You can " a href="/" { "start over" } ", or " a href="/sections" { "look through the sections" } "." }
        }
    };
    let page = layout::page(title, SearchBox::InHeader, content);
    Ok(error.dress(Response::html(page)))
}

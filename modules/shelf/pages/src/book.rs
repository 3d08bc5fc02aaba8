//! The books, and one of them with its notes.

use maud::{Markup, html};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result};

use crate::{layout, note};

#[derive(Row)]
pub(crate) struct Book {
    pub(crate) id: u32,
    pub(crate) title: String,
    author: String,
    /// None when nobody knows.
    year: Option<i32>,
    about: String,
}

pub(crate) fn all(_: &Request) -> Result {
    let books: Vec<Book> = sql::query("books", ())?.rows()?;
    Ok(layout::page("Books", html! { h1 { "Books" } (list(&books)) }))
}

pub(crate) fn one(request: &Request) -> Result {
    let book = Book::load(request.parameter("id"))?;
    document(&book, "", None)
}

impl Book {
    /// A number that is none has no book either.
    pub(crate) fn load(id: &str) -> Result<Self> {
        let id: u32 = id.parse().map_err(|_| Error::not_found())?;
        sql::query("book", (id,))?.row()?.ok_or_else(Error::not_found)
    }
}

/// The page with a note under way in its form, and perhaps what is wrong with it.
pub(crate) fn document(book: &Book, draft: &str, problem: Option<&str>) -> Result<Response> {
    let notes = note::of(book)?;
    let content = html! {
        h1 { (book.title) }
        p { (book.author) @if let Some(year) = book.year { ", " (year) } }
        p { (book.about) }
        h2 { "Notes" }
        (note::list(&notes))
        (note::form(book, draft, problem))
    };
    Ok(layout::page(&book.title, content))
}

pub(crate) fn list(books: &[Book]) -> Markup {
    html! {
        ul {
            @for book in books {
                li { a href={ "/book/" (book.id) } { (book.title) } " " small { (book.author) } }
            }
        }
    }
}

//! Books: what is searched for, and one by itself.

use maud::html;
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result};

use crate::layout::page;
use crate::marks::marked;
use crate::words::full_text;

struct Book {
    id: i64,
    title: String,
    author: String,
    year: i64,
    about: String,
}

impl Book {
    fn read(row: Row<'_>) -> Result<Self, sql::Error> {
        Ok(Self {
            id: row.get("id")?,
            title: row.get("title")?,
            author: row.get("author")?,
            year: row.get("year")?,
            about: row.get("about")?,
        })
    }
}

/// What was typed decides; without a word in it, all books are shown.
pub(crate) fn search(request: &Request) -> Result {
    let query = request.query();
    let typed = query.get("q").unwrap_or_default();
    let books = match full_text(typed) {
        Some(words) => sql::query("search", (words,))?.map(Book::read)?,
        None => sql::query("all", ())?.map(Book::read)?,
    };
    Ok(Response::html(page(
        "Books",
        html! {
            h1 { "Books" }
            form role="search" {
                input type="search" name="q" value=(typed) aria-label="Search books" placeholder="Search books" maxlength="100";
                button { "Search" }
            }
            @if books.is_empty() {
                p role="status" { "Nothing was found. Fewer words, or shorter beginnings of words, find more." }
            }
            ul.cards {
                @for book in &books {
                    li {
                        h2 { a href={ "/books/" (book.id) } { (marked(&book.title)) } }
                        p.soft { (marked(&book.author)) ", " (book.year) }
                        p { (marked(&book.about)) }
                    }
                }
            }
        },
    )))
}

pub(crate) fn one(request: &Request) -> Result {
    let id: i64 = request.parameter("id").parse().map_err(|_| Error::not_found())?;
    let book = sql::query("one", (id,))?.first(Book::read)?.ok_or_else(Error::not_found)?;
    Ok(Response::html(page(
        &book.title,
        html! {
            p { a href="/" { "All books" } }
            h1 { (book.title) }
            p.soft { (book.author) ", " (book.year) }
            p { (book.about) }
        },
    )))
}

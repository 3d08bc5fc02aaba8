//! Notes: what readers write about a book.

use maud::{Markup, html};
use nearside_sdk::http::StatusCode;
use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result};
use serde::Serialize;

use crate::book::{self, Book};
use crate::layout;
use crate::reader::Reader;

const MAX_FORM_BYTES: usize = 16 * 1024;

#[derive(Row)]
pub(crate) struct Note {
    text: String,
    day: String,
}

pub(crate) fn of(book: &Book) -> Result<Vec<Note>> {
    Ok(sql::query("notes", (book.id,))?.rows()?)
}

pub(crate) fn list(notes: &[Note]) -> Markup {
    html! {
        @if notes.is_empty() { p { "Nobody has written one yet." } }
        ul { @for note in notes { li { (note.text) " " small { (note.day) } } } }
    }
}

pub(crate) fn form(book: &Book, draft: &str, problem: Option<&str>) -> Markup {
    html! {
        form method="post" action={ "/book/" (book.id) "/notes" } {
            @if let Some(problem) = problem { p.wrong role="alert" { (problem) } }
            label { "Your note" textarea name="text" required maxlength="2000" { (draft) } }
            button { "Leave it here" }
        }
    }
}

/// What the command takes.
#[derive(Serialize)]
struct AddNote<'a> {
    book: u32,
    text: &'a str,
    reader: String,
}

/// Takes a note and leads back to the book, where it stands.
pub(crate) fn post(request: &Request) -> Result {
    let book = Book::load(request.parameter("id"))?;
    let form = request.form(MAX_FORM_BYTES)?;
    let text = form.filled("text").unwrap_or_default();
    if text.is_empty() {
        return again(&book, text, "Please write a few words.");
    }
    let reader = Reader::known_or_new(request)?;
    match origin::submit("add-note", &AddNote { book: book.id, text, reader: reader.digest() })? {
        Outcome::Applied { .. } => {
            let response = Response::see_other(&format!("/book/{}", book.id));
            Ok(match reader.cookie {
                Some(cookie) => response.with_cookie(cookie),
                None => response,
            })
        }
        Outcome::Rejected(message) => again(&book, text, &message),
        Outcome::Deferred(deferred) => Ok(deferred.response(request)),
    }
}

/// The page again, with the words still in the form.
fn again(book: &Book, text: &str, problem: &str) -> Result {
    let error = Error::new(StatusCode::UNPROCESSABLE_ENTITY, problem.to_owned());
    Ok(error.dress(book::document(book, text, Some(problem))?))
}

#[derive(Row)]
struct Mine {
    id: u32,
    title: String,
    #[row(flatten)]
    note: Note,
}

pub(crate) fn mine(request: &Request) -> Result {
    let mine: Vec<Mine> = match Reader::known(request)? {
        Some(reader) => sql::query("my-notes", (reader.digest(),))?.rows()?,
        None => Vec::new(),
    };
    let content = html! {
        h1 { "My notes" }
        @if mine.is_empty() { p { "You have not written any with this browser." } }
        ul {
            @for Mine { id, title, note } in &mine {
                li { a href={ "/book/" (id) } { (title) } ": " (note.text) " " small { (note.day) } }
            }
        }
    };
    Ok(layout::page("My notes", content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_text() {
        let notes = [Note { text: "<b>Good</b>".into(), day: "2026-01-02".into() }];
        assert!(list(&notes).into_string().contains("&lt;b&gt;Good&lt;/b&gt;"));
        assert!(list(&[]).into_string().contains("Nobody has written one yet."));
    }
}

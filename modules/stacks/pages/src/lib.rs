//! The pages of the stacks: a document, a search, and two that are for programs.

use maud::{DOCTYPE, Markup, html};
use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::route::{Route, dispatch, get, post};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result, handler};

handler!(respond);

const MAX_BODY_BYTES: usize = 256 * 1024;

const ROUTES: &[Route] = &[
    get("/document/{id}", document),
    get("/search", search),
    get("/newest", newest),
    get("/pair", pair),
    post("/write/{command}", write),
];

fn respond(request: Request) -> Result {
    dispatch(ROUTES, request)
}

#[derive(Row)]
struct Document {
    title: String,
    revision: i64,
    body: String,
}

fn document(request: &Request) -> Result {
    let id: i64 = request.parameter("id").parse().map_err(|_| Error::not_found())?;
    let document: Document = sql::query("document", (id,))?.row()?.ok_or_else(Error::not_found)?;
    Ok(page(
        &document.title,
        html! {
            p { "Revision " (document.revision) }
            p { (document.body) }
        },
    ))
}

#[derive(Row)]
struct Newest {
    revision: i64,
    documents: i64,
}

/// For programs that wait for a write: the highest revision, and how many documents there are.
fn newest(_: &Request) -> Result {
    let Newest { revision, documents } = sql::query("newest", ())?.row()?.ok_or_else(Error::not_found)?;
    Ok(Response::text(format!("{revision} {documents}\n")))
}

/// Every push keeps the two numbers equal. They come from two queries, and must be equal still.
fn pair(_: &Request) -> Result {
    let n = |query| sql::query(query, ())?.first(|row| row.get::<i64>("n"))?.ok_or_else(Error::not_found);
    Ok(Response::text(format!("{} {}\n", n("one")?, n("other")?)))
}

#[derive(Row)]
struct Found {
    id: i64,
    title: String,
    revision: i64,
}

fn search(request: &Request) -> Result {
    let query = request.query();
    let found: Vec<Found> = match query.filled("q").and_then(full_text) {
        Some(words) => sql::query("search", (words,))?.rows()?,
        None => Vec::new(),
    };
    Ok(page(
        "Search",
        html! {
            @if found.is_empty() { p { "Nothing was found." } }
            ul {
                @for found in &found {
                    li { a href={ "/document/" (found.id) } { (found.title) } ", revision " (found.revision) }
                }
            }
        },
    ))
}

/// Submits the body as a command, and gives its reply.
fn write(request: &Request) -> Result {
    let body = request.body(MAX_BODY_BYTES)?;
    let payload = String::from_utf8(body).map_err(|_| Error::bad_request("Not UTF-8."))?;
    match origin::submit_json(request.parameter("command"), &payload, None)? {
        Outcome::Applied { reply, .. } => Ok(Response::new("application/json", reply.as_str())),
        Outcome::Rejected(message) => Err(Error::bad_request(message)),
        Outcome::Deferred(deferred) => Ok(deferred.response(request)),
    }
}

/// All words must occur. In quotes, none of them is an operator.
fn full_text(typed: &str) -> Option<String> {
    let words = typed.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let quoted: Vec<String> = words.take(8).map(|word| format!("\"{word}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" "))
}

fn page(title: &str, content: Markup) -> Response {
    Response::html(html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) " · Stacks" } }
            body { h1 { (title) } (content) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::full_text;

    #[test]
    fn words_are_quoted() {
        assert_eq!(full_text(" ba  BADE").as_deref(), Some(r#""ba" "BADE""#));
        assert_eq!(full_text("\"* -"), None);
    }
}

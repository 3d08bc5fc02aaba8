//! A guestbook: a page that shows it, and a form that writes into it.

mod draft;
mod layout;

use maud::{Markup, html};
use nearside_sdk::http::StatusCode;
use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::route::{Route, dispatch, get, post};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result, handler};

use draft::Draft;
use layout::page;

handler!(respond);

const ROUTES: &[Route] = &[get("/", show), post("/entries", sign)];

const MAX_FORM_BYTES: usize = 32 * 1024;

fn respond(request: Request) -> Result {
    dispatch(ROUTES, request)
}

fn show(_: &Request) -> Result {
    Ok(Response::html(guestbook(&Draft::default(), None)?))
}

/// Takes an entry and leads back to the page, where it stands: a reload shows the page and sends nothing again.
fn sign(request: &Request) -> Result {
    let draft = Draft::read(&request.form(MAX_FORM_BYTES)?);
    if let Err(problem) = draft.check() {
        return again(&draft, &Error::new(StatusCode::UNPROCESSABLE_ENTITY, problem));
    }
    match origin::submit("sign", &draft) {
        Ok(Outcome::Applied { .. }) => Ok(Response::see_other("/")),
        Ok(Outcome::Deferred(deferred)) => Ok(deferred.response(request)),
        Ok(Outcome::Rejected(message)) => again(&draft, &Error::new(StatusCode::UNPROCESSABLE_ENTITY, message)),
        Err(error) => again(&draft, &error.into()),
    }
}

/// The same page with the words still in the form: nobody should have to write them twice.
fn again(draft: &Draft, error: &Error) -> Result {
    error.report();
    Ok(error.dress(Response::html(guestbook(draft, Some(error.message()))?)))
}

fn guestbook(draft: &Draft, problem: Option<&str>) -> Result<Markup> {
    let entries = sql::query("newest", ())?.map(entry)?;
    Ok(page(
        "Guestbook",
        html! {
            h1 { "Guestbook" }
            (form(draft, problem))
            ul.cards { @for entry in &entries { (entry) } }
            @if entries.is_empty() { p.soft { "Nobody has written anything yet." } }
        },
    ))
}

fn entry(row: Row<'_>) -> Result<Markup, sql::Error> {
    let (name, message, day): (&str, &str, &str) = (row.get("name")?, row.get("message")?, row.get("day")?);
    Ok(html! {
        li {
            h2 { (name) }
            p.text { (message) }
            p.soft { time datetime=(day) { (day) } }
        }
    })
}

fn form(draft: &Draft, problem: Option<&str>) -> Markup {
    html! {
        form.tall method="post" action="/entries" {
            @if let Some(problem) = problem { p.wrong role="alert" { (problem) } }
            label { "Your name" input name="name" required maxlength="80" autocomplete="nickname" value=(draft.name); }
            label { "Your message" textarea name="message" required rows="4" maxlength="2000" { (draft.message) } }
            button { "Sign the guestbook" }
        }
    }
}

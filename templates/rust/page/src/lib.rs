//! The one page of this site.

use maud::{DOCTYPE, Markup, html};
use nearside_sdk::route::{Route, dispatch, get};
use nearside_sdk::{Request, Response, Result, handler};

handler!(respond);

const ROUTES: &[Route] = &[get("/", hello)];

fn respond(request: Request) -> Result {
    dispatch(ROUTES, request)
}

fn hello(request: &Request) -> Result {
    let query = request.query();
    let name = query.filled("name").unwrap_or("world");
    Ok(Response::html(page(
        "{{name}}",
        html! {
            h1 { "Hello, " (name) "!" }
            form {
                input name="name" aria-label="Your name" placeholder="Your name" maxlength="80" autocomplete="given-name";
                button { "Greet me" }
            }
            p.soft { "Rendered next to you, and kept until the next push." }
        },
    )))
}

/// The frame around every page.
fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="/static/style.css";
            }
            body { main { (content) } }
        }
    }
}

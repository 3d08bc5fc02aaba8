//! For whoever opens the address in a browser.

use maud::{DOCTYPE, html};
use nearside_sdk::{Request, Response, Result};

pub(crate) fn page(_: &Request) -> Result {
    Ok(Response::html(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "{{name}}" }
                link rel="stylesheet" href="/static/style.css";
            }
            body {
                main {
                    h1 { "{{name}}" }
                    p { "Notes, as JSON:" }
                    ul {
                        li { code { "GET " a href="/notes" { "/notes" } } " with " code { "after" } " and " code { "limit" } }
                        li { code { "GET /notes/{id}" } }
                        li { code { "POST /notes" } " with " code { "{\"title\": …, \"text\": …}" } }
                    }
                    p.soft { "Errors are problem documents, RFC 9457." }
                }
            }
        }
    }))
}

//! The frame around every page.

use maud::{DOCTYPE, Markup, html};
use nearside_sdk::{Response, assets};

pub(crate) fn page(title: &str, content: Markup) -> Response {
    Response::html(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Shelf" }
                link rel="stylesheet" href=(assets::url("style.css"));
            }
            body {
                header {
                    a href="/" { "Shelf" }
                    a href="/my/notes" { "My notes" }
                    form action="/search" { input type="search" name="q" aria-label="Search" placeholder="Search"; }
                }
                main { (content) }
            }
        }
    })
}

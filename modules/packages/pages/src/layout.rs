//! The frame around every page.

use maud::{DOCTYPE, Markup, html};
use nearside_sdk::assets;

use crate::links;

/// Where a page has its search box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchBox {
    InHeader,
    /// The page brings its own.
    InContent,
}

/// A whole document.
pub(crate) fn page(title: &str, search: SearchBox, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Package Directory" }
                link rel="icon" type="image/svg+xml" href=(assets::url("logo.svg"));
                link rel="stylesheet" href=(assets::url("style.css"));
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.site {
                    a.brand href="/" { (mark()) "Package Directory" }
                    @if search == SearchBox::InHeader { (search_box("", html! {})) }
                    nav aria-label="Site" {
                        a href="/sections" { "Sections" }
                        a href=(links::MY_REVIEWS) { "My reviews" }
                    }
                }
                main #content tabindex="-1" { (content) }
                footer.site {
                    p { "Rendered close to you, from a copy of the catalogue that is right here." }
                }
            }
        }
    }
}

/// The form that leads to the results. `also` is what it carries along, such as filters.
pub(crate) fn search_box(text: &str, also: Markup) -> Markup {
    html! {
        form.search role="search" action="/search" {
            input type="search" name="q" value=(text) aria-label="Search packages" placeholder="Search packages"
                maxlength="200" autocapitalize="off" autocomplete="off" spellcheck="false";
            (also)
            button { "Search" }
        }
    }
}

fn mark() -> Markup {
    html! {
        svg viewBox="0 0 16 16" aria-hidden="true" {
            path d="M2.5 5 8 2l5.5 3v6L8 14l-5.5-3zM2.5 5 8 8l5.5-3M8 8v6";
        }
    }
}

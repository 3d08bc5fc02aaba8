//! The frame around every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Small enough to travel with each page: no second request stands between a visitor and the text.
const STYLE: &str = include_str!("style.css");

/// A crate, as a picture in the address itself.
const ICON: &str = "data:image/svg+xml,\
    %3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Crect width='16' height='16' rx='4' fill='%23b3214b'/%3E\
    %3Cpath d='M3.5 6 8 3.5 12.5 6v4.5L8 13l-4.5-2.5zM3.5 6 8 8.5 12.5 6M8 8.5V13' \
    fill='none' stroke='%23fff' stroke-width='1.2' stroke-linejoin='round'/%3E%3C/svg%3E";

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
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.site {
                    a.brand href="/" { (mark()) "Package Directory" }
                    @if search == SearchBox::InHeader { (search_box("", html! {})) }
                    nav aria-label="Site" { a href="/sections" { "Sections" } }
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

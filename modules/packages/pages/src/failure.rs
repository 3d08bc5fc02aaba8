//! What a visitor sees when there is no page.

use maud::{Markup, html};
use nearside_sdk::{Error, Response, Result};

use crate::layout::{self, SearchBox};

/// A page for people. A program gets the error as it is, which becomes a problem document.
pub(crate) fn answer(error: Error, by_program: bool) -> Result {
    if by_program {
        return Err(error);
    }
    error.report();
    let title = if error.status() == 404 { "Not found" } else { error.title() };
    Ok(error.dress(Response::html(document(error.status().as_str(), title, error.message()))))
}

fn document(eyebrow: &str, title: &str, message: &str) -> Markup {
    let content = html! {
        div.message {
            p.eyebrow { (eyebrow) }
            h1 { (title) }
            p { (message) }
            p { "You can " a href="/" { "start over" } ", or " a href="/sections" { "look through the sections" } "." }
        }
    };
    layout::page(title, SearchBox::InHeader, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the node shows by itself is these pages, as files that need no rendering.
    #[test]
    fn the_static_pages_are_those_of_the_site() {
        let not_found = Error::not_found();
        let busy = "This page could not be made just now. Please try again in a moment.";
        for (file, expected) in [
            ("404.html", document("404", "Not found", not_found.message())),
            ("5xx.html", document("Sorry", "Not just now", busy)),
        ] {
            let path = format!("{}/../static/{file}", env!("CARGO_MANIFEST_DIR"));
            let expected = expected.into_string() + "\n";
            if std::fs::read_to_string(&path).ok().as_ref() != Some(&expected) {
                let fresh = std::env::temp_dir().join(file);
                std::fs::write(&fresh, expected).unwrap();
                panic!("static/{file} is not what the site looks like: put {} in its place", fresh.display());
            }
        }
    }
}

//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

pub(crate) fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · {{name}}" }
                link rel="stylesheet" href="/static/style.css";
            }
            body { main { (content) } }
        }
    }
}

//! The first page.

use maud::html;
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Request, Response, Result};

use crate::day::day;
use crate::layout::{self, SearchBox, search_box};
use crate::links;
use crate::number::number;
use crate::package::Review;
use crate::picture::picture;
use crate::sections::{self, Section};
use crate::stars::stars;

/// How many sections are shown; the others are a click away.
const LARGEST_SECTIONS: usize = 18;

/// Longer reviews end in an ellipsis here.
const REVIEW_CHARS: usize = 160;

#[derive(Row)]
struct Recent {
    package: String,
    summary: String,
    #[row(flatten)]
    review: Review,
}

pub(crate) fn page(_: &Request) -> Result {
    let mut sections = Section::all()?;
    let recent: Vec<Recent> = sql::query("recent-reviews", ())?.rows()?;
    let packages: u64 = sections.iter().map(|section| section.packages).sum();
    let all = sections.len() as u64;
    sections.sort_by_key(|section| std::cmp::Reverse(section.packages));
    sections.truncate(LARGEST_SECTIONS);

    let content = html! {
        div.hero {
            h1 { "Find the package." }
            p.lead { "Search " strong { (number(packages)) } " packages by name, by what they do, or by both." }
            (search_box("", html! {}))
            p.hint { "Try " a href=(links::search("image viewer", None, None, 1)) { "image viewer" } ", "
                a href=(links::search("\"real time\"", None, None, 1)) { "“real time”" } " or "
                a href=(links::search("python3-num*", None, None, 1)) { "python3-num*" } "." }
        }
        section aria-labelledby="sections" {
            h2 #sections { "Sections" a.more href="/sections" { "All " (number(all)) } }
            (sections::list(&sections))
        }
        @if !recent.is_empty() {
            section aria-labelledby="recent" {
                h2 #recent { "Recently reviewed" }
                ul.cards {
                    @for Recent { package, summary, review } in &recent {
                        li {
                            h3 { a.name href=(links::reviews(package)) { (package) } }
                            p.summary { (summary) }
                            (picture(review))
                            p { (stars(review.rating)) " " (shortened(&review.body)) }
                            p.byline { (review.author) ", " (day(review.posted_at)) }
                        }
                    }
                }
            }
        }
    };
    Ok(Response::html(layout::page("Find software", SearchBox::InContent, content)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(REVIEW_CHARS) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ü".repeat(200)), format!("{}…", "ü".repeat(REVIEW_CHARS)));
    }
}

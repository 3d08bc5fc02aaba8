//! The sections of the catalogue, and what is in one.

use maud::{Markup, html};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result};

use crate::layout::{self, SearchBox};
use crate::links;
use crate::number::{count, number};
use crate::pager::Pager;
use crate::stars::{average, stars};

const ROWS: u32 = 50;

/// SQL skips rows one by one, so there is an end to it.
const MAX_LISTED: u32 = 20_000;

#[derive(Row)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) packages: u64,
}

impl Section {
    /// By name.
    pub(crate) fn all() -> Result<Vec<Self>, sql::Error> {
        sql::query("sections", ())?.rows()
    }
}

#[derive(Row)]
struct Listed {
    name: String,
    version: String,
    summary: String,
    /// NULL, like its stars, when there are none.
    #[row(default)]
    reviews: u32,
    #[row(default)]
    stars: u32,
}

/// All of them.
pub(crate) fn all(_: &Request) -> Result {
    let sections = Section::all()?;
    let content = html! {
        h1 { "Sections" }
        p.lead { "Every package is in exactly one of " (count(sections.len() as u64, "section", "sections")) "." }
        (list(&sections))
    };
    Ok(Response::html(layout::page("Sections", SearchBox::InHeader, content)))
}

/// The packages of one.
pub(crate) fn one(request: &Request) -> Result {
    let name = request.parameter("section");
    let packages: Option<u32> = sql::query("section", (name,))?.first(|row| row.get("packages"))?;
    let packages = packages.ok_or_else(Error::not_found)?;
    let pager = Pager::new(request.query().read("page"), packages.min(MAX_LISTED), ROWS);
    let listed: Vec<Listed> = sql::query("section-packages", (name, pager.rows(), pager.offset()))?.rows()?;

    let content = html! {
        p.eyebrow { a href="/sections" { "Sections" } }
        h1 { (name) }
        p.lead { (count(packages.into(), "package", "packages")) ", by name" }
        ul.results {
            @for package in &listed {
                li {
                    h2 {
                        a.name href=(links::package(&package.name)) { (package.name) } " "
                        small { (package.version) }
                        @if let Some((_, rating)) = average(package.reviews, package.stars) { " " (stars(rating)) }
                    }
                    p { (package.summary) }
                }
            }
        }
        (pager.links(|page| links::section_page(name, page)))
    };
    Ok(Response::html(layout::page(&format!("Section {name}"), SearchBox::InHeader, content)))
}

/// A grid of sections. A bar under each shows its share of the largest.
pub(crate) fn list(sections: &[Section]) -> Markup {
    let largest = sections.iter().map(|section| section.packages).max().unwrap_or(1).max(1);
    html! {
        ul.sections {
            @for section in sections {
                li style=(format!("--share:{}%", section.packages * 100 / largest)) {
                    a href=(links::section(&section.name)) { (section.name) }
                    span { (number(section.packages)) }
                }
            }
        }
    }
}

//! One package: what it is, what it needs and is needed by, and what people say about it.

use maud::{Markup, html};
use nearside_sdk::sql::{self, Json, Row};
use nearside_sdk::{Error, Request, Response, Result};
use serde::Serialize;

use crate::day::day;
use crate::layout::{self, SearchBox};
use crate::links;
use crate::number::{count, number, size};
use crate::picture::{Thumbnail, picture};
use crate::review::{self, Draft};
use crate::stars::{average, stars};

#[derive(Row, Serialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: String,
    section: String,
    summary: String,
    description: String,
    homepage: Option<String>,
    maintainer: String,
    size_bytes: u64,
    tags: Json<Vec<String>>,
    #[row(flatten)]
    rating: Rating,
    // These come by queries of their own.
    #[row(skip)]
    dependencies: Vec<Dependency>,
    #[row(flatten)]
    dependents: Dependents,
    #[row(skip)]
    reviews: Vec<Review>,
}

#[derive(Row, Serialize)]
struct Rating {
    reviews: u32,
    stars: u32,
}

#[derive(Row, Serialize)]
struct Dependency {
    name: String,
    /// None when the catalogue has no such package.
    summary: Option<String>,
}

#[derive(Row, Serialize)]
struct Dependents {
    #[row(rename = "dependents")]
    total: u64,
    #[row(skip)]
    first: Vec<String>,
}

#[derive(Row, Serialize)]
pub(crate) struct Review {
    pub(crate) author: String,
    pub(crate) rating: u32,
    pub(crate) body: String,
    pub(crate) posted_at: i64,
    pub(crate) thumbnail: Option<Json<Thumbnail>>,
    /// It came with a picture, of which there is no thumbnail yet.
    pub(crate) picture_waits: bool,
}

impl Package {
    /// All of it, from one release.
    pub(crate) fn load(name: &str) -> Result<Option<Self>, sql::Error> {
        let Some(mut package) = sql::query("package", (name,))?.row::<Self>()? else { return Ok(None) };
        package.maintainer = without_address(&package.maintainer).to_owned();
        package.dependencies = sql::query("dependencies", (name,))?.rows()?;
        package.dependents.first = sql::query("dependents", (name,))?.map(|row| row.get("name"))?;
        package.reviews = sql::query("reviews", (name,))?.rows()?;
        Ok(Some(package))
    }

    /// Whatever else is in that field, only a web address becomes a link.
    fn web_address(&self) -> Option<&str> {
        self.homepage.as_deref().filter(|url| url.starts_with("https://") || url.starts_with("http://"))
    }
}

pub(crate) fn page(request: &Request) -> Result {
    let package = Package::load(request.parameter("name"))?.ok_or_else(Error::not_found)?;
    if request.negotiate(&["text/html", "application/json"]) == "application/json" {
        return Response::json(&package);
    }
    Ok(Response::html(document(&package, &Draft::default(), None)))
}

/// The page with a review under way in its form, and perhaps what was wrong with it.
pub(crate) fn document(package: &Package, draft: &Draft, problem: Option<&str>) -> Markup {
    let content = html! {
        article {
            (head(package))
            (facts(package))
            @if !package.description.is_empty() { (prose(&package.description)) }
            (tags(&package.tags.0))
            (dependencies(&package.dependencies))
            (dependents(&package.dependents))
        }
        section #reviews aria-labelledby="reviews-title" {
            h2 #reviews-title { "Reviews" }
            (reviews(&package.reviews))
            (review::form(&package.name, draft, problem))
        }
    };
    layout::page(&package.name, SearchBox::InHeader, content)
}

fn head(package: &Package) -> Markup {
    html! {
        p.eyebrow { a href=(links::section(&package.section)) { (package.section) } }
        h1.name { (package.name) }
        p.lead { (package.summary) }
        @if let Some((exactly, about)) = average(package.rating.reviews, package.rating.stars) {
            p { (stars(about)) " " (exactly) " of 5, from "
                a href="#reviews" { (count(package.rating.reviews.into(), "review", "reviews")) } }
        }
    }
}

fn facts(package: &Package) -> Markup {
    html! {
        dl.facts {
            div { dt { "Version" } dd { (package.version) } }
            div { dt { "Download" } dd { (size(package.size_bytes)) } }
            div { dt { "Maintainer" } dd { (package.maintainer) } }
            @if let Some(url) = package.web_address() {
                div { dt { "Homepage" } dd { a href=(url) rel="external nofollow" { (without_scheme(url)) } } }
            }
        }
    }
}

/// Paragraphs stand apart by an empty line; the lines within them are kept, for lists are made of them.
pub(crate) fn prose(text: &str) -> Markup {
    html! {
        div.prose { @for paragraph in text.split("\n\n") { p { (paragraph.trim_end()) } } }
    }
}

fn tags(tags: &[String]) -> Markup {
    html! {
        @if !tags.is_empty() {
            h2 { "Tags" }
            ul.chips { @for tag in tags { li { a rel="tag" href=(links::tag(tag)) { (tag) } } } }
        }
    }
}

fn dependencies(dependencies: &[Dependency]) -> Markup {
    html! {
        @if !dependencies.is_empty() {
            h2 { "Needs" }
            ul.pairs {
                @for Dependency { name, summary } in dependencies {
                    li {
                        @if let Some(summary) = summary {
                            a.name href=(links::package(name)) { (name) } span { (summary) }
                        } @else {
                            span.name { (name) } span { "not in the catalogue" }
                        }
                    }
                }
            }
        }
    }
}

fn dependents(dependents: &Dependents) -> Markup {
    let others = dependents.total.saturating_sub(dependents.first.len() as u64);
    html! {
        @if dependents.total > 0 {
            h2 { "Needed by " (count(dependents.total, "package", "packages")) }
            ul.chips {
                @for name in &dependents.first { li { a.name href=(links::package(name)) { (name) } } }
                @if others > 0 { li { "and " (number(others)) " more" } }
            }
        }
    }
}

fn reviews(reviews: &[Review]) -> Markup {
    html! {
        @if reviews.is_empty() { p.hint { "Nobody has written one yet." } }
        ul.cards.wide {
            @for review in reviews {
                li {
                    p { (stars(review.rating)) " " strong { (review.author) } ", " (day(review.posted_at)) }
                    (prose(&review.body))
                    (picture(review))
                }
            }
        }
    }
}

/// The address beside a name is not for harvesters.
fn without_address(person: &str) -> &str {
    person.split('<').next().unwrap_or_default().trim()
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

//! Search: words, filters and pages in the address, HTML or JSON out.

mod html;
mod json;

use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Fields, Request, Response, Result};
use serde::Serialize;

use crate::links;
use crate::marks::has_marks;
use crate::pager::Pager;
use crate::phrase::full_text;

const ROWS: u32 = 20;

/// Where `search-facets` stops counting: then there are this many or more.
const MAX_COUNTED: u32 = 1000;

/// What is asked for.
struct Search {
    text: String,
    section: Option<String>,
    tag: Option<String>,
    page: Option<u32>,
}

/// What a search finds.
struct Found {
    pager: Pager,
    total: u32,
    sections: Vec<Facet>,
    tags: Vec<Facet>,
    hits: Vec<Hit>,
    /// What was perhaps meant, where nothing was found.
    meant: Option<String>,
}

#[derive(Serialize)]
struct Facet {
    value: String,
    packages: u32,
}

/// The marks of [`crate::marks`] are still in its texts.
struct Hit {
    name: String,
    version: String,
    section: String,
    marked_name: String,
    marked_summary: String,
    excerpt: Option<String>,
}

pub(crate) fn page(request: &Request) -> Result {
    let search = Search::read(&request.query());
    let found = search.run()?;
    if request.negotiate(&["text/html", "application/json"]) == "application/json" {
        return Response::json(&json::Document::new(&search, found.as_ref()));
    }
    if let (None, Some(section)) = (&found, &search.section) {
        return Ok(Response::see_other(&links::section(section)));
    }
    Ok(Response::html(search.document(found.as_ref())))
}

impl Search {
    fn read(query: &Fields) -> Self {
        Self {
            text: short(query.get("q").unwrap_or_default()),
            section: query.filled("section").map(short),
            tag: query.filled("tag").map(short),
            page: query.read("page"),
        }
    }

    /// None when there is neither a word nor a tag to look for.
    fn run(&self) -> Result<Option<Found>, sql::Error> {
        let (section, tag) = (self.section.as_deref(), self.tag.as_deref());
        if let Some(words) = full_text(&self.text) {
            let words = words.as_str();
            let facets = sql::query("search-facets", (words, section, tag))?;
            let mut found = Found::collect(&facets, self.page, |pager| {
                let hits =
                    sql::query("search", (words, section, tag, pager.rows(), pager.offset()))?.map(Hit::ranked)?;
                self.with_exact(hits, pager)
            })?;
            if found.total == 0 {
                found.meant = sql::query("spelling", (self.text.as_str(),))?.first(|row| row.get("text"))?;
            }
            return Ok(Some(found));
        }
        let Some(tag) = tag else { return Ok(None) };
        let facets = sql::query("tagged-facets", (tag, section))?;
        let found = Found::collect(&facets, self.page, |pager| {
            sql::query("tagged", (tag, section, pager.rows(), pager.offset()))?.map(Hit::plain)
        });
        found.map(Some)
    }

    /// Who types a whole name means that package, however often others mention it.
    fn with_exact(&self, mut hits: Vec<Hit>, pager: Pager) -> Result<Vec<Hit>, sql::Error> {
        let typed = self.text.trim().to_lowercase();
        let filtered = self.section.is_some() || self.tag.is_some();
        let place = hits.iter().position(|hit| hit.name == typed);
        match place {
            Some(place) => hits[..=place].rotate_right(1),
            None if pager.is_first() && !filtered => {
                let exact = sql::query("exact", (typed,))?.first(Hit::plain)?;
                hits.splice(..0, exact);
            }
            None => {}
        }
        Ok(hits)
    }

    fn link(&self, page: u32) -> String {
        links::search(&self.text, self.section.as_deref(), self.tag.as_deref(), page)
    }

    /// Other words, with the same filters.
    fn with_text(&self, text: &str) -> String {
        links::search(text, self.section.as_deref(), self.tag.as_deref(), 1)
    }

    fn with_section(&self, section: Option<&str>) -> String {
        links::search(&self.text, section, self.tag.as_deref(), 1)
    }

    fn with_tag(&self, tag: Option<&str>) -> String {
        links::search(&self.text, self.section.as_deref(), tag, 1)
    }
}

/// No more than anybody types: a query has its limits, too.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

impl Found {
    /// Counts first, so that a page past the end becomes the last one before anything is fetched for it.
    fn collect(
        counts: &sql::Rows,
        page: Option<u32>,
        hits: impl FnOnce(Pager) -> Result<Vec<Hit>, sql::Error>,
    ) -> Result<Self, sql::Error> {
        let (mut total, mut sections, mut tags) = (0, Vec::new(), Vec::new());
        for row in counts.iter() {
            let facet = Facet { value: row.get("value")?, packages: row.get("packages")? };
            match row.get("kind")? {
                "total" => total = facet.packages,
                "section" => sections.push(facet),
                _ => tags.push(facet),
            }
        }
        let pager = Pager::new(page, total, ROWS);
        let hits = if total == 0 { Vec::new() } else { hits(pager)? };
        Ok(Self { pager, total, sections, tags, hits, meant: None })
    }
}

impl Hit {
    fn ranked(row: Row<'_>) -> Result<Self, sql::Error> {
        Ok(Self {
            name: row.get("name")?,
            version: row.get("version")?,
            section: row.get("section")?,
            marked_name: row.get("marked_name")?,
            marked_summary: row.get("marked_summary")?,
            excerpt: Some(row.get("excerpt")?).filter(|excerpt: &String| has_marks(excerpt)),
        })
    }

    fn plain(row: Row<'_>) -> Result<Self, sql::Error> {
        Ok(Self {
            name: row.get("name")?,
            version: row.get("version")?,
            section: row.get("section")?,
            marked_name: row.get("name")?,
            marked_summary: row.get("summary")?,
            excerpt: None,
        })
    }
}

//! The results for programs.

use serde::Serialize;

use super::{Facet, Found, Hit, Search};
use crate::links;
use crate::marks::plain;

/// The whole answer.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    q: &'a str,
    section: Option<&'a str>,
    tag: Option<&'a str>,
    page: u32,
    pages: u32,
    /// Counted up to a thousand.
    total: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    meant: Option<&'a str>,
    results: Vec<Item<'a>>,
    sections: &'a [Facet],
    tags: &'a [Facet],
}

#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    version: &'a str,
    section: &'a str,
    summary: String,
    url: String,
}

impl<'a> Document<'a> {
    pub(super) fn new(search: &'a Search, found: Option<&'a Found>) -> Self {
        Self {
            q: &search.text,
            section: search.section.as_deref(),
            tag: search.tag.as_deref(),
            page: found.map_or(1, |found| found.pager.page()),
            pages: found.map_or(1, |found| found.pager.pages()),
            total: found.map_or(0, |found| found.total),
            meant: found.and_then(|found| found.meant.as_deref()),
            results: found.map_or(&[][..], |found| &found.hits).iter().map(Item::new).collect(),
            sections: found.map_or(&[], |found| &found.sections),
            tags: found.map_or(&[], |found| &found.tags),
        }
    }
}

impl<'a> Item<'a> {
    fn new(hit: &'a Hit) -> Self {
        Self {
            name: &hit.name,
            version: &hit.version,
            section: &hit.section,
            summary: plain(&hit.marked_summary),
            url: links::package(&hit.name),
        }
    }
}

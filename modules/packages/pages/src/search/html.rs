//! The results for people.

use maud::{Markup, html};

use super::{Facet, Found, Hit, MAX_COUNTED, Search};
use crate::layout::{self, SearchBox, search_box};
use crate::links;
use crate::marks::marked;
use crate::number::{count, number};

impl Search {
    pub(super) fn document(&self, found: Option<&Found>) -> Markup {
        let title = if self.text.trim().is_empty() { "Search" } else { &self.text };
        let content = html! {
            h1.quiet { "Search" }
            (search_box(&self.text, self.filters_kept()))
            @match found {
                None => p.hint {
                    "Type words that must all occur. " kbd { "\"two words\"" } " stand side by side, and "
                    kbd { "lib*" } " is any word that begins so."
                },
                Some(found) if found.hits.is_empty() => {
                    (self.filters_set())
                    p.lead role="status" { "Nothing was found." }
                    @if let Some(meant) = &found.meant {
                        p { "Did you mean " a href=(self.with_text(meant)) { (meant) } "?" }
                    }
                    p.hint { "Fewer words, or a shorter beginning of a word, find more." }
                },
                Some(found) => {
                    (self.filters_set())
                    div.columns {
                        div {
                            p.hint role="status" { (found.total()) }
                            ul.results { @for hit in &found.hits { (hit.item()) } }
                            (found.pager.links(|page| self.link(page)))
                        }
                        aside aria-label="Narrow the search" {
                            (facets("Sections", &found.sections, self.section.as_deref(), |value| self.with_section(value)))
                            (facets("Tags", &found.tags, self.tag.as_deref(), |value| self.with_tag(value)))
                        }
                    }
                },
            }
        };
        layout::page(title, SearchBox::InContent, content)
    }

    /// New words keep the filters.
    fn filters_kept(&self) -> Markup {
        html! {
            @if let Some(section) = &self.section { input type="hidden" name="section" value=(section); }
            @if let Some(tag) = &self.tag { input type="hidden" name="tag" value=(tag); }
        }
    }

    /// A filter is taken off by a click on it.
    fn filters_set(&self) -> Markup {
        html! {
            @if self.section.is_some() || self.tag.is_some() {
                ul.chips.set aria-label="Filters" {
                    @if let Some(section) = &self.section {
                        li { a href=(self.with_section(None)) title="Remove this filter" { "section " (section) } }
                    }
                    @if let Some(tag) = &self.tag {
                        li { a href=(self.with_tag(None)) title="Remove this filter" { "tag " (tag) } }
                    }
                }
            }
        }
    }
}

impl Found {
    fn total(&self) -> String {
        if self.total < MAX_COUNTED {
            count(self.total.into(), "package", "packages")
        } else {
            format!("{} or more packages", number(self.total.into()))
        }
    }
}

impl Hit {
    fn item(&self) -> Markup {
        html! {
            li {
                h2 {
                    a.name href=(links::package(&self.name)) { (marked(&self.marked_name)) } " "
                    small { (self.version) " · " (self.section) }
                }
                p { (marked(&self.marked_summary)) }
                @if let Some(excerpt) = &self.excerpt { p.excerpt { (marked(excerpt)) } }
            }
        }
    }
}

/// What is chosen already needs no link.
fn facets(title: &str, facets: &[Facet], chosen: Option<&str>, link: impl Fn(Option<&str>) -> String) -> Markup {
    html! {
        @if facets.iter().any(|facet| chosen != Some(&facet.value)) {
            h2 { (title) }
            ul.facets {
                @for Facet { value, packages } in facets.iter().filter(|facet| chosen != Some(&facet.value)) {
                    li { a href=(link(Some(value))) { (value) } span { (number((*packages).into())) } }
                }
            }
        }
    }
}

//! The results of a search, for people.

use std::fmt::{Result as FmtResult, Write};

use super::super::frame::{self, SearchBox, number, search_box, value};
use super::super::markup::Escaped;
use super::super::search::{Facet, Found, MARKS};

/// Where the app's statement stops counting.
const MAX_COUNTED: u32 = 1_000;

pub(super) fn page(found: &Found<'_>) -> Vec<u8> {
    frame::page(found.q, SearchBox::InContent, |page| {
        page.write_str("<h1 class=\"quiet\">Search</h1>")?;
        search_box(page, found.q)?;
        if found.results.is_empty() {
            return page.write_str(
                "<p class=\"lead\" role=\"status\">Nothing was found.</p>\
                 <p class=\"hint\">Fewer words, or a shorter beginning of a word, find more.</p>",
            );
        }
        let (count, more) = (number(found.total.into()), if found.total < MAX_COUNTED { "" } else { " or more" });
        write!(
            page,
            "<div class=\"columns\"><div><p class=\"hint\" role=\"status\">{count}{more} packages</p><ul class=\"results\">"
        )?;
        for package in &found.results {
            let (link, name, version) = (&package.url, marked(&package.marked.name), Escaped(&package.version));
            let (section, summary) = (Escaped(&package.section), marked(&package.marked.summary));
            write!(
                page,
                "<li><h2><a class=\"name\" href=\"{link}\">{name}</a> <small>{version} · {section}</small></h2><p>{summary}</p>"
            )?;
            if let Some(excerpt) = &package.marked.excerpt {
                write!(page, "<p class=\"excerpt\">{}</p>", marked(excerpt))?;
            }
            page.write_str("</li>")?;
        }
        page.write_str("</ul>")?;
        if found.pages > 1 {
            let q = value(found.q);
            write!(
                page,
                "<nav class=\"pager\" aria-label=\"Pages\"><span>Page 1 of {}</span>\
                 <a rel=\"next\" href=\"/search?q={q}&amp;page=2\">Next →</a></nav>",
                found.pages,
            )?;
        }
        page.write_str("</div><aside aria-label=\"Narrow the search\">")?;
        facets(page, "Sections", "section", found.q, &found.sections)?;
        facets(page, "Tags", "tag", found.q, &found.tags)?;
        page.write_str("</aside></div>")
    })
}

fn facets(page: &mut String, title: &str, parameter: &str, q: &str, facets: &[Facet]) -> FmtResult {
    if facets.is_empty() {
        return Ok(());
    }
    write!(page, "<h2>{title}</h2><ul class=\"facets\">")?;
    let q = value(q);
    for Facet { value: facet, packages } in facets {
        let (link, text, packages) = (value(facet), Escaped(facet), number((*packages).into()));
        write!(page, "<li><a href=\"/search?q={q}&amp;{parameter}={link}\">{text}</a><span>{packages}</span></li>")?;
    }
    page.write_str("</ul>")
}

/// The words found in `<mark>`. Every text of SQLite's has its marks in pairs.
fn marked(text: &str) -> String {
    let [open, close] = MARKS;
    Escaped(text).to_string().replace(open, "<mark>").replace(close, "</mark>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_tags_and_the_rest_is_escaped() {
        assert_eq!(marked("a \u{1}<b>\u{2} & c"), "a <mark>&lt;b&gt;</mark> &amp; c");
    }
}

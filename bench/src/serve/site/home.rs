//! The first page, and the list of all sections.

use std::fmt::{Result as FmtResult, Write};

use anyhow::Result;

use super::super::frame::{self, SearchBox, number, search_box, stars};
use super::super::markup::{Escaped, Link, PACKAGE, PLAIN_IN_A_SEGMENT};
use super::super::native::Reader;
use super::super::package::Thumbnail;
use crate::request::percent_encode_except;

const LARGEST_SECTIONS: usize = 18;
/// Longer reviews end in an ellipsis here.
const REVIEW_CHARS: usize = 160;

struct Section {
    name: String,
    packages: u32,
}

struct Recent {
    package: String,
    author: String,
    rating: u32,
    body: String,
    posted_at: i64,
    thumbnail: Option<Thumbnail>,
    summary: String,
}

pub(super) fn page(reader: &Reader<'_>) -> Result<Vec<u8>> {
    let mut sections = sections(reader)?;
    let mut recent = Vec::new();
    reader.rows("recent-reviews", [], |row| {
        recent.push(Recent {
            package: row.get(0)?,
            author: row.get(1)?,
            rating: row.get(2)?,
            body: row.get(3)?,
            posted_at: row.get(4)?,
            thumbnail: Thumbnail::read(row.get_ref(5)?.as_str_or_null()?),
            summary: row.get(7)?,
        });
        Ok(())
    })?;
    let packages = sections.iter().map(|section| u64::from(section.packages)).sum();
    let all = sections.len() as u64;
    sections.sort_by_key(|section| std::cmp::Reverse(section.packages));
    sections.truncate(LARGEST_SECTIONS);
    Ok(frame::page("Find software", SearchBox::InContent, |page| {
        write!(
            page,
            "<div class=\"hero\"><h1>Find the package.</h1><p class=\"lead\">Search <strong>{}</strong> packages by name, \
             by what they do, or by both.</p>",
            number(packages),
        )?;
        search_box(page, "")?;
        page.write_str(
            "<p class=\"hint\">Try <a href=\"/search?q=image+viewer\">image viewer</a>, \
             <a href=\"/search?q=%22real+time%22\">“real time”</a> or <a href=\"/search?q=python3-num*\">python3-num*</a>.</p>\
             </div><section aria-labelledby=\"sections\"><h2 id=\"sections\">Sections",
        )?;
        write!(page, "<a class=\"more\" href=\"/sections\">All {}</a></h2>", number(all))?;
        list(page, &sections)?;
        page.write_str("</section>")?;
        if recent.is_empty() { Ok(()) } else { reviewed(page, &recent) }
    }))
}

fn reviewed(page: &mut String, recent: &[Recent]) -> FmtResult {
    page.write_str("<section aria-labelledby=\"recent\"><h2 id=\"recent\">Recently reviewed</h2><ul class=\"cards\">")?;
    for Recent { package, author, rating, body, posted_at, thumbnail, summary } in recent {
        let link = percent_encode_except(package, PLAIN_IN_A_SEGMENT);
        write!(
            page,
            "<li><h3><a class=\"name\" href=\"{PACKAGE}{link}#reviews\">{}</a></h3><p class=\"summary\">{}</p>",
            Escaped(package),
            Escaped(summary),
        )?;
        if let Some(thumbnail) = thumbnail {
            thumbnail.write(page, author)?;
        }
        page.write_str("<p>")?;
        stars(page, *rating)?;
        let (end, more) = body.char_indices().nth(REVIEW_CHARS).map_or((body.len(), ""), |(end, _)| (end, "…"));
        let text = Escaped(body[..end].trim_end());
        write!(page, " {text}{more}</p><p class=\"byline\">{}, <time>{posted_at}</time></p></li>", Escaped(author))?;
    }
    page.write_str("</ul></section>")
}

pub(super) fn all_sections(reader: &Reader<'_>) -> Result<Vec<u8>> {
    let sections = sections(reader)?;
    Ok(frame::page("Sections", SearchBox::InHeader, |page| {
        let count = number(sections.len() as u64);
        write!(page, "<h1>Sections</h1><p class=\"lead\">Every package is in exactly one of {count} sections.</p>")?;
        list(page, &sections)
    }))
}

fn sections(reader: &Reader<'_>) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    reader.rows("sections", [], |row| {
        sections.push(Section { name: row.get(0)?, packages: row.get(1)? });
        Ok(())
    })?;
    Ok(sections)
}

/// A bar under each shows its share of the largest.
fn list(page: &mut String, sections: &[Section]) -> FmtResult {
    let largest = sections.iter().map(|section| section.packages).max().unwrap_or(1).max(1);
    page.write_str("<ul class=\"sections\">")?;
    for Section { name, packages } in sections {
        let link = percent_encode_except(name, PLAIN_IN_A_SEGMENT);
        let (share, name, packages) = (packages * 100 / largest, Escaped(name), number((*packages).into()));
        write!(
            page,
            "<li style=\"--share:{share}%\"><a href=\"/section/{link}\">{name}</a><span>{packages}</span></li>"
        )?;
    }
    page.write_str("</ul>")
}

/// One package in a list of them.
pub(super) fn listed(page: &mut String, name: &str, version: &str, rating: Option<u32>, summary: &str) -> FmtResult {
    write!(page, "<li><h2>{} <small>{}</small>", Link(name), Escaped(version))?;
    if let Some(rating) = rating {
        page.write_str(" ")?;
        stars(page, rating)?;
    }
    write!(page, "</h2><p>{}</p></li>", Escaped(summary))
}

//! The packages of one section, in pages.

use std::fmt::Write;

use anyhow::Result;

use super::super::frame::{self, SearchBox, number};
use super::super::markup::{Escaped, PLAIN_IN_A_SEGMENT};
use super::super::native::Reader;
use super::home::listed;
use crate::request::percent_encode_except;

const ROWS: u32 = 50;
/// SQL skips rows one by one, so there is an end to it.
const MAX_LISTED: u32 = 20_000;

struct Listed {
    name: String,
    version: String,
    summary: String,
    rating: Option<u32>,
}

/// None if there is no such section.
pub(super) fn page(reader: &Reader<'_>, name: &str, wanted: u32) -> Result<Option<Vec<u8>>> {
    let mut packages = 0;
    let found = reader.rows("section", [name], |row| {
        packages = row.get(0)?;
        Ok(())
    })?;
    if !found {
        return Ok(None);
    }
    let pages = packages.min(MAX_LISTED).div_ceil(ROWS).max(1);
    let at = wanted.clamp(1, pages);
    let mut rows = Vec::new();
    reader.rows("section-packages", (name, ROWS, (at - 1) * ROWS), |row| {
        let (reviews, stars): (Option<u32>, Option<u32>) = (row.get(3)?, row.get(4)?);
        let rating = reviews.zip(stars).and_then(|(reviews, stars)| (stars * 2 + reviews).checked_div(reviews * 2));
        rows.push(Listed { name: row.get(0)?, version: row.get(1)?, summary: row.get(2)?, rating });
        Ok(())
    })?;
    Ok(Some(frame::page(&format!("Section {name}"), SearchBox::InHeader, |page| {
        write!(
            page,
            "<p class=\"eyebrow\"><a href=\"/sections\">Sections</a></p><h1>{}</h1>\
             <p class=\"lead\">{} packages, by name</p><ul class=\"results\">",
            Escaped(name),
            number(packages.into()),
        )?;
        for Listed { name, version, summary, rating } in &rows {
            listed(page, name, version, *rating, summary)?;
        }
        let link = percent_encode_except(name, PLAIN_IN_A_SEGMENT);
        page.write_str("</ul><nav class=\"pager\" aria-label=\"Pages\">")?;
        if at > 1 {
            write!(page, "<a rel=\"prev\" href=\"/section/{link}?page={}\">← Previous</a>", at - 1)?;
        }
        write!(page, "<span>Page {at} of {pages}</span>")?;
        if at < pages {
            write!(page, "<a rel=\"next\" href=\"/section/{link}?page={}\">Next →</a>", at + 1)?;
        }
        page.write_str("</nav>")
    })))
}

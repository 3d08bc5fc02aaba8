//! The package directory's package page as one native process would render it: the app's statements in the app's order.
//! The JSON is the app's to the byte; the HTML carries the same text and links in markup of its own, so that the app may
//! be restyled without anyone thinking of this file.

use std::fmt::{Result as FmtResult, Write};

use anyhow::Result;
use http::Request;
use http::header::ACCEPT;
use serde::{Deserialize, Serialize};

use super::frame::{self, SearchBox, stars};
use super::markup::{Escaped, Link, PACKAGE, PLAIN_IN_A_SEGMENT};
use super::native::{Database, Reader, answer};
use super::serve;
use crate::args::Native;
use crate::request::{percent_decode, percent_encode_except};

const STATEMENTS: [&str; 4] = ["package", "dependencies", "dependents", "reviews"];

#[derive(Debug, Serialize)]
pub(super) struct Package {
    name: String,
    version: String,
    section: String,
    summary: String,
    description: String,
    homepage: Option<String>,
    maintainer: String,
    size_bytes: i64,
    tags: Vec<String>,
    rating: Rating,
    dependencies: Vec<Dependency>,
    dependents: Dependents,
    reviews: Vec<Review>,
}

#[derive(Debug, Serialize)]
struct Rating {
    reviews: u32,
    stars: u32,
}

#[derive(Debug, Serialize)]
struct Dependency {
    name: String,
    summary: Option<String>,
}

#[derive(Debug, Serialize)]
struct Dependents {
    total: i64,
    first: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Review {
    author: String,
    rating: u32,
    body: String,
    posted_at: i64,
    thumbnail: Option<Thumbnail>,
    picture_waits: bool,
}

/// What is shown of a review's picture.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Thumbnail {
    pub(super) url: String,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Thumbnail {
    /// As it stands in the database.
    pub(super) fn read(json: Option<&str>) -> Option<Self> {
        json.and_then(|json| serde_json::from_str(json).ok())
    }

    pub(super) fn write(&self, page: &mut String, author: &str) -> FmtResult {
        let Self { url, width, height } = self;
        write!(
            page,
            "<a class=\"picture\" href=\"{url}\" style=\"--px:{width}\"><img src=\"{url}\" width=\"{width}\" \
             height=\"{height}\" loading=\"lazy\" decoding=\"async\" alt=\"A picture that {} sent along\"></a>",
            Escaped(author),
        )
    }
}

pub fn run(args: &Native) -> Result<()> {
    let database = Database::open(args, &STATEMENTS)?;
    serve(&args.listen, move |request| {
        let as_json = wants_json(&request);
        let name = request.uri().path().strip_prefix(PACKAGE).map(percent_decode).unwrap_or_default();
        let body = database.read(|reader| {
            let package = load(reader, &name)?;
            package.map(|package| if as_json { json(&package) } else { Ok(html(&package)) }).transpose()
        });
        answer(if as_json { "application/json" } else { "text/html; charset=utf-8" }, body)
    })
}

pub(super) fn wants_json<B>(request: &Request<B>) -> bool {
    request.headers().get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json")
}

/// None if there is no such package.
pub(super) fn load(reader: &Reader<'_>, name: &str) -> Result<Option<Package>> {
    let mut found = None;
    reader.rows("package", [name], |row| {
        found = Some(Package {
            name: row.get(0)?,
            version: row.get(1)?,
            section: row.get(2)?,
            summary: row.get(3)?,
            description: row.get(4)?,
            homepage: row.get(5)?,
            maintainer: row.get(6)?,
            size_bytes: row.get(7)?,
            tags: serde_json::from_str(row.get_ref(8)?.as_str()?).unwrap_or_default(),
            rating: Rating { reviews: row.get(9)?, stars: row.get(10)? },
            dependencies: Vec::new(),
            dependents: Dependents { total: row.get(11)?, first: Vec::new() },
            reviews: Vec::new(),
        });
        Ok(())
    })?;
    let Some(mut package) = found else { return Ok(None) };
    reader.rows("dependencies", [name], |row| {
        package.dependencies.push(Dependency { name: row.get(0)?, summary: row.get(1)? });
        Ok(())
    })?;
    reader.rows("dependents", [name], |row| {
        package.dependents.first.push(row.get(0)?);
        Ok(())
    })?;
    reader.rows("reviews", [name], |row| {
        let (author, rating, body) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let thumbnail = Thumbnail::read(row.get_ref(4)?.as_str_or_null()?);
        let picture_waits = row.get(5)?;
        package.reviews.push(Review { author, rating, body, posted_at: row.get(3)?, thumbnail, picture_waits });
        Ok(())
    })?;
    Ok(Some(package))
}

pub(super) fn json(package: &Package) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(package)?)
}

pub(super) fn html(package: &Package) -> Vec<u8> {
    frame::page(&package.name, SearchBox::InHeader, |page| {
        write_head(page, package)?;
        write_lists(page, package)?;
        write_reviews(page, package)
    })
}

fn write_head(page: &mut String, package: &Package) -> FmtResult {
    let (name, section) = (Escaped(&package.name), Escaped(&package.section));
    write!(
        page,
        "<article><p class=\"eyebrow\"><a href=\"/section/{section}\">{section}</a></p><h1 class=\"name\">{name}</h1>\
         <p class=\"lead\">{}</p>",
        Escaped(&package.summary),
    )?;
    let Rating { reviews, stars: total } = package.rating;
    if let Some(tenths) = (total * 20 + reviews).checked_div(reviews * 2) {
        page.write_str("<p>")?;
        stars(page, (tenths + 5) / 10)?;
        write!(page, " {}.{} of 5, from <a href=\"#reviews\">{reviews} reviews</a></p>", tenths / 10, tenths % 10)?;
    }
    write!(
        page,
        "<dl class=\"facts\"><div><dt>Version</dt><dd>{}</dd></div><div><dt>Download</dt><dd>{} bytes</dd></div>\
         <div><dt>Maintainer</dt><dd>{}</dd></div>",
        Escaped(&package.version),
        package.size_bytes,
        Escaped(&package.maintainer),
    )?;
    if let Some(homepage) = &package.homepage {
        let homepage = Escaped(homepage);
        write!(page, "<div><dt>Homepage</dt><dd><a href=\"{homepage}\" rel=\"nofollow\">{homepage}</a></dd></div>")?;
    }
    page.write_str("</dl>")?;
    prose(page, &package.description)
}

fn prose(page: &mut String, text: &str) -> FmtResult {
    page.write_str("<div class=\"prose\">")?;
    text.split("\n\n").try_for_each(|paragraph| write!(page, "<p>{}</p>", Escaped(paragraph.trim_end())))?;
    page.write_str("</div>")
}

fn write_lists(page: &mut String, package: &Package) -> FmtResult {
    page.write_str("<h2>Tags</h2><ul class=\"chips\">")?;
    for tag in &package.tags {
        let link = percent_encode_except(tag, b"");
        write!(page, "<li><a rel=\"tag\" href=\"/search?tag={link}\">{}</a></li>", Escaped(tag))?;
    }
    page.write_str("</ul><h2>Needs</h2><ul class=\"pairs\">")?;
    for Dependency { name, summary } in &package.dependencies {
        match summary {
            Some(summary) => write!(page, "<li>{} <span>{}</span></li>", Link(name), Escaped(summary))?,
            None => write!(page, "<li><span class=\"name\">{}</span></li>", Escaped(name))?,
        }
    }
    write!(page, "</ul><h2>Needed by {} packages</h2><ul class=\"chips\">", package.dependents.total)?;
    package.dependents.first.iter().try_for_each(|name| write!(page, "<li>{}</li>", Link(name)))?;
    page.write_str("</ul>")
}

fn write_reviews(page: &mut String, package: &Package) -> FmtResult {
    page.write_str(
        "</article><section id=\"reviews\" aria-labelledby=\"reviews-title\"><h2 id=\"reviews-title\">Reviews</h2>\
         <ul class=\"cards wide\">",
    )?;
    for review in &package.reviews {
        page.write_str("<li><p>")?;
        stars(page, review.rating)?;
        write!(page, " <strong>{}</strong>, <time>{}</time></p>", Escaped(&review.author), review.posted_at)?;
        prose(page, &review.body)?;
        if let Some(thumbnail) = &review.thumbnail {
            thumbnail.write(page, &review.author)?;
        } else if review.picture_waits {
            page.write_str("<p class=\"hint\">A picture is on its way.</p>")?;
        }
        page.write_str("</li>")?;
    }
    write!(
        page,
        "</ul><form class=\"review\" method=\"post\" enctype=\"multipart/form-data\" action=\"{PACKAGE}{}/reviews#review\" id=\"review\">\
         <h3>Write a review</h3><label>Your name<input name=\"author\" required maxlength=\"80\" \
         autocomplete=\"nickname\" value=\"\"></label><fieldset><legend>Stars</legend>",
        percent_encode_except(&package.name, PLAIN_IN_A_SEGMENT),
    )?;
    for rating in 1..=5 {
        write!(page, "<label><input type=\"radio\" name=\"rating\" value=\"{rating}\" required>{rating}</label>")?;
    }
    page.write_str(
        "</fieldset><label>Your review<textarea name=\"body\" required rows=\"5\" maxlength=\"4000\"></textarea></label>\
         <label><span>A picture <small>if you like: JPEG, PNG or WebP, up to 6 MB</small></span><input type=\"file\" \
         name=\"picture\" accept=\"image/jpeg,image/png,image/webp\"></label><button>Post the review</button></form></section>",
    )
}

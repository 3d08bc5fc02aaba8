//! The package directory's package page as one native process would render it: the app's statements in the app's order.
//! The JSON is the app's to the byte; the HTML carries the same text and links in markup of its own, so that the app may
//! be restyled without anyone thinking of this file.

use std::fmt::{Display, Formatter, Result as FmtResult, Write};

use anyhow::Result;
use http::Request;
use http::header::ACCEPT;
use serde::Serialize;

use super::native::{Database, Reader, answer};
use super::search::PLAIN_IN_A_SEGMENT;
use super::serve;
use crate::args::Native;
use crate::request::{percent_decode, percent_encode_except};

const STATEMENTS: [&str; 4] = ["package", "dependencies", "dependents", "reviews"];
const PATH: &str = "/package/";
/// As long as the addresses that a node gives to static files.
const STYLE: &str = "/static/style.0123456789abcdef.css";
const ICON: &str = "/static/logo.0123456789abcdef.svg";

#[derive(Debug, Serialize)]
struct Package {
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
}

pub fn run(args: &Native) -> Result<()> {
    let database = Database::open(args, &STATEMENTS)?;
    serve(&args.listen, move |request| {
        let as_json = wants_json(&request);
        let name = request.uri().path().strip_prefix(PATH).map(percent_decode).unwrap_or_default();
        let body = database.read(|reader| {
            let package = load(reader, &name)?;
            package.map(|package| if as_json { json(&package) } else { Ok(html(&package)) }).transpose()
        });
        answer(if as_json { "application/json" } else { "text/html; charset=utf-8" }, body)
    })
}

fn wants_json<B>(request: &Request<B>) -> bool {
    request.headers().get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json")
}

/// None if there is no such package.
fn load(reader: &Reader<'_>, name: &str) -> Result<Option<Package>> {
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
        let (author, rating) = (row.get(0)?, row.get(1)?);
        package.reviews.push(Review { author, rating, body: row.get(2)?, posted_at: row.get(3)? });
        Ok(())
    })?;
    Ok(Some(package))
}

fn json(package: &Package) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(package)?)
}

fn html(package: &Package) -> Vec<u8> {
    let mut page = String::with_capacity(16 * 1024);
    // Writing to a String cannot fail.
    let _ = write_head(&mut page, package);
    let _ = write_lists(&mut page, package);
    let _ = write_reviews(&mut page, package);
    page.push_str("</main></body></html>");
    page.into_bytes()
}

fn write_head(page: &mut String, package: &Package) -> FmtResult {
    let (name, section) = (Escaped(&package.name), Escaped(&package.section));
    write!(
        page,
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"{ICON}\"><link rel=\"stylesheet\" href=\"{STYLE}\"></head>\
         <body><header class=\"site\"><a class=\"brand\" href=\"/\">Package Directory</a>\
         <form class=\"search\" role=\"search\" action=\"/search\"><input type=\"search\" name=\"q\">\
         <button>Search</button></form><nav><a href=\"/sections\">Sections</a>\
         <a href=\"/my/reviews\">My reviews</a></nav></header><main id=\"content\">\
         <p class=\"eyebrow\"><a href=\"/section/{section}\">{section}</a></p><h1 class=\"name\">{name}</h1>\
         <p class=\"lead\">{}</p><p>{} stars, <a href=\"#reviews\">{} reviews</a></p>\
         <dl class=\"facts\"><div><dt>Version</dt><dd>{}</dd></div><div><dt>Download</dt><dd>{} bytes</dd></div>\
         <div><dt>Maintainer</dt><dd>{}</dd></div>",
        Escaped(&package.summary),
        package.rating.stars,
        package.rating.reviews,
        Escaped(&package.version),
        package.size_bytes,
        Escaped(&package.maintainer),
    )?;
    if let Some(homepage) = &package.homepage {
        let homepage = Escaped(homepage);
        write!(page, "<div><dt>Homepage</dt><dd><a href=\"{homepage}\" rel=\"nofollow\">{homepage}</a></dd></div>")?;
    }
    page.write_str("</dl><div class=\"prose\">")?;
    package
        .description
        .split("\n\n")
        .try_for_each(|paragraph| write!(page, "<p>{}</p>", Escaped(paragraph.trim_end())))?;
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
    page.write_str("<section id=\"reviews\"><h2>Reviews</h2><ul class=\"cards wide\">")?;
    for review in &package.reviews {
        let (author, body) = (Escaped(&review.author), Escaped(&review.body));
        let (rating, posted_at) = (review.rating, review.posted_at);
        write!(page, "<li><p>{rating} of 5 <strong>{author}</strong>, {posted_at}</p><p>{body}</p></li>")?;
    }
    write!(
        page,
        "</ul><form method=\"post\" action=\"{PATH}{}/reviews\"><input name=\"author\"><input name=\"rating\">\
         <textarea name=\"body\"></textarea><button>Send</button></form></section>",
        percent_encode_except(&package.name, PLAIN_IN_A_SEGMENT),
    )
}

/// A package's name as a link to its page.
struct Link<'a>(&'a str);

impl Display for Link<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> FmtResult {
        let target = percent_encode_except(self.0, PLAIN_IN_A_SEGMENT);
        write!(formatter, "<a class=\"name\" href=\"{PATH}{target}\">{}</a>", Escaped(self.0))
    }
}

/// Text as HTML, written without a copy where nothing needs escaping.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> FmtResult {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"']) {
            formatter.write_str(&rest[..at])?;
            formatter.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                _ => "&quot;",
            })?;
            rest = &rest[at + 1..];
        }
        formatter.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(Escaped("a<b> & \"c\"").to_string(), "a&lt;b&gt; &amp; &quot;c&quot;");
        assert_eq!(Link("g++ &").to_string(), "<a class=\"name\" href=\"/package/g++%20%26\">g++ &amp;</a>");
    }
}

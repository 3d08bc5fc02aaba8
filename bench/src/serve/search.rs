//! The package directory's search as one native process would do it: the app's statements, run in the app's order, and
//! the same JSON to the byte. The check before each run holds it to that.

use anyhow::Result;
use http::Request;
use rusqlite::Row;
use serde::Serialize;

use super::native::{Database, Reader, answer};
use super::serve;
use crate::args::Native;
use crate::request::{percent_decode, percent_encode_except};

const STATEMENTS: [&str; 3] = ["exact", "search", "search-facets"];
const RESULTS_PER_PAGE: u32 = 20;
/// What the app's statement marks a found word with.
const MARKS: [char; 2] = ['\u{1}', '\u{2}'];
/// The app does not look for what begins with less.
const PREFIX_MIN_CHARS: usize = 2;
/// What the app leaves as it is in a link.
pub(super) const PLAIN_IN_A_SEGMENT: &[u8] = b"+:@";

#[derive(Debug, Serialize)]
struct Found<'q> {
    q: &'q str,
    section: Option<&'q str>,
    tag: Option<&'q str>,
    page: u32,
    pages: u32,
    total: u32,
    results: Vec<Package>,
    sections: Vec<Facet>,
    tags: Vec<Facet>,
}

#[derive(Debug, Serialize)]
struct Package {
    name: String,
    version: String,
    section: String,
    summary: String,
    url: String,
}

#[derive(Debug, Serialize)]
struct Facet {
    value: String,
    packages: u32,
}

pub fn run(args: &Native) -> Result<()> {
    let database = Database::open(args, &STATEMENTS)?;
    serve(&args.listen, move |request| {
        let body = database.read(|reader| search(reader, &words(&request)).map(Some));
        answer("application/json", body)
    })
}

fn words<B>(request: &Request<B>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.strip_prefix("q="));
    value.map(|value| percent_decode(&value.replace('+', " "))).unwrap_or_default()
}

fn search(reader: &Reader<'_>, q: &str) -> Result<Vec<u8>> {
    let none = None::<&str>;
    let mut found = Found {
        q,
        section: none,
        tag: none,
        page: 1,
        pages: 1,
        total: 0,
        results: Vec::new(),
        sections: Vec::new(),
        tags: Vec::new(),
    };
    let text = full_text(q);
    if !text.is_empty() {
        reader.rows("search-facets", (&text, none, none), |row| {
            let facet = Facet { value: row.get(1)?, packages: row.get(2)? };
            match row.get_ref(0)?.as_str()? {
                "total" => found.total = facet.packages,
                "section" => found.sections.push(facet),
                _ => found.tags.push(facet),
            }
            Ok(())
        })?;
    }
    if found.total > 0 {
        found.pages = found.total.div_ceil(RESULTS_PER_PAGE);
        reader.rows("search", (&text, none, none, RESULTS_PER_PAGE, 0), |row| {
            found.results.push(package(row, 4)?);
            Ok(())
        })?;
        exact_first(reader, &mut found)?;
    }
    Ok(serde_json::to_vec(&found)?)
}

fn exact_first(reader: &Reader<'_>, found: &mut Found<'_>) -> Result<()> {
    let typed = found.q.trim().to_lowercase();
    match found.results.iter().position(|package| package.name == typed) {
        Some(place) => found.results[..=place].rotate_right(1),
        None => {
            reader.rows("exact", [typed], |row| {
                found.results.insert(0, package(row, 3)?);
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn package(row: &Row<'_>, summary: usize) -> rusqlite::Result<Package> {
    let name: String = row.get(0)?;
    Ok(Package {
        url: format!("/package/{}", percent_encode_except(&name, PLAIN_IN_A_SEGMENT)),
        name,
        version: row.get(1)?,
        section: row.get(2)?,
        summary: row.get_ref(summary)?.as_str()?.replace(MARKS, ""),
    })
}

/// Every word quoted, all of them wanted; the last one may go on if no space follows it. Enough for plain words,
/// which the bench asks for.
fn full_text(typed: &str) -> String {
    let mut text = String::new();
    for word in typed.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("\"{}\"", word.replace('"', " ")));
    }
    let last = typed.chars().rev().take_while(|letter| letter.is_alphanumeric()).count();
    if last >= PREFIX_MIN_CHARS {
        text.push_str(" *");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_request() {
        let request = |uri: &str| Request::builder().uri(uri).body(()).unwrap();
        assert_eq!(words(&request("/search?page=2&q=big%20fast+tool%20")), "big fast tool ");
        assert_eq!(words(&request("/search")), "");
    }

    #[test]
    fn no_word_is_an_operator_and_the_last_may_go_on() {
        assert_eq!(full_text("big OR tool "), r#""big" "OR" "tool""#);
        assert_eq!(full_text("big tool"), r#""big" "tool" *"#);
        assert_eq!(full_text("c"), r#""c""#);
        assert_eq!(full_text(" "), "");
    }
}

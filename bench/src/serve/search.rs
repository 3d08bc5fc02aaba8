//! The package directory's search as one native process would do it: the app's statements, run in the app's order, and
//! the same JSON to the byte. The check before each run holds it to that.

use anyhow::Result;
use http::Request;
use rusqlite::Row;
use serde::Serialize;

use super::markup::PLAIN_IN_A_SEGMENT;
use super::native::{Database, Reader, answer};
use super::serve;
use crate::args::Native;
use crate::request::{percent_decode, percent_encode_except};

pub(super) const STATEMENTS: [&str; 3] = ["exact", "search", "search-facets"];
const RESULTS_PER_PAGE: u32 = 20;
/// What the app's statement marks a found word with.
pub(super) const MARKS: [char; 2] = ['\u{1}', '\u{2}'];
/// The app does not look for what begins with less.
const PREFIX_MIN_CHARS: usize = 2;

#[derive(Debug, Serialize)]
pub(super) struct Found<'q> {
    pub(super) q: &'q str,
    section: Option<&'q str>,
    tag: Option<&'q str>,
    page: u32,
    pub(super) pages: u32,
    pub(super) total: u32,
    pub(super) results: Vec<Package>,
    pub(super) sections: Vec<Facet>,
    pub(super) tags: Vec<Facet>,
}

#[derive(Debug, Serialize)]
pub(super) struct Package {
    name: String,
    pub(super) version: String,
    pub(super) section: String,
    summary: String,
    pub(super) url: String,
    #[serde(skip)]
    pub(super) marked: Marked,
}

/// What people are shown: the texts in which words were found, with their marks. Left empty for programs.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) excerpt: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Facet {
    pub(super) value: String,
    pub(super) packages: u32,
}

/// Who reads what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Program,
    Person,
}

pub fn run(args: &Native) -> Result<()> {
    let database = Database::open(args, &STATEMENTS)?;
    serve(&args.listen, move |request| {
        let body = database.read(|reader| json(&load(reader, &words(&request), Reads::Program)?).map(Some));
        answer("application/json", body)
    })
}

fn words<B>(request: &Request<B>) -> String {
    typed(request.uri().query().unwrap_or_default())
}

/// The words in an address.
pub(super) fn typed(query: &str) -> String {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("q="));
    value.map(|value| percent_decode(&value.replace('+', " "))).unwrap_or_default()
}

pub(super) fn json(found: &Found<'_>) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(found)?)
}

pub(super) fn load<'q>(reader: &Reader<'_>, q: &'q str, reads: Reads) -> Result<Found<'q>> {
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
            let mut package = package(row, 4)?;
            if reads == Reads::Person {
                let excerpt: String = row.get(5)?;
                let excerpt = Some(excerpt).filter(|excerpt| excerpt.contains(MARKS));
                package.marked = Marked { name: row.get(3)?, summary: row.get(4)?, excerpt };
            }
            found.results.push(package);
            Ok(())
        })?;
        exact_first(reader, &mut found)?;
    }
    Ok(found)
}

fn exact_first(reader: &Reader<'_>, found: &mut Found<'_>) -> Result<()> {
    let typed = found.q.trim().to_lowercase();
    match found.results.iter().position(|package| package.name == typed) {
        Some(place) => found.results[..=place].rotate_right(1),
        None => {
            reader.rows("exact", [typed], |row| {
                let mut package = package(row, 3)?;
                let (name, summary) = (package.name.clone(), package.summary.clone());
                package.marked = Marked { name, summary, excerpt: None };
                found.results.insert(0, package);
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
        marked: Marked::default(),
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

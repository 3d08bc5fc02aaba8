//! The package directory's search as one native process would do it: the app's statements, rendered as JSON here.

use anyhow::Result;
use http::Request;
use rusqlite::Row;
use serde::Serialize;

use super::native::{Database, Reader, answer};
use super::serve;
use crate::args::Native;
use crate::request::percent_decode;

const STATEMENTS: [&str; 3] = ["exact", "search", "search-facets"];
const RESULTS_PER_PAGE: i64 = 20;
/// What the app's statement marks a found word with.
const MARKS: [(char, &str); 2] = [('\u{1}', "<mark>"), ('\u{2}', "</mark>")];

#[derive(Debug, Default, Serialize)]
struct Found {
    query: String,
    total: i64,
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
    excerpt: Option<String>,
}

#[derive(Debug, Serialize)]
struct Facet {
    name: String,
    packages: i64,
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
    value.map(percent_decode).unwrap_or_default()
}

fn search(reader: &Reader<'_>, words: &str) -> Result<Vec<u8>> {
    let mut found = Found { query: words.to_owned(), ..Found::default() };
    let text = full_text(words);
    if !text.is_empty() {
        reader.rows("exact", [words], |row| {
            found.results.push(package(row, 3, None)?);
            Ok(())
        })?;
        let parameters = (&text, None::<&str>, None::<&str>, RESULTS_PER_PAGE, 0);
        reader.rows("search", parameters, |row| {
            found.results.push(package(row, 4, Some(5))?);
            Ok(())
        })?;
        reader.rows("search-facets", (&text, None::<&str>, None::<&str>), |row| {
            let (kind, packages) = (row.get_ref(0)?.as_str()?, row.get(2)?);
            match kind {
                "total" => found.total = packages,
                "section" => found.sections.push(Facet { name: row.get(1)?, packages }),
                _ => found.tags.push(Facet { name: row.get(1)?, packages }),
            }
            Ok(())
        })?;
    }
    Ok(serde_json::to_vec(&found)?)
}

fn package(row: &Row<'_>, summary: usize, excerpt: Option<usize>) -> rusqlite::Result<Package> {
    let excerpt = excerpt.map(|column| Ok::<_, rusqlite::Error>(marked(row.get_ref(column)?.as_str()?))).transpose()?;
    Ok(Package {
        name: row.get(0)?,
        version: row.get(1)?,
        section: row.get(2)?,
        summary: marked(row.get_ref(summary)?.as_str()?),
        excerpt,
    })
}

fn marked(text: &str) -> String {
    MARKS.iter().fold(text.to_owned(), |text, (mark, tag)| text.replace(*mark, tag))
}

/// Every word quoted, so that nothing is an operator; all must be found.
fn full_text(words: &str) -> String {
    let quoted = words.split_whitespace().map(|word| format!("\"{}\"", word.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_request() {
        let request = |uri: &str| Request::builder().uri(uri).body(()).unwrap();
        assert_eq!(words(&request("/search?page=2&q=big%20tool")), "big tool");
        assert_eq!(words(&request("/search")), "");
    }

    #[test]
    fn no_word_is_an_operator() {
        assert_eq!(full_text(" big OR \"tool "), "\"big\" \"OR\" \"\"\"tool\"");
        assert_eq!(marked("a \u{1}b\u{2}"), "a <mark>b</mark>");
    }
}

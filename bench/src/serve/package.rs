//! The package directory's package page as one native process would render it: the app's statements, its own markup.

use std::fmt::{Display, Formatter, Result as FmtResult, Write};

use anyhow::Result;

use super::native::{Database, Reader, answer};
use super::serve;
use crate::args::Native;
use crate::request::percent_decode;

const STATEMENTS: [&str; 4] = ["package", "dependencies", "dependents", "reviews"];
const PATH: &str = "/package/";

pub fn run(args: &Native) -> Result<()> {
    let database = Database::open(args, &STATEMENTS)?;
    serve(&args.listen, move |request| {
        let name = request.uri().path().strip_prefix(PATH).map(percent_decode);
        let body = match name {
            Some(name) => database.read(|reader| render(reader, &name)),
            None => Ok(None),
        };
        answer("text/html; charset=utf-8", body)
    })
}

/// None if there is no such package.
fn render(reader: &Reader<'_>, name: &str) -> Result<Option<Vec<u8>>> {
    let mut page = String::with_capacity(16 * 1024);
    let found = reader.rows("package", [name], |row| {
        let text =
            |column: usize| Ok::<_, rusqlite::Error>(Escaped(row.get_ref(column)?.as_str_or_null()?.unwrap_or("")));
        let number = |column: usize| row.get::<_, i64>(column);
        let _ = write!(
            page,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title></head><body>\
             <h1>{0} <small>{1}</small></h1><p>{2}</p><dl><dt>Section</dt><dd><a href=\"/section/{3}\">{3}</a></dd>\
             <dt>Maintainer</dt><dd>{4}</dd><dt>Homepage</dt><dd><a href=\"{5}\">{5}</a></dd><dt>Size</dt><dd>{6}</dd>\
             <dt>Tags</dt><dd>{7}</dd><dt>Reviews</dt><dd>{8}, {9} stars</dd><dt>Needed by</dt><dd>{10}</dd></dl>\
             <section>{11}</section>",
            text(0)?,
            text(1)?,
            text(3)?,
            text(2)?,
            text(6)?,
            text(5)?,
            number(7)?,
            text(8)?,
            number(9)?,
            number(10)?,
            number(11)?,
            text(4)?,
        );
        Ok(())
    })?;
    if !found {
        return Ok(None);
    }
    page.push_str("<h2>Depends on</h2><ul>");
    reader.rows("dependencies", [name], |row| {
        let target = Escaped(row.get_ref(0)?.as_str()?);
        let _ = match row.get_ref(1)?.as_str_or_null()? {
            Some(summary) => write!(page, "<li><a href=\"/package/{target}\">{target}</a> {}</li>", Escaped(summary)),
            None => write!(page, "<li>{target}</li>"),
        };
        Ok(())
    })?;
    page.push_str("</ul><h2>Needed by</h2><ul>");
    reader.rows("dependents", [name], |row| {
        let dependent = Escaped(row.get_ref(0)?.as_str()?);
        let _ = write!(page, "<li><a href=\"/package/{dependent}\">{dependent}</a></li>");
        Ok(())
    })?;
    page.push_str("</ul><h2>Reviews</h2>");
    reader.rows("reviews", [name], |row| {
        let (author, body) = (Escaped(row.get_ref(0)?.as_str()?), Escaped(row.get_ref(2)?.as_str()?));
        let (rating, posted_at): (i64, i64) = (row.get(1)?, row.get(3)?);
        let _ =
            write!(page, "<article><h3>{author}, {rating} of 5</h3><p>{body}</p><time>{posted_at}</time></article>");
        Ok(())
    })?;
    page.push_str("</body></html>\n");
    Ok(Some(page.into_bytes()))
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
    use super::Escaped;

    #[test]
    fn text_is_escaped() {
        assert_eq!(Escaped("a<b> & \"c\"").to_string(), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}

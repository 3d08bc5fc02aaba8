//! The frame around every page of the site, with the text and links of the app's.

use std::fmt::{Result as FmtResult, Write};

use super::markup::{Escaped, ICON, STYLE};
use crate::request::percent_encode_except;

/// Where a page has its search box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchBox {
    InHeader,
    InContent,
}

/// A whole document.
pub(super) fn page(title: &str, search: SearchBox, content: impl FnOnce(&mut String) -> FmtResult) -> Vec<u8> {
    let mut page = String::with_capacity(16 * 1024);
    // Writing to a String cannot fail.
    let _ = head(&mut page, title, search);
    let _ = content(&mut page);
    page.push_str(
        "</main><footer class=\"site\"><p>Rendered in one place, from the very database that is written to.</p></footer>\
         </body></html>",
    );
    page.into_bytes()
}

fn head(page: &mut String, title: &str, search: SearchBox) -> FmtResult {
    write!(
        page,
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · Package Directory</title>\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"{ICON}\"><link rel=\"stylesheet\" href=\"{STYLE}\"></head>\
         <body><a class=\"skip\" href=\"#content\">Skip to the content</a><header class=\"site\">\
         <a class=\"brand\" href=\"/\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\">\
         <path d=\"M2.5 5 8 2l5.5 3v6L8 14l-5.5-3zM2.5 5 8 8l5.5-3M8 8v6\"></path></svg>Package Directory</a>",
        Escaped(title),
    )?;
    if search == SearchBox::InHeader {
        search_box(page, "")?;
    }
    page.write_str(
        "<nav aria-label=\"Site\"><a href=\"/sections\">Sections</a><a href=\"/my/reviews\">My reviews</a></nav></header>\
         <main id=\"content\" tabindex=\"-1\">",
    )
}

pub(super) fn search_box(page: &mut String, typed: &str) -> FmtResult {
    write!(
        page,
        "<form class=\"search\" role=\"search\" action=\"/search\"><input type=\"search\" name=\"q\" value=\"{}\" \
         aria-label=\"Search packages\" placeholder=\"Search packages\" maxlength=\"200\" autocapitalize=\"off\" \
         autocomplete=\"off\" spellcheck=\"false\"><button>Search</button></form>",
        Escaped(typed),
    )
}

/// A query's value, with `+` for spaces as forms have it.
pub(super) fn value(text: &str) -> String {
    percent_encode_except(text, b" *").replace(' ', "+")
}

/// `63666` as `63,666`.
pub(super) fn number(number: u64) -> String {
    crate::table::number(number as f64)
}

/// One to five stars.
pub(super) fn stars(page: &mut String, rating: u32) -> FmtResult {
    let (lit, unlit) = "★★★★★".split_at(rating.min(5) as usize * '★'.len_utf8());
    write!(
        page,
        "<span class=\"stars\" role=\"img\" aria-label=\"{rating} of 5 stars\">{lit} <span class=\"unlit\">{unlit}</span></span>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_escaped() {
        let text = String::from_utf8(page("a<b", SearchBox::InHeader, |page| stars(page, 4))).unwrap();
        assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>"));
        assert!(text.contains("a&lt;b · Package") && text.contains("★★★★ <span class=\"unlit\">★<"), "{text}");
        assert_eq!(value("a b&c*"), "a+b%26c*");
        assert_eq!(number(63_666), "63,666");
    }
}

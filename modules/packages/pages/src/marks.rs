//! Where SQL found the words: it marks them with two control characters, which become tags after escaping.

use maud::{Markup, PreEscaped, Render};

const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// The text with the words found in `<mark>`.
pub(crate) fn marked(text: &str) -> Markup {
    let html = text.render().into_string();
    let mut out = String::with_capacity(html.len() + 64);
    let mut is_open = false;
    for c in html.chars() {
        match c {
            OPEN if !is_open => out.push_str("<mark>"),
            CLOSE if is_open => out.push_str("</mark>"),
            OPEN | CLOSE => continue,
            c => {
                out.push(c);
                continue;
            }
        }
        is_open = !is_open;
    }
    if is_open {
        out.push_str("</mark>");
    }
    PreEscaped(out)
}

/// The text without marks.
pub(crate) fn plain(text: &str) -> String {
    text.replace([OPEN, CLOSE], "")
}

/// Whether anything in it was found.
pub(crate) fn has_marks(text: &str) -> bool {
    text.contains(OPEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_tags_and_the_rest_is_escaped() {
        assert_eq!(marked("a \u{1}<b>\u{2} & c").into_string(), "a <mark>&lt;b&gt;</mark> &amp; c");
        assert_eq!(plain("a \u{1}b\u{2}"), "a b");
    }

    #[test]
    fn stray_marks_leave_the_page_whole() {
        assert_eq!(marked("\u{2}a\u{1}b\u{1}c").into_string(), "a<mark>bc</mark>");
    }
}

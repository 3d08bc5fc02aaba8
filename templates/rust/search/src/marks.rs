//! The words that were found, marked.

use maud::{Markup, PreEscaped, Render};

/// What `queries.sql` puts around a word that was found: characters no text has.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// The text, escaped, with what was found in `<mark>`.
pub(crate) fn marked(text: &str) -> Markup {
    let escaped = text.render().into_string();
    PreEscaped(escaped.replace(OPEN, "<mark>").replace(CLOSE, "</mark>"))
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn the_text_is_escaped_and_the_marks_are_tags() {
        assert_eq!(marked("<b> \u{1}whale\u{2}").into_string(), "&lt;b&gt; <mark>whale</mark>");
    }
}

//! From what a visitor types to a query that the search index always understands.
//!
//! Words must all occur. `"quoted words"` must occur side by side. A word that ends in `*`, and the last word while
//! it may still be being typed, stands for all words that begin so. Everything is handed over in quotes, so that
//! nothing a visitor types is an operator.

/// Each term costs time, and nobody types more who means it.
const MAX_TERMS: usize = 8;

/// Shorter beginnings are in too many words to be of use.
const MIN_PREFIX_CHARS: usize = 2;

/// The query for `typed`; none when there is nothing in it to search for.
pub(crate) fn full_text(typed: &str) -> Option<String> {
    let terms: Vec<String> =
        Terms { rest: typed }.filter(|term| term.is_searchable()).take(MAX_TERMS).map(|term| term.to_query()).collect();
    (!terms.is_empty()).then(|| terms.join(" "))
}

#[derive(Debug)]
struct Term<'a> {
    text: &'a str,
    is_prefix: bool,
}

impl Term<'_> {
    /// The index knows letters and digits; the rest only separates them.
    fn is_searchable(&self) -> bool {
        self.text.chars().any(char::is_alphanumeric)
    }

    fn to_query(&self) -> String {
        let text: String = self.text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        let letters = text.chars().rev().take_while(|c| c.is_alphanumeric()).count();
        let star = if self.is_prefix && letters >= MIN_PREFIX_CHARS { " *" } else { "" };
        format!("\"{text}\"{star}")
    }
}

/// Cuts the text at white space, and at quotes.
struct Terms<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Terms<'a> {
    type Item = Term<'a>;

    fn next(&mut self) -> Option<Term<'a>> {
        let text = self.rest.trim_start();
        if text.is_empty() {
            return None;
        }
        if let Some(quoted) = text.strip_prefix('"') {
            let (phrase, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
            self.rest = rest;
            return Some(Term { text: phrase, is_prefix: false });
        }
        let end = text.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        let stem = word.trim_end_matches('*');
        Some(Term { text: stem, is_prefix: rest.is_empty() || stem.len() < word.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::full_text;

    #[track_caller]
    fn is(typed: &str, query: &str) {
        assert_eq!(full_text(typed).as_deref(), Some(query));
    }

    #[test]
    fn words_are_quoted_and_the_last_may_go_on() {
        is("image viewer", r#""image" "viewer" *"#);
        is("image viewer ", r#""image" "viewer""#);
        is("libfoo-dev", r#""libfoo-dev" *"#);
    }

    #[test]
    fn a_star_asks_for_beginnings() {
        is("lib* tool ", r#""lib" * "tool""#);
        is("lib** ", r#""lib" *"#);
    }

    #[test]
    fn short_beginnings_are_whole_words() {
        is("c", r#""c""#);
        is("a* b* ", r#""a" "b""#);
        is("g++", r#""g++""#);
        is("x-c", r#""x-c""#);
    }

    #[test]
    fn quotes_hold_words_together() {
        is(r#""real time" game"#, r#""real time" "game" *"#);
        is(r#"a"b c"d "#, r#""a" "b c" "d""#);
        is(r#""never closed"#, r#""never closed""#);
    }

    #[test]
    fn operators_are_only_words() {
        is("cats AND NOT dogs ", r#""cats" "AND" "NOT" "dogs""#);
        is("name:x^2 ", r#""name:x^2""#);
        is("NEAR(a b, 2) ", r#""NEAR(a" "b," "2)""#);
    }

    #[test]
    fn nothing_to_search_for_is_nothing() {
        for typed in ["", "   ", "***", "\"\"", "\"", "-- ++ ()", "\0\u{1}"] {
            assert_eq!(full_text(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn control_characters_end_no_query() {
        is("a\0b ", r#""a b""#);
    }

    #[test]
    fn there_is_a_limit() {
        let many = "word ".repeat(100);
        assert_eq!(full_text(&many).map(|query| query.matches("word").count()), Some(super::MAX_TERMS));
    }
}

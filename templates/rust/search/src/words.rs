//! From what a visitor types to a full-text query that SQLite always understands.

/// Nobody types more who means it.
const MAX_WORDS: usize = 8;

/// All words must occur, the last one perhaps only begun. Each stands in quotes, so that none is an operator. None when
/// nothing was typed that could be found.
pub(crate) fn full_text(typed: &str) -> Option<String> {
    let words: Vec<String> = typed
        .split(|c: char| c.is_whitespace() || c.is_control() || c == '"')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(MAX_WORDS)
        .map(|word| format!("\"{word}\""))
        .collect();
    (!words.is_empty()).then(|| words.join(" ") + "*")
}

#[cfg(test)]
mod tests {
    use super::full_text;

    #[test]
    fn words_are_quoted_and_the_last_may_go_on() {
        assert_eq!(full_text(" white  wha").as_deref(), Some(r#""white" "wha"*"#));
        assert_eq!(full_text(r#"a "OR" b"#).as_deref(), Some(r#""a" "OR" "b"*"#));
    }

    #[test]
    fn nothing_to_search_for_is_none() {
        for typed in ["", "  ", "\"", "* -"] {
            assert_eq!(full_text(typed), None, "{typed}");
        }
    }
}

//! Finding books by words in them.

use maud::html;
use nearside_sdk::{Request, Result, sql};

use crate::book::{self, Book};
use crate::layout;

pub(crate) fn page(request: &Request) -> Result {
    let query = request.query();
    let books: Vec<Book> = match query.filled("q").and_then(full_text) {
        Some(words) => sql::query("search", (words,))?.rows()?,
        None => Vec::new(),
    };
    let content = html! {
        h1 { "Search" }
        @if books.is_empty() { p { "Nothing was found." } }
        (book::list(&books))
    };
    Ok(layout::page("Search", content))
}

/// All words must occur, the last one perhaps only begun. In quotes, none of them is an operator.
fn full_text(typed: &str) -> Option<String> {
    let words = typed.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let quoted: Vec<String> = words.take(8).map(|word| format!("\"{word}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" ") + "*")
}

#[cfg(test)]
mod tests {
    use super::full_text;

    #[test]
    fn words_are_quoted_and_the_last_may_go_on() {
        assert_eq!(full_text(" white  wha").as_deref(), Some(r#""white" "wha"*"#));
        assert_eq!(full_text(r#"a "OR" b("#).as_deref(), Some(r#""a" "OR" "b"*"#));
        assert_eq!(full_text("\"* -"), None);
    }
}

//! Snippets and highlights: functions of a text and a query, for the rows that are shown.

use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
};

use crate::{
    fault::Fault,
    limits,
    options::forms,
    query::{Sought, sought},
    tokens::{Forms, tokens},
};

pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    // Each with another parameter at the end, the tokenizer of an index that has one.
    for more in [0, 1] {
        connection.create_scalar_function(c"search_highlight", 4 + more, flags, |context| {
            told(context, 4, |text, sought, context| {
                let marks = Marks { before: context.get(2)?, after: context.get(3)? };
                Ok(highlight(text, sought, &marks))
            })
        })?;
        connection.create_scalar_function(c"search_snippet", 6 + more, flags, |context| {
            told(context, 6, |text, sought, context| {
                let marks = Marks { before: context.get(2)?, after: context.get(3)? };
                let most = context.get::<i64>(5)?.clamp(1, limits::SNIPPET_TOKENS_MOST as i64) as usize;
                Ok(snippet(text, sought, &marks, &context.get::<String>(4)?, most))
            })
        })?;
    }
    Ok(())
}

/// What a query looks for in texts, and in which forms.
struct Looked {
    sought: Vec<Sought>,
    forms: Forms,
}

/// Nothing for a text that is NULL.
fn told(
    context: &Context<'_>,
    tokenizer: usize,
    make: impl Fn(&str, &Looked, &Context<'_>) -> rusqlite::Result<String>,
) -> rusqlite::Result<Option<String>> {
    let Some(text) = context.get::<Option<String>>(0)? else { return Ok(None) };
    let query = context.get::<Option<String>>(1)?.unwrap_or_default();
    let forms =
        if context.len() > tokenizer { forms(&context.get::<String>(tokenizer)?) } else { Ok(Forms::AsTheyStand) };
    let forms = forms.map_err(Fault::into_sqlite)?;
    let sought = sought(&query, forms).map_err(Fault::into_sqlite)?;
    make(&text, &Looked { sought, forms }, context).map(Some)
}

struct Marks {
    before: String,
    after: String,
}

/// A word of the text, and whether the query meets it.
struct Met {
    start: usize,
    end: usize,
    is_met: bool,
    /// It goes on what the word before it began.
    goes_on: bool,
}

fn meet(text: &str, looked: &Looked) -> Vec<Met> {
    let (mut met, mut words) = (Vec::new(), Vec::new());
    tokens(text, looked.forms, &mut String::new(), |word, token| {
        met.push(Met { start: token.start, end: token.end, is_met: false, goes_on: false });
        words.push(word.to_owned());
    });
    for Sought { words: phrase, prefix } in &looked.sought {
        for at in 0..words.len() {
            let fits = phrase.iter().enumerate().all(|(offset, wanted)| {
                let last = *prefix && offset + 1 == phrase.len();
                words.get(at + offset).is_some_and(|word| if last { word.starts_with(wanted) } else { word == wanted })
            });
            if fits {
                for offset in 0..phrase.len() {
                    met[at + offset].is_met = true;
                    met[at + offset].goes_on |= offset > 0;
                }
            }
        }
    }
    met
}

fn highlight(text: &str, sought: &Looked, marks: &Marks) -> String {
    marked(text, &meet(text, sought), (0, text.len()), marks)
}

fn marked(text: &str, met: &[Met], (from, to): (usize, usize), marks: &Marks) -> String {
    let mut shown = String::with_capacity(to - from);
    let mut at = from;
    for (index, word) in met.iter().enumerate().filter(|(_, word)| word.is_met) {
        let first = index == 0 || !word.goes_on || !met[index - 1].is_met;
        let last = met.get(index + 1).is_none_or(|next| !next.is_met || !next.goes_on);
        shown.push_str(&text[at..word.start]);
        shown.push_str(if first { &marks.before } else { "" });
        shown.push_str(&text[word.start..word.end]);
        shown.push_str(if last { &marks.after } else { "" });
        at = word.end;
    }
    shown.push_str(&text[at..to]);
    shown
}

/// The first of the stretches that meet the most words.
fn snippet(text: &str, sought: &Looked, marks: &Marks, ellipsis: &str, most: usize) -> String {
    let met = meet(text, sought);
    if met.len() <= most {
        return marked(text, &met, (0, text.len()), marks);
    }
    let count = |from: usize| met[from..from + most].iter().filter(|word| word.is_met).count();
    let best = (0..=met.len() - most).max_by_key(|from| (count(*from), std::cmp::Reverse(*from))).unwrap_or(0);
    // What is met stands in the middle, as far as there is text on both sides.
    let stretch = &met[best..best + most];
    let before = stretch.iter().position(|word| word.is_met).unwrap_or(0);
    let after = most - 1 - stretch.iter().rposition(|word| word.is_met).unwrap_or(most - 1);
    let from = (best + before.saturating_sub(after) / 2).min(met.len() - most);
    let part = &met[from..from + most];
    let (start, end) = (part[0].start, part[most - 1].end);
    let cut = |cut: bool| if cut { ellipsis } else { "" };
    format!("{}{}{}", cut(from > 0), marked(text, part, (start, end), marks), cut(from + most < met.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(sql: &str) -> String {
        let connection = Connection::open_in_memory().unwrap();
        crate::register(&connection).unwrap();
        connection.query_row(sql, [], |row| Ok(row.get::<_, Option<String>>(0)?.unwrap_or("NULL".into()))).unwrap()
    }

    #[test]
    fn what_a_query_meets_is_marked() {
        for (text, query, shown) in [
            ("A fast Web server, fast.", "fast", "A [fast] Web server, [fast]."),
            ("A fast Web server", "\"web server\" NOT fast", "A fast [Web server]"),
            ("Café au lait", "cafe*", "[Café] au lait"),
            ("graphics in graphics", "section:graphics AND in", "graphics [in] graphics"),
            ("web web server", "web OR \"web server\"", "[web] [web server]"),
            ("nothing", "", "nothing"),
        ] {
            assert_eq!(ask(&format!("SELECT search_highlight('{text}', '{query}', '[', ']')")), shown);
        }
        assert_eq!(ask("SELECT search_highlight(NULL, 'a', '[', ']')"), "NULL");
        let stems = "SELECT search_highlight('Edited by editors', 'editing', '[', ']', 'porter')";
        assert_eq!(ask(stems), "[Edited] by editors");
        assert_eq!(ask(&stems.replace("'porter'", "'unicode61'")), "Edited by editors");
        assert_eq!(
            ask("SELECT search_snippet('a b edits', 'edit', '[', ']', '…', 2, 'porter unicode61')"),
            "…b [edits]"
        );
    }

    #[test]
    fn a_snippet_is_where_most_is_met() {
        let text = "one two three four five six seven eight nine ten";
        let sql = |query, most| format!("SELECT search_snippet('{text}', '{query}', '<', '>', '…', {most})");
        assert_eq!(ask(&sql("six OR seven", 4)), "…five <six> <seven> eight…");
        assert_eq!(ask(&sql("one", 3)), "<one> two three…");
        assert_eq!(ask(&sql("ten", 3)), "…eight nine <ten>");
        assert_eq!(ask(&sql("none", 20)), text);
    }
}

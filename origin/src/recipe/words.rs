//! Text: words, what breaks programs that are not careful, and what fits a pattern.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::chance::Chance;

const WORDS: &[&str] = &[
    "edge",
    "cache",
    "page",
    "tree",
    "root",
    "store",
    "snapshot",
    "Cache",
    "river",
    "stone",
    "harbour",
    "Émile",
    "naïve",
    "東京",
    "🦀",
    "o'clock",
    "\"quoted\"",
    "100%",
    "a_b",
    "NULL",
    "0",
    "-1",
    "1e9",
    "<b>",
    "two  spaces",
];

/// Between so many and so many characters.
pub(super) fn text(chance: &mut Chance, least: usize, most: usize) -> String {
    let most = most.max(least);
    let aim = match chance.below(20) {
        0 => least,
        1 => most.min(least + 400),
        _ => chance.between(least, most.min(least + 40)),
    };
    let mut text = String::new();
    while text.chars().count() < aim.max(1) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(chance.one_of(WORDS).expect("BUG: there are words"));
    }
    // A word more than was aimed at may be one too many.
    text.chars().take(most.min(aim.max(least) + 8)).collect()
}

/// As JSON Schema names them.
pub(super) fn of_format(chance: &mut Chance, format: &str) -> Option<String> {
    let mut number = |least, most| chance.between(least, most);
    Some(match format {
        "date" => format!("{:04}-{:02}-{:02}", number(1970, 2099), number(1, 12), number(1, 28)),
        "time" => format!("{:02}:{:02}:{:02}Z", number(0, 23), number(0, 59), number(0, 59)),
        "date-time" => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            number(1970, 2099),
            number(1, 12),
            number(1, 28),
            number(0, 23),
            number(0, 59),
            number(0, 59)
        ),
        "email" => format!("visitor{}@example.org", number(0, 99)),
        "uri" | "url" | "iri" => format!("https://example.org/{}", number(0, 99)),
        "uri-reference" => format!("/{}", number(0, 99)),
        "hostname" => format!("host{}.example.org", number(0, 99)),
        "ipv4" => format!("192.0.2.{}", number(0, 255)),
        "ipv6" => format!("2001:db8::{:x}", number(0, 255)),
        "uuid" => format!("{:08x}-0000-4000-8000-{:012x}", number(0, 99), number(0, 99)),
        _ => return None,
    })
}

/// A text that a pattern finds. None for patterns that no text can be made by: look-around, back references.
pub(super) fn of_pattern(chance: &mut Chance, pattern: &str) -> Option<String> {
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    let mut made = String::new();
    make(chance, &hir, &mut made)?;
    Some(made)
}

/// Repetitions without an end stop here.
const REPEATED_MOST: u32 = 12;

fn make(chance: &mut Chance, hir: &Hir, made: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => made.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges: Vec<_> =
                class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32)).collect();
            made.push(in_ranges(chance, &ranges)?);
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges: Vec<_> =
                class.ranges().iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect();
            made.push(in_ranges(chance, &ranges)?);
        }
        HirKind::Repetition(repeated) => {
            let most = repeated.max.unwrap_or(repeated.min + REPEATED_MOST).min(repeated.min + REPEATED_MOST);
            for _ in 0..chance.between(repeated.min as usize, most as usize) {
                make(chance, &repeated.sub, made)?;
            }
        }
        HirKind::Capture(capture) => make(chance, &capture.sub, made)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| make(chance, part, made))?,
        HirKind::Alternation(ways) => {
            let way = chance.below(ways.len());
            make(chance, ways.get(way)?, made)?;
        }
    }
    Some(())
}

/// What can be read, if the class has any of that.
fn in_ranges(chance: &mut Chance, ranges: &[(u32, u32)]) -> Option<char> {
    let plain: Vec<(u32, u32)> = ranges
        .iter()
        .map(|(start, end)| (*start.max(&0x20), *end.min(&0x7e)))
        .filter(|(start, end)| start <= end)
        .collect();
    // `\d` and `\w` mean fewer characters to a schema than to this parser.
    let from: &[(u32, u32)] = if plain.is_empty() { ranges } else { &plain };
    let (start, end) = *chance.one_of(from)?;
    char::from_u32(chance.between(start as usize, end as usize) as u32).or_else(|| char::from_u32(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_for_a_pattern_fits_it() {
        let mut chance = Chance::new(1);
        for pattern in ["^[0-9a-f]{64}$", "^[a-z]{1,40}$", "^(a|bc)+-\\d{2,}$", "x", "^\\w+@\\w+\\.(org|net)$", "[^a]"]
        {
            let schema = serde_json::json!({ "type": "string", "pattern": pattern });
            let validator = jsonschema::validator_for(&schema).unwrap();
            for _ in 0..200 {
                let made = of_pattern(&mut chance, pattern).unwrap();
                assert!(validator.is_valid(&made.clone().into()), "{pattern}: {made}");
            }
        }
        assert_eq!(of_pattern(&mut chance, "(?=a)"), None);
    }

    #[test]
    fn text_has_the_length_that_was_asked_for() {
        let mut chance = Chance::new(2);
        for (least, most) in [(0, 0), (1, 1), (1, 80), (5, 9), (300, 4_000)] {
            for _ in 0..200 {
                let length = text(&mut chance, least, most).chars().count();
                assert!((least..=most).contains(&length), "{length} of {least}..{most}");
            }
        }
    }
}

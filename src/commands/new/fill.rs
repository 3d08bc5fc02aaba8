//! Placeholders: `{{name}}` is the app's name, `{{crate.serde}}` what the SDK's workspace says of that crate.

use anyhow::{Context, bail};

use super::sdk;

/// The text with its placeholders filled. One that nobody knows is an error: it would be found only by a build.
pub(super) fn fill(file: &str, text: &str, name: &str) -> anyhow::Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, word, after)) = placeholder(rest) {
        filled.push_str(before);
        match word.strip_prefix("crate.") {
            Some(dependency) => filled.push_str(
                &sdk::dependency(dependency).with_context(|| format!("the template's {file} has `{{{{{word}}}}}`"))?,
            ),
            None if word == "name" => filled.push_str(name),
            None => bail!("BUG: the template's {file} has `{{{{{word}}}}}`, which stands for nothing"),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The first `{{word}}`, with what stands before and after it. Other braces are the template's own.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b"._-".contains(&b));
    let mut from = 0;
    while let Some(open) = text[from..].find("{{") {
        let start = from + open;
        let inside = &text[start + 2..];
        if let Some(close) = inside.find("}}")
            && is_word(&inside[..close])
        {
            return Some((&text[..start], &inside[..close], &inside[close + 2..]));
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_and_other_braces_stay() {
        let fill = |text| fill("f", text, "shop").unwrap();
        assert_eq!(fill("a {{name}}.localhost {{name}}"), "a shop.localhost shop");
        assert_eq!(fill("{{{name}}} {{ name }} {{}} {{ {{name"), "{shop} {{ name }} {{}} {{ {{name");
        assert!(fill("maud = {{crate.maud}}").contains("version"));
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = |text| format!("{:#}", fill("a.toml", text, "shop").unwrap_err());
        assert!(error("{{nmae}}").contains("a.toml has `{{nmae}}`"));
        assert!(error("{{crate.none}}").contains("`none`"));
    }
}

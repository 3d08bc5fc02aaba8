//! Content negotiation, RFC 9110 section 12: which of the declared answers a client likes best.

use http::{HeaderMap, HeaderName, header};

/// The declared media type the client prefers; the first one when it accepts none of them.
pub fn media_type<'a>(headers: &HeaderMap, declared: &'a [impl AsRef<str>]) -> &'a str {
    best(&ranges(headers, header::ACCEPT), declared, |range, media| match range.split_once('/') {
        Some(("*", "*")) => Some(1),
        Some((kind, "*")) => media.split_once('/').is_some_and(|(its, _)| its.eq_ignore_ascii_case(kind)).then_some(2),
        _ => range.eq_ignore_ascii_case(media).then_some(3),
    })
}

/// The declared language the client prefers; the first one when it accepts none of them. RFC 4647 basic filtering.
pub fn language<'a>(headers: &HeaderMap, declared: &'a [impl AsRef<str>]) -> &'a str {
    best(&ranges(headers, header::ACCEPT_LANGUAGE), declared, |range, language| {
        let begins = language.get(..range.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(range));
        let prefix = begins && matches!(language.as_bytes().get(range.len()), None | Some(b'-'));
        if range == "*" { Some(1) } else { prefix.then_some(1 + range.len()) }
    })
}

/// Whether a client would rather have a problem document than a page.
pub fn prefers_json(headers: &HeaderMap) -> bool {
    const CHOICES: [&str; 3] = ["text/html", "application/problem+json", "application/json"];
    !headers.contains_key(header::ACCEPT) || media_type(headers, &CHOICES) != CHOICES[0]
}

struct Range<'a> {
    name: &'a str,
    quality: f32,
}

fn ranges(headers: &HeaderMap, name: HeaderName) -> Vec<Range<'_>> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let quality = parts
                .find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")))
                .map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0));
            Some(Range { name, quality })
        })
        .collect()
}

/// The declared value of the highest quality; the most specific range speaks for it, and the earlier one wins a tie.
fn best<'a>(
    ranges: &[Range<'_>],
    declared: &'a [impl AsRef<str>],
    matches: impl Fn(&str, &str) -> Option<usize>,
) -> &'a str {
    let quality = |value: &str| {
        ranges
            .iter()
            .filter_map(|range| matches(range.name, value).map(|specific| (specific, range.quality)))
            .max_by(|one, other| one.0.cmp(&other.0))
            .map_or(0.0, |(_, quality)| quality)
    };
    let mut declared = declared.iter().map(AsRef::as_ref);
    let first = declared.next().expect("BUG: there is a value to choose");
    let mut chosen = (quality(first), first);
    for value in declared {
        let quality = quality(value);
        if quality > chosen.0 {
            chosen = (quality, value);
        }
    }
    chosen.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn choose(accept: &str) -> String {
        let declared = ["text/html", "application/json"].map(str::to_owned);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        media_type(&headers, &declared).to_owned()
    }

    #[test]
    fn the_liked_type_is_chosen() {
        for (accept, expected) in [
            ("application/json", "application/json"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
            ("*/*", "text/html"),
            ("image/png", "text/html"),
            ("text/html;q=0.5, application/json", "application/json"),
            ("application/*", "application/json"),
            ("text/html;q=0, */*;q=0.1", "application/json"),
            ("text/html;q=nonsense, application/json;q=0.1", "application/json"),
            ("", "text/html"),
        ] {
            assert_eq!(choose(accept), expected, "{accept}");
        }
    }

    #[test]
    fn languages_match_by_prefix() {
        let declared = ["en", "de-CH", "fr"].map(str::to_owned);
        let choose = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(accept).unwrap());
            language(&headers, &declared).to_owned()
        };
        assert_eq!(choose("de, en;q=0.5"), "de-CH");
        assert_eq!(choose("fr-CA"), "en");
        assert_eq!(choose("d, DE-ch;q=0.1"), "de-CH");
        assert_eq!(choose("ja, fr;q=0.2"), "fr");
    }

    #[test]
    fn browsers_get_pages_and_programs_get_problems() {
        let mut headers = HeaderMap::new();
        assert!(prefers_json(&headers));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        assert!(!prefers_json(&headers));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        assert!(prefers_json(&headers));
    }
}

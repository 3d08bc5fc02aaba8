//! Choosing a media type by `Accept` (RFC 9110, section 12.5.1).

/// The offer that `accept` likes best; among equals the one offered first. None when it refuses them all.
#[must_use]
pub fn best<'a>(accept: &str, offers: &[&'a str]) -> Option<&'a str> {
    let mut best = None;
    let mut best_weight = 0;
    for &offer in offers {
        let weight = weight(accept, offer);
        if weight > best_weight {
            best = Some(offer);
            best_weight = weight;
        }
    }
    best
}

/// How much `accept` wants `offer`, in thousandths: the weight of the most specific range that covers it.
fn weight(accept: &str, offer: &str) -> u32 {
    if accept.trim().is_empty() {
        return 1000;
    }
    let mut found = (0, 0);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let specificity = specificity(parts.next().unwrap_or_default(), offer);
        if specificity > found.0 {
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            found = (specificity, quality.map_or(1000, thousandths));
        }
    }
    found.1
}

/// Zero when `range` does not cover `offer`.
fn specificity(range: &str, offer: &str) -> u32 {
    if range == "*/*" {
        return 1;
    }
    if range.eq_ignore_ascii_case(offer) {
        return 3;
    }
    let same_type = range.strip_suffix("/*").zip(offer.split_once('/'));
    if same_type.is_some_and(|(range, (offer, _))| range.eq_ignore_ascii_case(offer)) { 2 } else { 0 }
}

/// A quality value: 0 or 1, with up to three decimals. One that is malformed counts as zero.
fn thousandths(quality: &str) -> u32 {
    let (whole, decimals) = quality.split_once('.').unwrap_or((quality, ""));
    let is_decimal = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" if decimals.bytes().all(|byte| byte == b'0') && is_decimal => 1000,
        "0" if is_decimal => format!("{decimals:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::best;

    const OFFERS: &[&str] = &["text/html", "application/json"];

    #[test]
    fn no_preference_takes_the_first_offer() {
        assert_eq!(best("", OFFERS), Some("text/html"));
        assert_eq!(best("*/*", OFFERS), Some("text/html"));
    }

    #[test]
    fn browsers_get_html_and_api_clients_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(best(browser, OFFERS), Some("text/html"));
        assert_eq!(best("application/json", OFFERS), Some("application/json"));
        assert_eq!(best("Application/JSON, text/*;q=0.5", OFFERS), Some("application/json"));
    }

    #[test]
    fn the_most_specific_range_counts() {
        assert_eq!(best("*/*, text/html;q=0", OFFERS), Some("application/json"));
        assert_eq!(best("text/html;q=0.125, application/json;q=0.25", OFFERS), Some("application/json"));
        assert_eq!(best("text/html;q=1.000, application/json;q=0.999", OFFERS), Some("text/html"));
        assert_eq!(best("text/*;q=0.3, */*;q=0.2", OFFERS), Some("text/html"));
    }

    #[test]
    fn nothing_acceptable_is_none_and_nonsense_does_no_harm() {
        assert_eq!(best("image/png", OFFERS), None);
        assert_eq!(best("text/html;q=2", OFFERS), None);
        assert_eq!(best("text/html;q=-0.5, application/json;q=0.12345", OFFERS), None);
        assert_eq!(best(";;,,/", OFFERS), None);
    }
}

//! Conditional and partial requests for a whole of known length: RFC 9110 sections 13 and 14.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, Method, header};

/// How a GET or HEAD for something that is there is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Sends {
    Whole,
    /// These bytes of it: 206.
    Part(Range<u64>),
    /// The client has it already: 304.
    Nothing,
    /// No byte of it is in the range asked for: 416.
    NoSuchPart,
}

impl Sends {
    /// For what is sent as a whole or not at all.
    pub fn undivided(request: &HeaderMap, etag: &HeaderValue) -> Sends {
        if none_match(request, etag) { Sends::Nothing } else { Sends::Whole }
    }

    /// The bytes that go out, of so many.
    pub fn bytes(&self, method: &Method, length: u64) -> Range<u64> {
        match self {
            _ if method == Method::HEAD => 0..0,
            Sends::Whole => 0..length,
            Sends::Part(part) => part.clone(),
            Sends::Nothing | Sends::NoSuchPart => 0..0,
        }
    }

    pub fn decide(method: &Method, request: &HeaderMap, etag: &HeaderValue, length: u64) -> Sends {
        if none_match(request, etag) { Sends::Nothing } else { Sends::part(method, request, etag, length) }
    }

    /// What is sent to a client that has not got it. `etag` is strong. There are no dates here, so a client that goes by one
    /// gets the whole.
    pub fn part(method: &Method, request: &HeaderMap, etag: &HeaderValue, length: u64) -> Sends {
        // Section 14.2: a range is for GET alone.
        let Some(range) = request.get(header::RANGE).filter(|_| method == Method::GET) else { return Sends::Whole };
        if request.get(header::IF_RANGE).is_some_and(|condition| condition != etag) {
            return Sends::Whole;
        }
        match range.to_str().ok().and_then(Asked::parse) {
            Some(asked) => asked.of(length).map_or(Sends::NoSuchPart, Sends::Part),
            None => Sends::Whole,
        }
    }
}

/// One range of bytes, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    /// `first-last`, both in it.
    Between(u64, u64),
    /// `first-`
    From(u64),
    /// `-length`
    Last(u64),
}

impl Asked {
    /// None for what is no range of bytes, and for several at once: whoever asks for that takes the whole as well.
    fn parse(text: &str) -> Option<Asked> {
        let (unit, ranges) = text.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
            return None;
        }
        let (first, last) = ranges.trim().split_once('-')?;
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Asked::Last(number(last)?)),
            (false, true) => Some(Asked::From(number(first)?)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Asked::Between(first, last))
            }
        }
    }

    /// The bytes it means of so many; None when there are none.
    fn of(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Asked::Between(first, last) => first..last.saturating_add(1).min(length),
            Asked::From(first) => first..length,
            Asked::Last(count) => length.saturating_sub(count)..length,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// Digits alone. A number beyond all lengths is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// RFC 9110 section 13.1.2.
pub fn none_match(request: &HeaderMap, etag: &HeaderValue) -> bool {
    tags(request).any(|tag| tag == b"*" || tag == etag.as_bytes())
}

/// What `If-None-Match` lists, to be compared weakly, as it asks for.
pub fn tags(request: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|tag| tag.trim_ascii())
        .map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decide(method: &Method, headers: &[(header::HeaderName, &str)], length: u64) -> Sends {
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            request.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        Sends::decide(method, &request, &HeaderValue::from_static("\"a\""), length)
    }

    fn range(text: &str, length: u64) -> Sends {
        decide(&Method::GET, &[(header::RANGE, text)], length)
    }

    #[test]
    fn one_range_is_understood_and_all_else_is_the_whole() {
        for (text, expected) in [
            ("bytes=0-0", Sends::Part(0..1)),
            ("bytes=2-4", Sends::Part(2..5)),
            ("Bytes=2-", Sends::Part(2..10)),
            ("bytes=-3", Sends::Part(7..10)),
            ("bytes= 2-4 ", Sends::Part(2..5)),
            ("bytes=-99", Sends::Part(0..10)),
            ("bytes=9-99999999999999999999999", Sends::Part(9..10)),
            ("bytes=10-", Sends::NoSuchPart),
            ("bytes=10-12", Sends::NoSuchPart),
            ("bytes=-0", Sends::NoSuchPart),
            ("bytes=99999999999999999999999-", Sends::NoSuchPart),
            ("bytes=4-2", Sends::Whole),
            ("bytes=0-1,3-4", Sends::Whole),
            ("bytes=-", Sends::Whole),
            ("bytes=+1-2", Sends::Whole),
            ("bytes=a-b", Sends::Whole),
            ("bytes=--1", Sends::Whole),
            ("bytes 0-1", Sends::Whole),
            ("lines=0-1", Sends::Whole),
            ("", Sends::Whole),
        ] {
            assert_eq!(range(text, 10), expected, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Sends::NoSuchPart);
    }

    #[test]
    fn a_range_counts_under_its_conditions_only() {
        let part = (header::RANGE, "bytes=0-0");
        assert_eq!(decide(&Method::HEAD, std::slice::from_ref(&part), 9), Sends::Whole);
        for (condition, expected) in [
            ("\"a\"", Sends::Part(0..1)),
            ("\"b\"", Sends::Whole),
            ("W/\"a\"", Sends::Whole),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Sends::Whole),
        ] {
            assert_eq!(
                decide(&Method::GET, &[part.clone(), (header::IF_RANGE, condition)], 9),
                expected,
                "{condition}"
            );
        }
        let has_it = (header::IF_NONE_MATCH, "\"a\"");
        assert_eq!(decide(&Method::GET, &[part.clone(), has_it.clone()], 9), Sends::Nothing);
        assert_eq!(decide(&Method::HEAD, &[has_it], 9), Sends::Nothing);
    }

    #[test]
    fn etags_are_compared_as_lists() {
        let etag = HeaderValue::from_static("\"a\"");
        let matches = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(text));
            none_match(&headers, &etag)
        };
        assert!(matches("\"a\"") && matches("\"b\", W/\"a\"") && matches("*"));
        assert!(!matches("\"b\"") && !matches("a") && !matches(""));
        assert!(!none_match(&HeaderMap::new(), &etag));
    }

    proptest! {
        #[test]
        fn a_part_lies_within(text in "[bytes=0-9, -]{0,24}", length in 0..30u64) {
            if let Sends::Part(part) = range(&text, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn a_part_is_what_was_asked_for(first in 0..50u64, more in 0..50u64, length in 1..60u64) {
            let last = first + more;
            let expected = if first < length { Sends::Part(first..(last + 1).min(length)) } else { Sends::NoSuchPart };
            prop_assert_eq!(range(&format!("bytes={first}-{last}"), length), expected);
        }
    }
}

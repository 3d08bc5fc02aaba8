//! The request target, in one spelling: what routes, keys and handlers see.

use std::fmt::Write;

/// A path and query that cannot be read two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Percent-encoded in one way only; begins with `/`.
    pub path: String,
    /// As sent, without the `?`.
    pub query: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("the path has a `%` that is not followed by two hexadecimal digits")]
    Escape,
    #[error("the path does not decode to UTF-8")]
    Utf8,
    #[error("the path has an encoded slash, a backslash or a control character")]
    Ambiguous,
    #[error("the path has a `.` or `..` segment")]
    Dots,
    #[error("the path does not begin with a slash")]
    Relative,
}

impl Target {
    pub fn parse(path: &str, query: Option<&str>) -> Result<Target, BadTarget> {
        let rest = path.strip_prefix('/').ok_or(BadTarget::Relative)?;
        let query = query.filter(|query| !query.is_empty()).map(str::to_owned);
        if is_canonical(rest) {
            return Ok(Target { path: path.to_owned(), query });
        }
        let mut canonical = String::with_capacity(path.len());
        for segment in rest.split('/') {
            canonical.push('/');
            encode_segment(&decode_segment(segment)?, &mut canonical);
        }
        Ok(Target { path: canonical, query })
    }

    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

/// A path below a prefix, with its escapes resolved, as file names have them.
pub fn decoded_below(path: &str, prefix: &str) -> Option<String> {
    path.strip_prefix(prefix)?
        .split('/')
        .map(decode_segment)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .map(|parts| parts.join("/"))
}

fn decode_segment(segment: &str) -> Result<String, BadTarget> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let byte = if *first == b'%' {
            let (pair, after) = tail.split_at_checked(2).ok_or(BadTarget::Escape)?;
            rest = after;
            hex(pair[0]).zip(hex(pair[1])).map(|(high, low)| high * 16 + low).ok_or(BadTarget::Escape)?
        } else {
            *first
        };
        if byte < 0x20 || byte == 0x7f || byte == b'/' || byte == b'\\' {
            return Err(BadTarget::Ambiguous);
        }
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).map_err(|_| BadTarget::Utf8)?;
    if text == "." || text == ".." { Err(BadTarget::Dots) } else { Ok(text) }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// Whether a path is in its one spelling already, as nearly all are: nothing is escaped, and no segment begins with a dot.
fn is_canonical(path: &str) -> bool {
    let mut before = b'/';
    path.bytes().all(|byte| {
        let begins = std::mem::replace(&mut before, byte) == b'/';
        byte == b'/' || (is_pchar(byte) && !(begins && byte == b'.'))
    })
}

fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*')
        || matches!(byte, b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// RFC 3986 `pchar`s stand as they are; all else is escaped, in upper case.
pub(crate) fn encode_segment(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if is_pchar(byte) {
            out.push(byte as char);
        } else {
            write!(out, "%{byte:02X}").expect("BUG: a String takes all text");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(path: &str) -> Result<String, BadTarget> {
        Target::parse(path, None).map(|target| target.path)
    }

    #[test]
    fn one_spelling_for_one_path() {
        assert_eq!(path("/%61b/%c3%a4 /{x}").unwrap(), "/ab/%C3%A4%20/%7Bx%7D");
        assert_eq!(path("/").unwrap(), "/");
        assert_eq!(path("/a//b/").unwrap(), "/a//b/");
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for (given, expected) in [
            ("/a%2fb", BadTarget::Ambiguous),
            ("/a%5Cb", BadTarget::Ambiguous),
            ("/a\\b", BadTarget::Ambiguous),
            ("/a%00", BadTarget::Ambiguous),
            ("/a%0d%0a", BadTarget::Ambiguous),
            ("/..", BadTarget::Dots),
            ("/a/%2e%2E/b", BadTarget::Dots),
            ("/./a", BadTarget::Dots),
            ("/%zz", BadTarget::Escape),
            ("/%4", BadTarget::Escape),
            ("/%ff", BadTarget::Utf8),
            ("*", BadTarget::Relative),
        ] {
            assert_eq!(path(given), Err(expected), "{given}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_refused_or_settles(text in "/[ -~é]{0,40}") {
            if let Ok(once) = path(&text) {
                prop_assert_eq!(path(&once).unwrap(), once);
            }
        }

        #[test]
        fn the_short_cut_leads_where_the_long_way_does(text in "[/.a%2]{0,12}") {
            if is_canonical(&text) {
                for segment in text.split('/') {
                    let mut encoded = String::new();
                    encode_segment(&decode_segment(segment).unwrap(), &mut encoded);
                    prop_assert_eq!(encoded, segment);
                }
            }
        }
    }
}

//! What the pages of the native contenders are written with.

use std::fmt::{Display, Formatter, Result as FmtResult};

use crate::request::percent_encode_except;

pub(super) const PACKAGE: &str = "/package/";
/// What the app leaves as it is in a link.
pub(super) const PLAIN_IN_A_SEGMENT: &[u8] = b"+:@";
/// As long as the addresses that a node gives to static files.
pub(super) const STYLE: &str = "/static/style.0123456789abcdef.css";
pub(super) const ICON: &str = "/static/logo.0123456789abcdef.svg";

/// A package's name as a link to its page.
pub(super) struct Link<'a>(pub(super) &'a str);

impl Display for Link<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> FmtResult {
        let target = percent_encode_except(self.0, PLAIN_IN_A_SEGMENT);
        write!(formatter, "<a class=\"name\" href=\"{PACKAGE}{target}\">{}</a>", Escaped(self.0))
    }
}

/// Text as HTML, written without a copy where nothing needs escaping.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> FmtResult {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"']) {
            formatter.write_str(&rest[..at])?;
            formatter.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                _ => "&quot;",
            })?;
            rest = &rest[at + 1..];
        }
        formatter.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(Escaped("a<b> & \"c\"").to_string(), "a&lt;b&gt; &amp; &quot;c&quot;");
        assert_eq!(Link("g++ &").to_string(), "<a class=\"name\" href=\"/package/g++%20%26\">g++ &amp;</a>");
    }
}

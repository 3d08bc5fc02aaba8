//! Names and values as `application/x-www-form-urlencoded` has them: a query string, or a form that was sent.

use std::str::FromStr;

use crate::missed::{self, Kind};

/// Decoded pairs in the order they came. A name may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pairs: Vec<(String, String)>,
    /// What is not in a query may be there and not be declared; a form is always seen whole.
    is_query: bool,
}

impl Fields {
    /// Reads `a=1&b=two+words`. There is no wrong input: what is not UTF-8 is replaced, a name without `=` is empty.
    #[must_use]
    pub fn parse(encoded: &[u8]) -> Self {
        form_urlencoded::parse(encoded).into_owned().collect()
    }

    pub(crate) fn parse_query(encoded: &str) -> Self {
        Self { is_query: true, ..Self::parse(encoded.as_bytes()) }
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of `name` without the white space around it, if anything is left.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The first value of `name`, read as `T`; none when it is missing or does not read so.
    #[must_use]
    pub fn read<T: FromStr>(&self, name: &str) -> Option<T> {
        self.filled(name)?.parse().ok()
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let mut found = self.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value).peekable();
        if self.is_query && found.peek().is_none() {
            missed::tell(Kind::Query, name);
        }
        found
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self { pairs: pairs.into_iter().collect(), is_query: false }
    }
}

/// Writes pairs as a query string, without the question mark.
#[must_use]
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_in_order() {
        let fields = Fields::parse(b"q=two+words&tag=a%26b&tag=c&flag");
        assert_eq!(fields.get("q"), Some("two words"));
        assert_eq!(fields.all("tag").collect::<Vec<_>>(), ["a&b", "c"]);
        assert_eq!(fields.get("flag"), Some(""));
        assert_eq!(fields.get("none"), None);
    }

    #[test]
    fn broken_escapes_and_bytes_are_not_errors() {
        let fields = Fields::parse(b"a=%zz&b=%ff&&=x");
        assert_eq!(fields.get("a"), Some("%zz"));
        assert_eq!(fields.get("b"), Some("\u{fffd}"));
        assert_eq!(fields.get(""), Some("x"));
    }

    #[test]
    fn values_read_as_types() {
        let fields = Fields::parse(b"page=7&bad=7x&blank=+&padded=+9+");
        assert_eq!(fields.read::<u32>("page"), Some(7));
        assert_eq!(fields.read::<u32>("bad"), None);
        assert_eq!(fields.read::<u32>("padded"), Some(9));
        assert_eq!(fields.filled("blank"), None);
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let query = encode([("q", "a&b=c d"), ("ü", "%")]);
        assert_eq!(Fields::parse(query.as_bytes()).get("q"), Some("a&b=c d"));
        assert_eq!(Fields::parse(query.as_bytes()).get("ü"), Some("%"));
    }
}

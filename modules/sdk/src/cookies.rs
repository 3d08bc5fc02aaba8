//! Cookies a visitor sent, and cookies to give.

use std::fmt::Write;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::missed::{self, Kind};

/// What browsers keep of one cookie, its name and attributes included.
pub const MAX_COOKIE_BYTES: usize = 4096;

/// What may not stand in a value as it is: all but the characters of RFC 6265, and the percent sign that encodes.
const NOT_IN_A_VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b',').add(b';').add(b'\\');

/// What may stand in a name: the characters of a token, without the percent sign.
const NOT_IN_A_NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

const NOT_IN_AN_ATTRIBUTE: &AsciiSet = &CONTROLS.add(b';').add(b' ').add(b'"').add(b'\\');

/// The cookies of a request that its route declares, decoded. A name may come more than once: a sibling domain may have
/// set it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Reads `a=1; b=2`. There is no wrong input: what is not a pair is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.split(';').filter_map(pair).collect())
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        Self(lines.flat_map(|line| line.split(';')).filter_map(pair).collect())
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let mut found = self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str()).peekable();
        if found.peek().is_none() {
            missed::tell(Kind::Cookie, name);
        }
        found
    }
}

/// Quotes around a value belong to its spelling. A name is never decoded: `__%48ost-id` is not `__Host-id`, which
/// browsers accept from this very host only.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.trim().split_once('=')?;
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    Some((name.trim().to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned()))
}

/// When a browser sends a cookie along with what another site started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never, not even when a visitor follows a link.
    Strict,
    /// Only when a visitor follows a link. The default.
    Lax,
    /// Always; browsers take that from [`SetCookie`]s that are secure.
    None,
}

/// A cookie to give, for [`Response::with_cookie`](crate::Response::with_cookie).
///
/// It is for all paths of this host, for as long as the browser runs, out of the reach of scripts (`HttpOnly`), sent over
/// TLS only (`Secure`; browsers make an exception for `localhost`), and not sent with other sites' requests
/// (`SameSite=Lax`), unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    value: String,
    path: String,
    domain: Option<String>,
    max_age_s: Option<u64>,
    is_secure: bool,
    is_http_only: bool,
    same_site: SameSite,
}

impl SetCookie {
    /// Any text can be a value: it is encoded, and [`Cookies`] decodes it. A name should be letters, digits, `-` and `_`.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: "/".to_owned(),
            domain: None,
            max_age_s: None,
            is_secure: true,
            is_http_only: true,
            same_site: SameSite::Lax,
        }
    }

    /// Takes a cookie away. Path and domain must be those it was given with.
    #[must_use]
    pub fn removed(name: impl Into<String>) -> Self {
        Self::new(name, "").max_age_s(0)
    }

    /// Kept for so many seconds, whether the browser runs on or not. Browsers allow 400 days.
    #[must_use]
    pub fn max_age_s(mut self, seconds: u64) -> Self {
        self.max_age_s = Some(seconds);
        self
    }

    /// Sent for this path and those below it only.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sent to this domain and all below it, not to this host alone.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sent with other sites' requests as this says.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sent without TLS, too.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.is_secure = false;
        self
    }

    /// Shown to the page's scripts, too.
    #[must_use]
    pub fn for_scripts(mut self) -> Self {
        self.is_http_only = false;
        self
    }

    /// The value of a `Set-Cookie` header.
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        let encode = utf8_percent_encode;
        let mut text = format!("{}={}", encode(&self.name, NOT_IN_A_NAME), encode(&self.value, NOT_IN_A_VALUE));
        // Writing to a String cannot fail.
        let _ = write!(text, "; Path={}", encode(&self.path, NOT_IN_AN_ATTRIBUTE));
        if let Some(domain) = &self.domain {
            let _ = write!(text, "; Domain={}", encode(domain, NOT_IN_AN_ATTRIBUTE));
        }
        if let Some(seconds) = self.max_age_s {
            let _ = write!(text, "; Max-Age={seconds}");
        }
        if self.is_secure {
            text.push_str("; Secure");
        }
        if self.is_http_only {
            text.push_str("; HttpOnly");
        }
        text.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        HeaderValue::try_from(text).expect("BUG: an encoded cookie is visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_however_they_come() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1;b=\"two words\" ; c = x=y; nonsense; ;=;a=2"));
        headers.append(COOKIE, HeaderValue::from_static("d=%C3%BC%zz"));
        let cookies = Cookies::of(&headers);
        assert_eq!(cookies.get("a"), Some("1"));
        assert_eq!(cookies.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(cookies.get("b"), Some("two words"));
        assert_eq!(cookies.get("c"), Some("x=y"));
        assert_eq!(cookies.get("d"), Some("ü%zz"));
        assert_eq!(cookies.get("nonsense"), None);
    }

    #[test]
    fn a_name_is_not_decoded() {
        assert_eq!(Cookies::parse("__%48ost-id=1").get("__Host-id"), None);
    }

    #[test]
    fn a_cookie_is_safe_unless_said_otherwise() {
        let text = |cookie: SetCookie| cookie.to_header().to_str().unwrap().to_owned();
        assert_eq!(text(SetCookie::new("id", "7")), "id=7; Path=/; Secure; HttpOnly; SameSite=Lax");
        let other = SetCookie::new("id", "7").path("/my").domain("a.example").max_age_s(60).same_site(SameSite::Strict);
        let expected = "id=7; Path=/my; Domain=a.example; Max-Age=60; SameSite=Strict";
        assert_eq!(text(other.insecure().for_scripts()), expected);
        assert_eq!(text(SetCookie::removed("id")), "id=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn no_text_breaks_out_of_its_place() {
        let hostile = "x; Domain=evil\r\nset-cookie: a=b, \"ü%\u{0}\\";
        let cookie = SetCookie::new(hostile, hostile).path(hostile).domain(hostile);
        let text = cookie.to_header().to_str().unwrap().to_owned();
        assert_eq!(text.matches(';').count(), 5, "{text}");
        assert!(!text.contains(['\r', '\n', '"', '\\']), "{text}");
        let (name, _) = text.split_once('=').unwrap();
        assert_eq!(Cookies::parse(text.split(';').next().unwrap()).get(name), Some(hostile));
    }
}

//! Inputs that handlers looked for in vain, because their routes do not declare them: each is told once.

use std::{collections::HashSet, sync::Mutex};

use http::header;
use nearside_protocol::{
    limits,
    route::{Declared, Query},
};

use crate::{bindings::edge::inputs::Kind, inputs::CLIENT_IP_HEADER};

/// What has been told of one app version: route, kind and name.
#[derive(Default)]
pub(crate) struct Missed(Mutex<HashSet<(usize, u8, String)>>);

impl Missed {
    /// Whether this is news. When too many names are known, nothing is any more: a guest can make them up.
    pub(crate) fn is_news(&self, route: usize, kind: Kind, name: &str) -> bool {
        if name.len() > limits::MISSED_INPUT_NAME_BYTES {
            return false;
        }
        let mut told = self.0.lock().expect("BUG: nothing panics while holding what was missed");
        told.len() < limits::MISSED_INPUTS && told.insert((route, kind as u8, name.to_owned()))
    }
}

/// Whether a handler of this route is shown such an input, when the request has one.
pub(crate) fn shows(declared: &Declared, kind: Kind, name: &str) -> bool {
    let has = |names: &[String]| names.iter().any(|declared| declared == name);
    match kind {
        Kind::Query => match &declared.query {
            Query::Whole => true,
            Query::Named(names) => has(names),
        },
        Kind::Cookie => has(&declared.cookies),
        Kind::Header => {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            declared.headers.iter().any(|declared| is(declared))
                || (is(header::ACCEPT.as_str()) && !declared.accept.is_empty())
                || (is(header::ACCEPT_LANGUAGE.as_str()) && !declared.languages.is_empty())
                || (is(header::COOKIE.as_str()) && !declared.cookies.is_empty())
                || (is(CLIENT_IP_HEADER) && declared.client_ip)
        }
    }
}

/// What an input is called, and the setting of a route that declares it.
pub(crate) fn words(kind: Kind, name: &str) -> (&'static str, &'static str) {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match kind {
        Kind::Query => ("query parameter", "query"),
        Kind::Cookie => ("cookie", "cookies"),
        Kind::Header if is(header::ACCEPT.as_str()) => ("header", "accept"),
        Kind::Header if is(header::ACCEPT_LANGUAGE.as_str()) => ("header", "languages"),
        Kind::Header if is(header::COOKIE.as_str()) => ("header", "cookies"),
        Kind::Header if is(CLIENT_IP_HEADER) => ("header", "client_ip"),
        Kind::Header => ("header", "headers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_shown_whether_or_not_it_came() {
        let declared = Declared {
            query: Query::Named(vec!["q".into()]),
            headers: vec!["x-seen".into()],
            cookies: vec!["seen".into()],
            accept: vec!["text/html".into()],
            ..Declared::default()
        };
        for (kind, name) in [
            (Kind::Query, "q"),
            (Kind::Header, "X-Seen"),
            (Kind::Header, "Accept"),
            (Kind::Header, "cookie"),
            (Kind::Cookie, "seen"),
        ] {
            assert!(shows(&declared, kind, name), "{name}");
        }
        for (kind, name) in [
            (Kind::Query, "Q"),
            (Kind::Header, "x-other"),
            (Kind::Header, "accept-language"),
            (Kind::Header, CLIENT_IP_HEADER),
            (Kind::Cookie, "q"),
        ] {
            assert!(!shows(&declared, kind, name), "{name}");
        }
        assert!(shows(&Declared::default(), Kind::Query, "anything"), "the whole query is shown");
    }

    #[test]
    fn each_is_news_once_and_made_up_names_are_bounded() {
        let missed = Missed::default();
        assert!(missed.is_news(0, Kind::Query, "a"));
        assert!(!missed.is_news(0, Kind::Query, "a"));
        assert!(missed.is_news(1, Kind::Query, "a") && missed.is_news(0, Kind::Cookie, "a"));
        assert!(!missed.is_news(0, Kind::Query, &"a".repeat(limits::MISSED_INPUT_NAME_BYTES + 1)));
        let news = (0..10 * limits::MISSED_INPUTS).filter(|n| missed.is_news(0, Kind::Header, &n.to_string())).count();
        assert_eq!(news, limits::MISSED_INPUTS - 3);
    }
}

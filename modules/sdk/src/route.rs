//! Which function answers which path: a constant table, so that nothing is built at start.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{Error, Request, Response, Result};

/// What may stand in a segment of a path as it is: the unreserved characters, and a few that mean nothing there.
const IN_A_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b':').remove(b'@');

/// What answers a route.
pub type Answer = fn(&Request) -> Result<Response>;

/// One line of the table: made by [`get`], [`post`], [`put`], [`patch`] or [`delete`].
#[derive(Debug, Clone, Copy)]
pub struct Route {
    verb: Verb,
    pattern: &'static str,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// GET, and HEAD, whose body the host leaves away.
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// A page. In the pattern, `{name}` stands for one segment of the path, and `{*rest}` at its end for all that follow.
#[must_use]
pub const fn get(pattern: &'static str, answer: Answer) -> Route {
    Route { verb: Verb::Get, pattern, answer }
}

/// What takes a form or a document.
#[must_use]
pub const fn post(pattern: &'static str, answer: Answer) -> Route {
    Route { verb: Verb::Post, pattern, answer }
}

/// What puts something where there may be something else.
#[must_use]
pub const fn put(pattern: &'static str, answer: Answer) -> Route {
    Route { verb: Verb::Put, pattern, answer }
}

/// What changes a part of something.
#[must_use]
pub const fn patch(pattern: &'static str, answer: Answer) -> Route {
    Route { verb: Verb::Patch, pattern, answer }
}

/// What takes something away.
#[must_use]
pub const fn delete(pattern: &'static str, answer: Answer) -> Route {
    Route { verb: Verb::Delete, pattern, answer }
}

/// Calls the first route of the table that fits.
///
/// # Errors
/// 404 when no pattern fits the path, 405 when one does but not by this method, and those of the route.
pub fn dispatch(routes: &[Route], mut request: Request) -> Result {
    let mut allowed = String::new();
    for route in routes {
        let Some(parameters) = fit(route.pattern, request.path()) else { continue };
        if route.verb.takes(request.method()) {
            request.set_parameters(parameters);
            return (route.answer)(&request);
        }
        if !allowed.is_empty() {
            allowed.push_str(", ");
        }
        allowed.push_str(route.verb.names());
    }
    Err(if allowed.is_empty() { Error::not_found() } else { Error::method_not_allowed(allowed) })
}

/// Makes one segment of a path from any text, for links: the other way round than a `{parameter}`.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, IN_A_SEGMENT).to_string()
}

impl Verb {
    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET || method == Method::HEAD,
            verb => method.as_str() == verb.names(),
        }
    }

    fn names(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The parameters when `path` fits `pattern`. A segment is decoded after the path was cut, so that `%2F` is no slash; in
/// a `{*rest}`, which keeps its slashes, it becomes one more.
fn fit(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let mut parameters = Vec::new();
    let (mut pattern, mut path) = (Some(pattern), Some(path));
    while let Some(expected) = pattern {
        let found = path?;
        let (expected, more_expected) = cut(expected);
        let (segment, more) = cut(found);
        (pattern, path) = (more_expected, more);
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(_) if segment.is_empty() && more.is_none() => return None,
            Some(name) if name.starts_with('*') => {
                parameters.push((&name[1..], decoded(found)?));
                return Some(parameters);
            }
            Some(_) if segment.is_empty() => return None,
            Some(name) => parameters.push((name, decoded(segment)?)),
            None if segment == expected => {}
            None => return None,
        }
    }
    path.is_none().then_some(parameters)
}

/// The first segment, and what follows its slash if there is one.
fn cut(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(pattern: &'static str, path: &str) -> Option<Vec<String>> {
        fit(pattern, path).map(|parameters| parameters.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn patterns_fit_whole_paths() {
        assert_eq!(fitted("/", "/"), Some(vec![]));
        assert_eq!(fitted("/search", "/search"), Some(vec![]));
        assert_eq!(fitted("/search", "/search/"), None);
        assert_eq!(fitted("/search", "/"), None);
        assert_eq!(fitted("/", "/search"), None);
    }

    #[test]
    fn parameters_are_decoded_one_segment_at_a_time() {
        assert_eq!(fitted("/package/{name}", "/package/g%2B%2B"), Some(vec!["g++".into()]));
        assert_eq!(fitted("/package/{name}", "/package/g++"), Some(vec!["g++".into()]));
        assert_eq!(fitted("/section/{section}", "/section/non-free%2Flibs"), Some(vec!["non-free/libs".into()]));
        assert_eq!(fitted("/package/{name}/reviews", "/package/vim/reviews"), Some(vec!["vim".into()]));
    }

    #[test]
    fn a_rest_is_all_that_follows() {
        assert_eq!(fitted("/files/{*path}", "/files/a/b%20c"), Some(vec!["a/b c".into()]));
        assert_eq!(fitted("/files/{*path}", "/files/a/"), Some(vec!["a/".into()]));
        assert_eq!(fitted("/{user}/{*path}", "/ann/x"), Some(vec!["ann".into(), "x".into()]));
        assert_eq!(fitted("/files/{*path}", "/files/"), None);
        assert_eq!(fitted("/files/{*path}", "/files"), None);
    }

    #[test]
    fn a_segment_comes_back_as_the_parameter() {
        for text in ["g++", "non-free/libs", "ü ?#%&", "libstdc++6"] {
            let path = format!("/package/{}", segment(text));
            assert_eq!(fitted("/package/{name}", &path), Some(vec![text.into()]));
        }
        assert_eq!(segment("g++"), "g++");
    }

    #[test]
    fn empty_and_undecodable_segments_fit_nothing() {
        assert_eq!(fitted("/package/{name}", "/package/"), None);
        assert_eq!(fitted("/package/{name}", "/package/%ff"), None);
    }

    #[test]
    fn the_table_tells_an_unknown_path_from_a_wrong_method() {
        fn page(request: &Request) -> Result {
            Ok(Response::text(request.parameter("name")))
        }
        const ROUTES: &[Route] = &[
            get("/a/{name}", page),
            post("/b", page),
            put("/b", page),
            patch("/c/x", page),
            delete("/c/{name}", page),
        ];
        let status = |method, path| match dispatch(ROUTES, Request::new(method, path)) {
            Ok(response) => response.status.as_u16(),
            Err(error) => error.status().as_u16(),
        };
        assert_eq!(status(Method::GET, "/a/x"), 200);
        assert_eq!(status(Method::HEAD, "/a/x"), 200);
        assert_eq!(status(Method::POST, "/a/x"), 405);
        assert_eq!(status(Method::GET, "/b"), 405);
        assert_eq!(status(Method::GET, "/c"), 404);
        assert_eq!([Method::PATCH, Method::DELETE].map(|method| status(method, "/c/x")), [200, 200]);
        let error = dispatch(ROUTES, Request::new(Method::GET, "/b")).err().unwrap();
        assert_eq!(error.to_problem().headers["allow"], "POST, PUT");
    }
}

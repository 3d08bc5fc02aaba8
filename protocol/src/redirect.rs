//! Addresses that have moved: answered by the host, without any code of the app.

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// A pattern as routes have them.
    pub from: String,
    /// A path of this site or an absolute URL; `{name}` stands for what the pattern found there.
    pub to: String,
    pub status: u16,
    /// Line of the manifest, for messages.
    pub line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRedirect {
    pub from: String,
    to: String,
    status: Option<u16>,
}

/// Permanent, and the method stays: what most moves mean.
const STATUS: u16 = 308;

impl Redirect {
    /// `raw.from` is a pattern, checked.
    pub(crate) fn checked(raw: RawRedirect, line: usize) -> Result<Redirect, String> {
        let RawRedirect { from, to, status } = raw;
        let status = status.unwrap_or(STATUS);
        if ![301, 302, 303, 307, 308].contains(&status) {
            return Err(format!("redirect from `{from}`: status {status}: 301, 302, 303, 307 or 308 expected"));
        }
        let local = to.starts_with('/') && !to.starts_with("//");
        if !local && !to.starts_with("https://") && !to.starts_with("http://") {
            return Err(format!("redirect to `{to}`: a path of this site or an absolute URL expected"));
        }
        let host = to.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if host.is_some_and(|host| host.is_empty() || host.contains('{')) {
            return Err(format!("redirect to `{to}`: the host must stand there; whoever asks does not choose it"));
        }
        if !to.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`".contains(&byte)) {
            return Err(format!("redirect to `{to}`: it has characters that must be percent-encoded in a URL"));
        }
        let known: Vec<&str> = parameters(&from).map(|name| name.trim_start_matches('*')).collect();
        if let Some(unknown) = parameters(&to).find(|name| !known.contains(name)) {
            return Err(format!("redirect to `{to}`: `{{{unknown}}}` is not in `{from}`"));
        }
        Ok(Redirect { from, to, status, line })
    }

    /// Where to, given what the pattern found: values as they stood in the path, percent-encoded. The query goes along.
    pub fn location<'a>(&self, value: impl Fn(&str) -> Option<&'a str>, query: Option<&str>) -> String {
        let mut location = String::with_capacity(self.to.len() + 32);
        let mut rest = self.to.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            location.push_str(before);
            location.push_str(value(name).unwrap_or_default());
            rest = after;
        }
        location.push_str(rest);
        // What was found may begin with slashes, and `//name` is another host to a browser.
        if self.to.starts_with('/') && location.starts_with("//") {
            location.replace_range(.., &format!("/{}", location.trim_start_matches('/')));
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            let (address, fragment) = location.split_once('#').map_or((location.as_str(), None), |(a, f)| (a, Some(f)));
            let joint = if address.contains('?') { '&' } else { '?' };
            let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
            location = format!("{address}{joint}{query}{fragment}");
        }
        location
    }
}

fn parameters(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(from: &str, to: &str) -> Result<Redirect, String> {
        Redirect::checked(RawRedirect { from: from.into(), to: to.into(), status: None }, 1)
    }

    #[test]
    fn what_was_found_stands_in_the_new_address_and_the_query_goes_along() {
        let moved = redirect("/p/{name}/{*rest}", "/package/{name}?from={rest}#top").unwrap();
        let value = |name: &str| match name {
            "name" => Some("g%2B%2B"),
            "rest" => Some("a/b"),
            _ => None,
        };
        assert_eq!(moved.location(value, None), "/package/g%2B%2B?from=a/b#top");
        assert_eq!(moved.location(value, Some("x=1")), "/package/g%2B%2B?from=a/b&x=1#top");
        assert_eq!(redirect("/a", "/b").unwrap().location(value, Some("x=1")), "/b?x=1");
    }

    #[test]
    fn what_was_found_leads_to_no_other_host() {
        let moved = redirect("/old/{*rest}", "/{rest}").unwrap();
        assert_eq!(moved.location(|_| Some("/evil.example/a"), None), "/evil.example/a");
        assert_eq!(moved.location(|_| Some("a//b"), Some("x")), "/a//b?x");
    }

    #[test]
    fn a_redirect_leads_somewhere() {
        assert!(redirect("/a", "b").unwrap_err().contains("a path of this site"));
        assert!(redirect("/a", "//evil.example").unwrap_err().contains("a path of this site"));
        assert!(redirect("/a", "javascript:alert(1)").unwrap_err().contains("a path of this site"));
        assert!(redirect("/a", "/b c").unwrap_err().contains("percent-encoded"));
        assert!(redirect("/a/{x}", "/b/{y}").unwrap_err().contains("`{y}` is not in"));
        for to in ["https://{x}.example/", "https://a.example{x}", "https:///a"] {
            assert!(redirect("/a/{x}", to).unwrap_err().contains("the host must stand there"), "{to}");
        }
        assert!(redirect("/a/{x}", "https://a.example/{x}").is_ok());
        let status = Redirect::checked(RawRedirect { from: "/a".into(), to: "/b".into(), status: Some(200) }, 1);
        assert!(status.unwrap_err().contains("status 200"));
    }
}

//! The name of an interface that a component imports or exports: `wasi:http/types@0.2.12`.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interface {
    /// `wasi:http`; empty for a function without an interface.
    pub(super) package: String,
    /// `types`
    pub(super) name: String,
    /// `wasi:http/types`
    pub(super) path: String,
    pub(super) version: Option<String>,
}

impl Interface {
    pub(super) fn parse(text: &str) -> Interface {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version.to_owned())),
            None => (text, None),
        };
        let (package, name) = path.split_once('/').unwrap_or(("", path));
        Interface { package: package.to_owned(), name: name.to_owned(), path: path.to_owned(), version }
    }

    /// Whether its version is of this line: `0.2` goes with 0.2.0 and 0.2.12, not with 0.2.0-rc-2023-11-10 or 0.3.0.
    pub(super) fn is_of(&self, line: &str) -> bool {
        let Some(version) = &self.version else { return true };
        let patch = version.strip_prefix(line).and_then(|rest| rest.strip_prefix('.'));
        patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_together_within_a_line() {
        let of = |text: &str, line: &str| Interface::parse(text).is_of(line);
        assert!(of("wasi:http/types@0.2.0", "0.2") && of("wasi:http/types@0.2.12", "0.2") && of("a:b/c", "0.2"));
        assert!(!of("wasi:http/types@0.3.0", "0.2") && !of("wasi:http/types@0.2.0-rc-2023-11-10", "0.2"));
        assert!(!of("wasi:http/types@0.20.1", "0.2"));
        assert_eq!(Interface::parse("wasi:http/types@0.2.1").to_string(), "wasi:http/types@0.2.1");
    }
}

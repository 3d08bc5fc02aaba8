//! The names in a dependency field: `libc6 (>= 2.34), foo:any | bar [amd64]` is libc6, foo and bar.

use crate::package::is_name;

/// Every name of the fields once, in order, alternatives included. Versions, architectures and build
/// profiles are dropped, and so is what is no package's name, such as `${misc:Depends}`.
pub(crate) fn names<'a>(fields: impl IntoIterator<Item = &'a str>, owner: &str) -> Vec<String> {
    // The longest lists have thousands of names: finding repeats must not be quadratic.
    let mut seen = std::collections::HashSet::from([owner]);
    fields
        .into_iter()
        .flat_map(|field| field.split([',', '|']))
        .map(name)
        .filter(|name| is_name(name) && seen.insert(name))
        .map(str::to_owned)
        .collect()
}

fn name(relation: &str) -> &str {
    let relation = relation.trim();
    let end = relation.find(|c: char| c.is_whitespace() || "([<:".contains(c)).unwrap_or(relation.len());
    &relation[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_architectures_and_profiles_are_dropped() {
        assert_eq!(
            names(
                ["libc6 (>= 2.34), perl:any, gcc[amd64 i386],\n make(<<4) , tool:native (= 1) [!arm64] <!nocheck>"],
                ""
            ),
            ["libc6", "perl", "gcc", "make", "tool"]
        );
    }

    #[test]
    fn every_alternative_counts_once() {
        assert_eq!(names(["a | b, b (>= 2) | c", "c, d"], ""), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_package_does_not_depend_on_itself() {
        assert_eq!(names(["a, b"], "a"), ["b"]);
    }

    #[test]
    fn malformed_relations_are_dropped() {
        let none: [&str; 0] = [];
        assert_eq!(names(["", ",,|,", " , (>= 1), ${misc:Depends}, -x, é, a/b, ../x"], ""), none);
        assert_eq!(names(["a (>= 1", "b (", "c:"], ""), ["a", "b", "c"]);
    }
}

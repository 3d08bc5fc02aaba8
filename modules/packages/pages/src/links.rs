//! Where things are. A link is written here, or it is not written.

use nearside_sdk::fields;
use nearside_sdk::route::segment;

pub(crate) const MY_REVIEWS: &str = "/my/reviews";
pub(crate) const FORGET_ME: &str = "/my/reviews/forget";

pub(crate) fn package(name: &str) -> String {
    format!("/package/{}", segment(name))
}

pub(crate) fn reviews(package_name: &str) -> String {
    format!("{}#reviews", package(package_name))
}

pub(crate) fn post_review(package_name: &str) -> String {
    format!("{}/reviews", package(package_name))
}

pub(crate) fn section(name: &str) -> String {
    format!("/section/{}", segment(name))
}

pub(crate) fn section_page(name: &str, page: u32) -> String {
    if page == 1 { section(name) } else { format!("{}?page={page}", section(name)) }
}

pub(crate) fn tag(name: &str) -> String {
    search("", None, Some(name), 1)
}

/// Leaves away what is empty, so that one search has one address: and one entry in the cache.
pub(crate) fn search(text: &str, section: Option<&str>, tag: Option<&str>, page: u32) -> String {
    let page = (page > 1).then(|| page.to_string());
    let filled = [
        Some(("q", text)).filter(|_| !text.is_empty()),
        section.map(|section| ("section", section)),
        tag.map(|tag| ("tag", tag)),
        page.as_deref().map(|page| ("page", page)),
    ];
    format!("/search?{}", fields::encode(filled.into_iter().flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        assert_eq!(package("g++"), "/package/g++");
        assert_eq!(package("a/b?c"), "/package/a%2Fb%3Fc");
        assert_eq!(tag("role::program"), "/search?tag=role%3A%3Aprogram");
    }

    #[test]
    fn what_is_empty_is_left_away() {
        assert_eq!(search("a b", None, None, 1), "/search?q=a+b");
        assert_eq!(search("vim", Some("editors"), None, 3), "/search?q=vim&section=editors&page=3");
        assert_eq!(section_page("libs", 1), "/section/libs");
        assert_eq!(section_page("libs", 2), "/section/libs?page=2");
    }
}

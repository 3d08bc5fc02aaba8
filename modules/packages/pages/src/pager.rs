//! Lists in pages.

use maud::{Markup, html};

/// Where in a list a visitor is. Pages count from 1, and there is always one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pager {
    page: u32,
    pages: u32,
    rows: u32,
}

impl Pager {
    /// A page that is not there is the nearest that is.
    pub(crate) fn new(wanted: Option<u32>, total: u32, rows: u32) -> Self {
        let pages = total.div_ceil(rows).max(1);
        Self { page: wanted.unwrap_or(1).clamp(1, pages), pages, rows }
    }

    pub(crate) fn page(self) -> u32 {
        self.page
    }

    pub(crate) fn pages(self) -> u32 {
        self.pages
    }

    pub(crate) fn is_first(self) -> bool {
        self.page == 1
    }

    /// What SQL takes as LIMIT.
    pub(crate) fn rows(self) -> u32 {
        self.rows
    }

    /// What SQL takes as OFFSET.
    pub(crate) fn offset(self) -> u32 {
        (self.page - 1) * self.rows
    }

    /// Links to the pages before and after, `link` giving their addresses. Nothing when there is one page.
    pub(crate) fn links(self, link: impl Fn(u32) -> String) -> Markup {
        html! {
            @if self.pages > 1 {
                nav.pager aria-label="Pages" {
                    @if self.page > 1 { a rel="prev" href=(link(self.page - 1)) { "← Previous" } }
                    span { "Page " (self.page) " of " (self.pages) }
                    @if self.page < self.pages { a rel="next" href=(link(self.page + 1)) { "Next →" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pager;

    #[test]
    fn pages_are_counted_and_bounded() {
        let at = |wanted, total| (Pager::new(wanted, total, 20).page(), Pager::new(wanted, total, 20).pages());
        assert_eq!(at(None, 0), (1, 1));
        assert_eq!(at(None, 20), (1, 1));
        assert_eq!(at(Some(2), 21), (2, 2));
        assert_eq!(at(Some(0), 100), (1, 5));
        assert_eq!(at(Some(u32::MAX), 100), (5, 5));
    }

    #[test]
    fn offsets_follow_pages() {
        assert_eq!(Pager::new(Some(1), 100, 20).offset(), 0);
        assert_eq!(Pager::new(Some(3), 100, 20).offset(), 40);
    }

    #[test]
    fn links_lead_only_where_there_is_something() {
        let html = |wanted, total| Pager::new(wanted, total, 20).links(|page| format!("/{page}")).into_string();
        assert_eq!(html(None, 20), "");
        assert!(html(Some(1), 60).contains("/2") && !html(Some(1), 60).contains("prev"));
        assert!(html(Some(3), 60).contains("/2") && !html(Some(3), 60).contains("next"));
    }
}

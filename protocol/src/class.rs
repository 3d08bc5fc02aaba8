//! What kind of work a request is. A node takes so much of each at once, and gives up the lowest first when there is too much.

/// In the order in which they are taken, the first before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Unsafe methods: somebody has filled in a form.
    Command,
    /// A page that a visitor waits for.
    Page,
    /// One that takes longer, or is asked for more idly.
    Search,
    /// Nobody waits: who asked has been shown the page as it was.
    Refresh,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Command, Class::Page, Class::Search, Class::Refresh];

    /// As routes, metrics and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Command => "command",
            Class::Page => "page",
            Class::Search => "search",
            Class::Refresh => "refresh",
        }
    }

    /// One a route may name: whether somebody waits is not the app's to say.
    pub fn of_route(name: &str) -> Option<Class> {
        [Class::Command, Class::Page, Class::Search].into_iter().find(|class| class.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_a_class_that_visitors_wait_for() {
        assert_eq!(Class::of_route("search"), Some(Class::Search));
        assert_eq!(Class::of_route("refresh"), None);
        assert!(Class::ALL.is_sorted());
    }
}

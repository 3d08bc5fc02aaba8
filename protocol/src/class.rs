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
    /// One that a visitor of another node waits for.
    Handed,
    /// Nobody waits: who asked has been shown the page as it was.
    Refresh,
}

impl Class {
    pub const ALL: [Class; 5] = [Class::Command, Class::Page, Class::Search, Class::Handed, Class::Refresh];

    /// As routes, metrics and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Command => "command",
            Class::Page => "page",
            Class::Search => "search",
            Class::Handed => "handed",
            Class::Refresh => "refresh",
        }
    }

    /// Whether this node's own visitors wait for it.
    pub fn is_visitors(self) -> bool {
        matches!(self, Class::Command | Class::Page | Class::Search)
    }

    /// One a route may name: whether somebody waits, and whose visitor it is, is not the app's to say.
    pub fn of_route(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.is_visitors() && class.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_a_class_that_visitors_wait_for() {
        assert_eq!(Class::of_route("search"), Some(Class::Search));
        assert_eq!((Class::of_route("refresh"), Class::of_route("handed")), (None, None));
        assert!(Class::ALL.is_sorted());
    }
}

//! Addresses that cannot stand beside each other, as the router of a node sees them.

use nearside_host::archive::Archive;
use nearside_protocol::app::{self, App};

use super::{finding::Finding, rule::Rule};

/// Where a pattern stands, for a message.
struct Place<'a> {
    pattern: &'a str,
    line: usize,
    what: &'static str,
}

pub(super) fn conflicts(archive: &Archive) -> Vec<Finding> {
    let mut router = matchit::Router::new();
    let mut taken: Vec<Place<'_>> = Vec::new();
    let mut findings = Vec::new();
    for place in places(&archive.app) {
        // One pattern with several methods is one address.
        if taken.iter().any(|other| other.pattern == place.pattern) {
            continue;
        }
        let Err(error) = router.insert(place.pattern, ()) else {
            taken.push(place);
            continue;
        };
        let (what, fix) = match error {
            matchit::InsertError::Conflict { with } => {
                let at = taken.iter().find(|other| other.pattern == with);
                let at = at.map_or(String::new(), |other| format!(" ({} in line {})", other.what, other.line));
                let fix = if with.contains("{*") || place.pattern.contains("{*") {
                    "`{*rest}` takes all that follows: give one of the two a segment of its own in front"
                } else {
                    "they differ in a parameter's name only: give it the same name in both"
                };
                (format!("the {} `{}` cannot stand beside `{with}`{at}", place.what, place.pattern), fix)
            }
            other => {
                (format!("the {} `{}` is not a pattern a node can follow: {other}", place.what, place.pattern), "")
            }
        };
        findings.push(Finding::new(Rule::RouteConflict, app::FILE_NAME, Some(place.line), what, fix));
    }
    findings
}

fn places(app: &App) -> impl Iterator<Item = Place<'_>> {
    let routes = app.routes.iter().map(|route| Place { pattern: &route.path, line: route.line, what: "route" });
    let redirects =
        app.redirects.iter().map(|redirect| Place { pattern: &redirect.from, line: redirect.line, what: "redirect" });
    routes.chain(redirects)
}

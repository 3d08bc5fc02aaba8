//! Inputs that handlers looked for and were not shown, as `nearside dev` has noted them beside the app.

use std::{collections::BTreeSet, fs, io, path::Path};

use nearside_protocol::{
    app::{self, App},
    route::{Inputs, Query, Route},
};
use serde::Deserialize;

use super::{finding::Finding, rule::Rule};

/// Inside the app's folder.
pub const FILE: &str = ".nearside/undeclared-inputs.json";

#[derive(Deserialize)]
struct Missed {
    /// The route's pattern.
    route: String,
    kind: Kind,
    name: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Query,
    Header,
    Cookie,
}

impl Kind {
    fn named(self) -> &'static str {
        match self {
            Kind::Query => "query parameter",
            Kind::Header => "header",
            Kind::Cookie => "cookie",
        }
    }

    /// The route's key that declares such inputs.
    fn key(self) -> &'static str {
        match self {
            Kind::Query => "query",
            Kind::Header => "headers",
            Kind::Cookie => "cookies",
        }
    }
}

pub(super) fn undeclared(folder: &Path, app: &App) -> Vec<Finding> {
    let missed: Vec<Missed> = match fs::read(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![unreadable(None, &error.to_string())],
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(missed) => missed,
            Err(error) => return vec![unreadable(Some(error.line()), &error.to_string())],
        },
    };
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for Missed { route: path, kind, name } in missed {
        for route in app.routes.iter().filter(|route| route.path == path) {
            if !is_shown(route, kind, &name) && told.insert((route.line, kind, name.clone())) {
                findings.push(Finding::new(
                    Rule::InputUndeclared,
                    app::FILE_NAME,
                    Some(route.line),
                    format!(
                        "the handler of `{path}` asked for the {} `{name}`, which the route does not show it",
                        kind.named()
                    ),
                    fix(route, kind, &name),
                ));
            }
        }
    }
    findings
}

fn unreadable(line: Option<usize>, why: &str) -> Finding {
    let what = format!("what handlers looked for is not looked at, because this file cannot be read: {why}");
    Finding::new(Rule::InputsUnreadable, FILE, line, what, "delete it: `nearside dev` writes it anew")
}

fn is_shown(route: &Route, kind: Kind, name: &str) -> bool {
    // A request that changes something is shown whole: it is in no cache.
    if !route.methods.iter().any(|method| method.is_safe()) {
        return true;
    }
    let Inputs::Declared(declared) = &route.inputs else { return true };
    match kind {
        Kind::Query => match &declared.query {
            Query::Whole => true,
            Query::Named(names) => names.iter().any(|other| other == name),
        },
        Kind::Header => {
            let name = name.to_ascii_lowercase();
            let negotiated = match name.as_str() {
                "accept" => !declared.accept.is_empty(),
                "accept-language" => !declared.languages.is_empty(),
                "host" => true,
                _ => false,
            };
            negotiated || declared.headers.contains(&name)
        }
        Kind::Cookie => declared.cookies.iter().any(|other| other == name),
    }
}

/// What to write, with what the route has already.
fn fix(route: &Route, kind: Kind, name: &str) -> String {
    if kind == Kind::Header {
        match name.to_ascii_lowercase().as_str() {
            "accept" => return "declare what it answers with: accept = [\"text/html\", \"application/json\"]".into(),
            "accept-language" => return "declare what it answers in: languages = [\"en\", \"de\"]".into(),
            "cookie" => return "declare the cookies it reads, one by one: cookies = [\"name\"]".into(),
            _ => {}
        }
    }
    let Inputs::Declared(declared) = &route.inputs else { return String::new() };
    let mut names = match (kind, &declared.query) {
        (Kind::Query, Query::Named(names)) => names.clone(),
        (Kind::Query, Query::Whole) => Vec::new(),
        (Kind::Header, _) => declared.headers.clone(),
        (Kind::Cookie, _) => declared.cookies.clone(),
    };
    names.push(name.to_owned());
    let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("add it: {} = [{}]", kind.key(), list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(manifest: &str, missed: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".nearside")).unwrap();
        fs::write(folder.path().join(FILE), missed).unwrap();
        let manifest = format!(
            "name = \"a\"\nhosts = [\"a\"]\n[components]\np = \"p\"\n[[routes]]\ncomponent = \"p\"\n{manifest}"
        );
        let app = App::parse(&manifest).unwrap();
        undeclared(folder.path(), &app).iter().map(|finding| format!("{}: {}\n", finding.what, finding.fix)).collect()
    }

    #[test]
    fn what_is_declared_by_now_is_not_told() {
        let missed = r#"[{"route": "/s", "kind": "query", "name": "q"}, {"route": "/s", "kind": "header", "name": "X-Y"},
            {"route": "/s", "kind": "query", "name": "q"}, {"route": "/gone", "kind": "cookie", "name": "c"}]"#;
        assert_eq!(told("path = \"/s\"\nheaders = [\"x-y\"]", missed), "");
        assert_eq!(told("path = \"/s\"\nmethods = [\"POST\"]\nquery = []", missed), "");
        assert_eq!(
            told("path = \"/s\"\nquery = [\"page\"]", missed),
            "the handler of `/s` asked for the query parameter `q`, which the route does not show it: add it: query = [\"page\", \"q\"]\n\
            the handler of `/s` asked for the header `X-Y`, which the route does not show it: add it: headers = [\"X-Y\"]\n"
        );
    }

    #[test]
    fn some_headers_are_negotiated() {
        let missed = r#"[{"route": "/s", "kind": "header", "name": "Accept"}]"#;
        assert!(told("path = \"/s\"", missed).contains("accept = ["));
        assert_eq!(told("path = \"/s\"\naccept = [\"text/html\"]", missed), "");
    }

    #[test]
    fn a_damaged_file_is_one_warning() {
        assert!(told("path = \"/s\"", "[{\"route\": 1}]").contains("delete it"));
    }
}

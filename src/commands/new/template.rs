//! Which templates there are, and the files of one.

use std::fmt;

use anyhow::bail;
use clap::ValueEnum;

use super::{Files, embedded, fill, sdk, wit};

/// What the app shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// One page with a query parameter, and a style sheet
    Page,
    /// A catalogue in SQLite, and a full-text search in it
    Search,
    /// A guestbook: a form, a command that writes, a page that shows it
    Form,
    /// JSON over HTTP: list, read and create
    Api,
}

/// What it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Javascript,
    Python,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Page => "page",
            Kind::Search => "search",
            Kind::Form => "form",
            Kind::Api => "api",
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "rust",
            Language::Javascript => "javascript",
            Language::Python => "python",
        })
    }
}

/// All files of a new app: those of its template, those its language shares, and what it is built against.
pub(super) fn files(kind: Kind, language: Language, name: &str) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let own = format!("{language}/{kind}/");
    for folder in ["shared/", &format!("{language}/shared/"), &own] {
        for (path, text) in below(folder) {
            files.insert(path.to_owned(), fill::fill(path, text, name)?);
        }
    }
    if below(&own).next().is_none() {
        let others =
            Kind::value_variants().iter().filter(|kind| below(&format!("{language}/{kind}/")).next().is_some());
        let others: Vec<_> = others.map(Kind::to_string).collect();
        bail!("there is no {kind} template in {language}, only: {}. In rust there are all of them", others.join(", "));
    }
    match language {
        Language::Rust => sdk::add(&mut files)?,
        Language::Javascript | Language::Python => wit::add_as_dependencies(&mut files),
    }
    Ok(files)
}

fn below<'a>(folder: &'a str) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    embedded::TEMPLATES.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?, *text)))
}

#[cfg(test)]
mod tests {
    use nearside_protocol::app::App;

    use super::*;

    #[test]
    fn every_template_is_a_whole_app_with_its_manifest() {
        let mut made = 0;
        for language in Language::value_variants() {
            for kind in Kind::value_variants() {
                let Ok(files) = files(*kind, *language, "shop") else { continue };
                let app = App::parse(&files["nearside.toml"]).unwrap();
                assert_eq!((app.name.as_str(), app.hosts[0].as_str()), ("shop", "shop.localhost"), "{language} {kind}");
                assert!(app.build.is_some() && !app.routes.is_empty(), "{language} {kind}");
                for schema in app.commands.values().map(|command| &command.schema) {
                    assert!(files.contains_key(schema), "{language} {kind}: {schema}");
                }
                for file in ["README.md", ".gitignore", "static/style.css"] {
                    assert!(files.contains_key(file), "{language} {kind}: {file}");
                }
                made += 1;
            }
        }
        assert_eq!(made, 6);
    }
}

//! The static folder, and the error pages that must be in it or behind a route.

use nearside_host::archive::Archive;
use nearside_protocol::{app, route::Method};

use super::{finding::Finding, manifest::Manifest, rule::Rule};

pub(super) fn check(archive: &Archive, manifest: &Manifest) -> Vec<Finding> {
    empty(archive, manifest).into_iter().chain(error_pages(archive, manifest)).collect()
}

fn empty(archive: &Archive, manifest: &Manifest) -> Option<Finding> {
    let folder = archive.app.static_folder.as_ref()?;
    if archive.static_files().next().is_some() {
        return None;
    }
    Some(Finding::new(
        Rule::StaticEmpty,
        app::FILE_NAME,
        manifest.line_of(&["static"]),
        format!("the static folder `{folder}` has no files"),
        "put the files there that are to be served under `/static/`, or take the line out",
    ))
}

fn error_pages(archive: &Archive, manifest: &Manifest) -> Vec<Finding> {
    let mut pages = matchit::Router::new();
    for route in archive.app.routes.iter().filter(|route| route.answers(Method::Get)) {
        // What does not fit beside another is told by `routes`.
        let _ = pages.insert(&route.path, ());
    }
    let mut findings = Vec::new();
    for (status, path) in archive.app.error_pages.all() {
        let (what, fix) = match path.strip_prefix("/static/") {
            Some(file) if archive.static_files().any(|(name, _)| name == file) => continue,
            Some(file) => (
                format!("the page for {status} is not there: `{path}` is no file of the static folder"),
                match &archive.app.static_folder {
                    Some(folder) => format!("add {folder}/{file}, or name another page"),
                    None => "the app has no static folder: add `static = \"static\"` on top, and the file in it".into(),
                },
            ),
            None if pages.at(path).is_ok() => continue,
            None => (
                format!("the page for {status} is not there: no route answers GET `{path}`"),
                "add a route for it, or name a file under `/static/`".to_owned(),
            ),
        };
        let line = manifest.line_of(&["errors", &status]);
        findings.push(Finding::new(Rule::ErrorPageMissing, app::FILE_NAME, line, what, fix));
    }
    findings
}

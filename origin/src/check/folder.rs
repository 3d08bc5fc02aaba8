//! An app's folder: what the manifest names must be there, before anything can be packed and looked into.

use std::{fs, io, path::Path};

use nearside_host::{archive::Archive, engine::Engine};
use nearside_protocol::app::{self, App};

use super::{finding::Finding, inputs, manifest::Manifest, rule::Rule, sorted};

/// All that is wrong with the app in a folder, and what could be better.
pub fn check_folder(folder: &Path, engine: &Engine) -> Vec<Finding> {
    match collect(folder) {
        Err(findings) => findings,
        Ok(archive) => {
            let mut findings = super::check(&archive, engine);
            findings.extend(inputs::undeclared(folder, &archive.app));
            sorted(findings)
        }
    }
}

/// What the manifest in a folder names, to be packed; or what keeps it from being.
pub fn collect(folder: &Path) -> Result<Archive, Vec<Finding>> {
    let text = fs::read_to_string(folder.join(app::FILE_NAME)).map_err(|error| vec![no_manifest(&error)])?;
    let manifest = Manifest::new(text.clone());
    let app = App::parse(&text).map_err(|error| {
        let line = error.line.or_else(|| manifest.line_of_message(&error.message));
        vec![Finding { line, ..Finding::of_app(&error) }]
    })?;
    let missing = missing(folder, &app, &manifest);
    if !missing.is_empty() {
        return Err(sorted(missing));
    }
    Archive::collect(folder).map_err(|error| vec![Finding::of_archive(&error)])
}

fn no_manifest(error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::NotFound => Finding::new(
            Rule::FileMissing,
            app::FILE_NAME,
            None,
            "there is no nearside.toml in this folder",
            "name an app's folder, or begin one with `nearside new`",
        ),
        io::ErrorKind::InvalidData => Finding::new(
            Rule::FileUnreadable,
            app::FILE_NAME,
            None,
            "the manifest is not UTF-8 text",
            "save it again in that encoding",
        ),
        _ => Finding::new(
            Rule::FileUnreadable,
            app::FILE_NAME,
            None,
            format!("the manifest cannot be read: {error}"),
            "look at its owner and permissions",
        ),
    }
}

fn missing(folder: &Path, app: &App, manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |path: &[&str], what: String, fix: String| {
        findings.push(Finding::new(Rule::FileMissing, app::FILE_NAME, manifest.line_of(path), what, fix));
    };
    for (name, path) in app.components.iter().filter(|(_, path)| !folder.join(path).is_file()) {
        let fix = match &app.build {
            Some(_) => "run `nearside build` first; if it is built under another name, write that here".to_owned(),
            None => "build it, or say in [build] how that is done and run `nearside build`".to_owned(),
        };
        add(&["components", name], format!("component `{name}` is not there: {path}"), fix);
    }
    for (name, command) in &app.commands {
        let path = &command.schema;
        if !folder.join(path).is_file() {
            add(
                &["commands", name, "schema"],
                format!("the schema of command `{name}` is not there: {path}"),
                "write it: a JSON Schema of the payload, such as {\"type\": \"object\"}".to_owned(),
            );
        }
    }
    if let Some(name) = app.static_folder.as_ref().filter(|name| !folder.join(name).is_dir()) {
        add(
            &["static"],
            format!("the static folder is not there: {name}"),
            "make it and put the files there that are to be served under `/static/`, or take the line out".to_owned(),
        );
    }
    findings
}

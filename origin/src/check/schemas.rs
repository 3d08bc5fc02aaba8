//! The JSON Schemas of commands' payloads.

use std::collections::BTreeSet;

use nearside_host::archive::Archive;

use super::{finding::Finding, json_place, rule::Rule};

pub(super) fn check(archive: &Archive) -> Vec<Finding> {
    let files: BTreeSet<&str> = archive.app.commands.values().map(|command| command.schema.as_str()).collect();
    files.into_iter().filter_map(|file| schema(archive, file)).collect()
}

fn schema(archive: &Archive, file: &str) -> Option<Finding> {
    let text = match archive.text(file) {
        Ok(text) => text,
        Err(error) => return Some(Finding::of_archive(&error)),
    };
    let schema: serde_json::Value = match serde_json::from_str(&text) {
        Ok(schema) => schema,
        Err(error) => {
            return Some(Finding::new(
                Rule::SchemaNotJson,
                file,
                Some(error.line()),
                format!("the schema is not JSON: {error}"),
                "a command's schema is one JSON Schema document; JSON has no comments and no comma after the last item",
            ));
        }
    };
    let error = jsonschema::validator_for(&schema).err()?;
    let place = error.instance_path().to_string();
    let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
    Some(Finding::new(
        Rule::SchemaInvalid,
        file,
        json_place::line_of(&text, &place),
        format!("this is no JSON Schema{at}: {error}"),
        "json-schema.org, draft 2020-12, says what may stand there",
    ))
}

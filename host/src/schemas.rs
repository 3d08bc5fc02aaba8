//! The JSON Schemas of commands' payloads.

use std::collections::BTreeMap;

use nearside_protocol::limits;
use serde_json::Value;

use crate::archive::{Archive, ArchiveError};

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("{file}:{line}: it is not JSON: {why}")]
    NotJson { file: String, line: usize, why: String },
    #[error("{file}: it is not a JSON Schema: {why}")]
    NotASchema { file: String, why: String },
}

/// Why a payload is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadPayload {
    #[error("there is no command `{0}`")]
    UnknownCommand(String),
    #[error("the payload has {0} bytes; at most {max} are taken", max = limits::COMMAND_PAYLOAD_BYTES)]
    TooLarge(usize),
    #[error("the payload is not JSON: {0}")]
    NotJson(String),
    #[error("the payload does not fit the schema: {0}")]
    OffSchema(String),
}

pub struct Schemas(BTreeMap<String, jsonschema::Validator>);

impl Schemas {
    pub fn load(archive: &Archive) -> Result<Schemas, SchemaError> {
        let mut schemas = BTreeMap::new();
        for (name, command) in &archive.app.commands {
            let file = command.schema.clone();
            let text = archive.text(&file)?;
            let schema: Value = serde_json::from_str(&text).map_err(|error| SchemaError::NotJson {
                file: file.clone(),
                line: error.line(),
                why: error.to_string(),
            })?;
            let validator = jsonschema::validator_for(&schema)
                .map_err(|error| SchemaError::NotASchema { file, why: error.to_string() })?;
            schemas.insert(name.clone(), validator);
        }
        Ok(Schemas(schemas))
    }

    pub fn check(&self, command: &str, payload: &str) -> Result<(), BadPayload> {
        let schema = self.0.get(command).ok_or_else(|| BadPayload::UnknownCommand(command.to_owned()))?;
        if payload.len() > limits::COMMAND_PAYLOAD_BYTES {
            return Err(BadPayload::TooLarge(payload.len()));
        }
        let value: Value = serde_json::from_str(payload).map_err(|error| BadPayload::NotJson(error.to_string()))?;
        schema.validate(&value).map_err(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the whole" } else { &place };
            BadPayload::OffSchema(format!("at {place}: {error}"))
        })
    }
}

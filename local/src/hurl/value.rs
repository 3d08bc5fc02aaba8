//! What captures hold and asserts compare.

use std::cmp::Ordering;

use bytes::Bytes;
use serde_json::Value as Json;

#[derive(Clone, Debug)]
pub enum Value {
    /// Text and numbers too.
    Json(Json),
    Bytes(Bytes),
}

/// More of a value than this is not shown.
const SHOWN_CHARS: usize = 600;

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Json(Json::String(text.into()))
    }

    pub fn number(number: impl Into<serde_json::Number>) -> Value {
        Value::Json(Json::Number(number.into()))
    }

    /// As it stands in a request: text without quotes.
    pub fn plain(&self) -> String {
        match self {
            Value::Json(Json::String(text)) => text.clone(),
            Value::Json(json) => json.to_string(),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// As it stands in a message: text with quotes, cut where it is long.
    pub fn shown(&self) -> String {
        let text = match self {
            Value::Json(json) => json.to_string(),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Json::String(text.to_owned()).to_string(),
                Err(_) => format!("{} bytes that are no text", bytes.len()),
            },
        };
        match text.char_indices().nth(SHOWN_CHARS) {
            Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
            None => text,
        }
    }

    pub fn is_equal(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Bytes(one), Value::Bytes(other)) => one == other,
            (Value::Bytes(bytes), Value::Json(Json::String(text)))
            | (Value::Json(Json::String(text)), Value::Bytes(bytes)) => bytes == text.as_bytes(),
            (Value::Json(one), Value::Json(other)) => match self.compare(&Value::Json(other.clone())) {
                // 1 and 1.0 are the same number.
                Some(order) if one.is_number() => order == Ordering::Equal,
                _ => one == other,
            },
            _ => false,
        }
    }

    /// Numbers with numbers, text with text.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Json(Json::Number(one)), Value::Json(Json::Number(other))) => {
                match (one.as_i64(), other.as_i64()) {
                    (Some(one), Some(other)) => Some(one.cmp(&other)),
                    _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
                }
            }
            (Value::Json(Json::String(one)), Value::Json(Json::String(other))) => Some(one.cmp(other)),
            _ => None,
        }
    }

    /// How many there are; none where nothing can be counted.
    pub fn count(&self) -> Option<usize> {
        match self {
            Value::Json(Json::Array(items)) => Some(items.len()),
            Value::Json(Json::Object(fields)) => Some(fields.len()),
            Value::Json(Json::String(text)) => Some(text.chars().count()),
            Value::Bytes(bytes) => Some(bytes.len()),
            Value::Json(_) => None,
        }
    }
}

//! Whether two tasks of a kind are the same one: by some fields of their payloads.

use nearside_protocol::{digest::Digest, limits};
use serde_json::Value;

/// The same for two payloads exactly if these fields are. A field that is not there is null.
pub(super) fn key(fields: &[String], payload: &str) -> String {
    // A payload is JSON by the time it gets here.
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let values: Vec<&Value> = fields.iter().map(|field| payload.get(field).unwrap_or(&Value::Null)).collect();
    let text = serde_json::to_string(&values).expect("BUG: JSON can be written");
    if text.len() <= limits::TASK_UNIQUE_KEY_BYTES { text } else { format!("blake3 {}", Digest::of(text.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_the_same_when_their_fields_are() {
        let of = |payload: &str| key(&["user".into(), "list".into()], payload);
        assert_eq!(of(r#"{"user":1,"list":"a","x":1}"#), of(r#"{"list": "a", "x":2, "user": 1}"#));
        assert_eq!(of(r#"{"user":1,"list":"a"}"#), r#"[1,"a"]"#);
        assert_ne!(of(r#"{"user":1,"list":"a"}"#), of(r#"{"user":"1","list":"a"}"#));
        assert_eq!(of("[]"), "[null,null]");
        assert_eq!(key(&[], r#"{"user":1}"#), key(&[], "7"));
        let long = of(&format!(r#"{{"user":"{}"}}"#, "x".repeat(1_000)));
        assert!(long.starts_with("blake3 ") && long.len() < 100, "{long}");
    }
}

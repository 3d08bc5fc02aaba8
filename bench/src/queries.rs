//! An app's `queries.sql`: statements named by a comment line before each, `-- name: search`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

#[derive(Debug, Clone, PartialEq)]
pub struct Queries(BTreeMap<String, String>);

impl Queries {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Text before the first name may only be comments and blank lines.
    fn parse(text: &str) -> Result<Self> {
        let mut statements: BTreeMap<String, String> = BTreeMap::new();
        let mut current: Option<String> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("--").and_then(|comment| comment.trim().strip_prefix("name:")) {
                let name = name.trim().to_owned();
                ensure!(!statements.contains_key(&name), "two statements are named {name}");
                statements.insert(name.clone(), String::new());
                current = Some(name);
            } else if let Some(statement) = current.as_ref().and_then(|name| statements.get_mut(name)) {
                statement.push_str(line);
                statement.push('\n');
            } else {
                let blank = line.trim().is_empty() || line.starts_with("--");
                ensure!(blank, "a statement without a name: {line:?}");
            }
        }
        for statement in statements.values_mut() {
            *statement = statement.trim().trim_end_matches(';').to_owned();
        }
        Ok(Self(statements))
    }

    pub fn get(&self, name: &str) -> Result<&str> {
        let statement = self.0.get(name).map(String::as_str);
        statement.with_context(|| format!("the app has no statement named {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_by_name() {
        let text = "-- Reading.\n\n-- name: one\nSELECT 1;\n\n--name: two\n-- Why.\nSELECT a\nFROM b;\n";
        let queries = Queries::parse(text).unwrap();
        assert_eq!(queries.get("one").unwrap(), "SELECT 1");
        assert_eq!(queries.get("two").unwrap(), "-- Why.\nSELECT a\nFROM b");
        assert!(queries.get("three").is_err());
        assert!(Queries::parse("SELECT 1;\n").is_err());
        assert!(Queries::parse("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n").is_err());
    }
}

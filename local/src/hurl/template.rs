//! Text with `{{variables}}` in it.

use std::collections::BTreeMap;

use super::{
    cursor::{Fault, Position},
    value::Value,
};

pub type Variables = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub at: Position,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// Of text in which nothing stands for anything else but `{{…}}`.
    pub fn parse(text: &str, at: Position) -> Result<Template, Fault> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let (before, after) = (&rest[..start], &rest[start + 2..]);
            let Some(end) = after.find("}}") else {
                return Err(Fault { at, message: "`{{` without `}}`".into() });
            };
            let name = after[..end].trim();
            if !is_name(name) {
                let message =
                    format!("`{{{{{name}}}}}`: the name of a variable expected: letters, digits, `-` and `_`");
                return Err(Fault { at, message });
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = &after[end + 2..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Template { at, pieces })
    }

    pub fn render(&self, variables: &Variables) -> Result<String, Fault> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Variable(name) => text.push_str(&value(name, self.at, variables)?.plain()),
            }
        }
        Ok(text)
    }
}

pub fn value<'a>(name: &str, at: Position, variables: &'a Variables) -> Result<&'a Value, Fault> {
    variables.get(name).ok_or_else(|| {
        let known: Vec<&str> = variables.keys().map(String::as_str).collect();
        Fault { at, message: format!("there is no variable `{name}`; there are: {}", known.join(", ")) }
    })
}

pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

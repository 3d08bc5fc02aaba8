//! Columns that hold JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Cell, FromValue};

/// A text column whose JSON reads as a `T`: `tags: Json<Vec<String>>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromValue<'_> for Json<T> {
    const NAME: &'static str = "JSON of the field's shape";

    fn from_value(value: Cell<'_>) -> Option<Self> {
        match value {
            Cell::Text(text) => serde_json::from_str(text).ok().map(Self),
            _ => None,
        }
    }
}

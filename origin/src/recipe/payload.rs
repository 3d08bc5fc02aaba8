//! Payloads that fit a command's JSON Schema, made of chance and of what stands in the store already.
//!
//! Each place of a schema that takes a number or a text has sources: values made up, and the columns of the store whose
//! values are of that kind. Which source is taken is learnt: one whose values were in commands that were applied is taken
//! more often. A column that is called what the property is called is preferred from the beginning.

use std::collections::BTreeMap;

use rusqlite::{Connection, types::Value as Sql};
use serde_json::{Map, Value};

use super::{chance::Chance, words};

/// A column whose values may be used: an id, a name, a foreign key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) table: String,
    pub(super) name: String,
    is_number: bool,
}

/// Where the values of one place of a payload came from.
pub(super) type Choice = (String, usize);

/// What has been learnt of one command.
#[derive(Default)]
pub(super) struct Learnt {
    /// By place: how often each source was taken, and how often the command was applied then.
    sources: BTreeMap<String, Vec<Source>>,
    pub(super) tried: u64,
    pub(super) applied: u64,
}

#[derive(Clone)]
struct Source {
    /// None: made up.
    column: Option<Column>,
    liking: f64,
    tried: f64,
    applied: f64,
}

impl Source {
    fn weight(&self) -> f64 {
        let rate = (self.applied + 1.0) / (self.tried + 2.0);
        // One that never works is still tried now and then: the store may have changed.
        self.liking * rate * rate + 0.002
    }
}

impl Learnt {
    /// These made a payload that does not even fit the schema.
    pub(super) fn dismiss(&mut self, choices: &[Choice]) {
        self.note(choices, false);
    }

    pub(super) fn learn(&mut self, choices: &[Choice], applied: bool) {
        self.tried += 1;
        self.applied += u64::from(applied);
        self.note(choices, applied);
    }

    fn note(&mut self, choices: &[Choice], applied: bool) {
        for (place, index) in choices {
            if let Some(source) = self.sources.get_mut(place).and_then(|sources| sources.get_mut(*index)) {
                source.tried += 1.0;
                source.applied += f64::from(u8::from(applied));
            }
        }
    }
}

/// The columns of an app's own tables, in the schema `store`.
pub(super) fn columns(connection: &Connection) -> rusqlite::Result<Vec<Column>> {
    let sql =
        "SELECT l.name, c.name, upper(c.type) FROM pragma_table_list AS l, pragma_table_xinfo(l.name, 'store') AS c
        WHERE l.schema = 'store' AND l.type = 'table' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
          AND l.name NOT LIKE '\\_nearside\\_%' ESCAPE '\\' ORDER BY 1, c.cid";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let kind: String = row.get(2)?;
        let is_number = ["INT", "REAL", "NUM", "FLOA", "DOUB", "DEC"].iter().any(|part| kind.contains(part));
        Ok(Column { table: row.get(0)?, name: row.get(1)?, is_number })
    })?;
    rows.collect()
}

/// One value of a column; none when the table is empty.
pub(super) fn value_of(connection: &Connection, column: &Column, chance: &mut Chance) -> Option<Sql> {
    let table = column.table.replace('"', "\"\"");
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM store.\"{table}\" LIMIT {ROWS_LOOKED_AT})");
    let count: usize = connection.prepare_cached(&count).ok()?.query_row([], |row| row.get(0)).ok()?;
    let name = column.name.replace('"', "\"\"");
    let sql = format!("SELECT \"{name}\" FROM store.\"{table}\" LIMIT 1 OFFSET ?1");
    connection.prepare_cached(&sql).ok()?.query_row([chance.below(count)], |row| row.get(0)).ok()
}

/// Values come from the first rows of a table; the others look the same.
const ROWS_LOOKED_AT: usize = 1_000;
/// Columns that are tried for one place.
const COLUMNS_MOST: usize = 24;
/// How deep a payload goes; a schema may refer to itself.
const DEPTH_MOST: usize = 6;

/// Makes one payload.
pub(super) struct Maker<'a> {
    pub(super) chance: &'a mut Chance,
    pub(super) learnt: &'a mut Learnt,
    pub(super) columns: &'a [Column],
    /// With the store attached.
    pub(super) connection: &'a Connection,
    pub(super) root: &'a Value,
    /// Nothing but made up values: what stands in the store may not fit the schema.
    pub(super) made_up: bool,
    pub(super) choices: Vec<Choice>,
}

impl Maker<'_> {
    pub(super) fn payload(&mut self) -> Value {
        self.value(self.root, "", "", 0)
    }

    /// `name` is what the value is called in its object; `place` tells it from all others.
    fn value(&mut self, schema: &Value, name: &str, place: &str, depth: usize) -> Value {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).filter(|_| depth < DEPTH_MOST)
            && let Some(target) = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer))
        {
            return self.value(target, name, place, depth + 1);
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(one) = schema.get("enum").and_then(Value::as_array).and_then(|all| self.chance.one_of(all)) {
            return one.clone();
        }
        for any in ["oneOf", "anyOf"] {
            if let Some(ways) = schema.get(any).and_then(Value::as_array).filter(|ways| !ways.is_empty()) {
                let way = self.chance.below(ways.len());
                return self.value(&over(schema, &ways[way]), name, &format!("{place}|{way}"), depth + 1);
            }
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array).filter(|all| !all.is_empty()) {
            let mut whole = schema.clone();
            whole.as_object_mut().map(|whole| whole.remove("allOf"));
            let whole = all.iter().fold(whole, |whole, part| over(&whole, part));
            return self.value(&whole, name, place, depth + 1);
        }
        match self.kind(schema).as_str() {
            "object" => self.object(schema, place, depth),
            "array" => self.array(schema, name, place, depth),
            "string" | "integer" | "number" => {
                let source = self.source(schema, name, place);
                self.leaf(schema, source.as_ref())
            }
            "boolean" => Value::Bool(self.chance.percent(50)),
            _ => Value::Null,
        }
    }

    fn kind(&mut self, schema: &Value) -> String {
        match schema.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) => self.chance.one_of(kinds).and_then(Value::as_str).unwrap_or("null").to_owned(),
            _ if schema.get("properties").is_some() => "object".into(),
            _ if schema.get("items").is_some() => "array".into(),
            _ if schema.get("minimum").or(schema.get("maximum")).is_some() => "integer".into(),
            _ => "string".into(),
        }
    }

    fn object(&mut self, schema: &Value, place: &str, depth: usize) -> Value {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let is_required = required.contains(&name.as_str());
            if is_required || (depth < DEPTH_MOST && self.chance.percent(60)) {
                object.insert(name.clone(), self.value(property, name, &format!("{place}/{name}"), depth + 1));
            }
        }
        Value::Object(object)
    }

    /// All items come from one source: so that a list of ids is one of the same table's.
    fn array(&mut self, schema: &Value, name: &str, place: &str, depth: usize) -> Value {
        let bound = |key| schema.get(key).and_then(Value::as_u64).map(|bound| bound as usize);
        let least = bound("minItems").unwrap_or(0);
        let most = bound("maxItems").unwrap_or(usize::MAX).min(least + 4);
        let count = if depth >= DEPTH_MOST { least } else { self.chance.between(least, most) };
        let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
        let kind = self.kind(&items);
        let is_leaf = items.get("enum").or(items.get("const")).or(items.get("$ref")).is_none()
            && matches!(kind.as_str(), "string" | "integer" | "number");
        let source = if is_leaf { self.source(&items, name, &format!("{place}/*")) } else { None };
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let mut made: Vec<Value> = Vec::new();
        for _ in 0..count * 3 {
            if made.len() == count {
                break;
            }
            let item = match is_leaf {
                true => self.leaf(&items, source.as_ref()),
                false => self.value(&items, name, &format!("{place}/*"), depth + 1),
            };
            if !(unique && made.contains(&item)) {
                made.push(item);
            }
        }
        Value::Array(made)
    }

    /// Where a place's values come from this time.
    fn source(&mut self, schema: &Value, name: &str, place: &str) -> Option<Column> {
        if self.made_up {
            return None;
        }
        let is_number = schema.get("type").and_then(Value::as_str) != Some("string");
        if !self.learnt.sources.contains_key(place) {
            let sources = sources(self.columns, name, is_number);
            self.learnt.sources.insert(place.to_owned(), sources);
        }
        let sources = &self.learnt.sources[place];
        let weights: Vec<f64> = sources.iter().map(Source::weight).collect();
        let index = self.chance.weighed(&weights);
        self.choices.push((place.to_owned(), index));
        sources[index].column.clone()
    }

    fn leaf(&mut self, schema: &Value, source: Option<&Column>) -> Value {
        let is_text = schema.get("type").and_then(Value::as_str) == Some("string") || schema.get("pattern").is_some();
        let found = source.and_then(|column| value_of(self.connection, column, self.chance));
        match found {
            Some(Sql::Text(text)) if is_text => return Value::String(text),
            Some(Sql::Integer(number)) if !is_text => return Value::from(number),
            Some(Sql::Real(number)) if !is_text => return Value::from(number),
            _ => {}
        }
        if is_text { Value::String(self.text(schema)) } else { self.number(schema) }
    }

    fn text(&mut self, schema: &Value) -> String {
        let field = |key| schema.get(key).and_then(Value::as_str);
        let bound = |key| schema.get(key).and_then(Value::as_u64).map(|bound| bound as usize);
        let by_pattern = field("pattern").and_then(|pattern| words::of_pattern(self.chance, pattern));
        let made = by_pattern.or_else(|| words::of_format(self.chance, field("format")?));
        made.unwrap_or_else(|| {
            words::text(self.chance, bound("minLength").unwrap_or(0), bound("maxLength").unwrap_or(200))
        })
    }

    /// Mostly small, at times at a bound.
    fn number(&mut self, schema: &Value) -> Value {
        let bound = |key| schema.get(key).and_then(Value::as_f64);
        let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|bound| bound + 1.0));
        let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|bound| bound - 1.0));
        let least = least.unwrap_or_else(|| most.map_or(0.0, |most| most.min(0.0)));
        let most = most.unwrap_or(least + 1e6).max(least);
        let reach = most - least;
        let step = bound("multipleOf").filter(|step| *step > 0.0);
        let away = match self.chance.below(100) {
            0 if self.chance.percent(20) => reach,
            0..=4 => 0.0,
            // Each magnitude as likely as the next.
            5 | 6 => (self.chance.below(1_000) as f64 / 1_000.0 * reach.max(1.0).ln()).exp().min(reach),
            _ => (self.chance.below(4) as f64).min(reach),
        };
        let is_whole = schema.get("type").and_then(Value::as_str) != Some("number") || self.chance.percent(50);
        let number = match step {
            Some(step) => ((least / step).ceil() + (away / step).floor()) * step,
            None => least + away,
        };
        if is_whole { Value::from(number.floor().max(least.ceil()) as i64) } else { Value::from(number) }
    }
}

fn sources(columns: &[Column], name: &str, is_number: bool) -> Vec<Source> {
    let made_up = Source { column: None, liking: 1.0, tried: 0.0, applied: 0.0 };
    let mut sources: Vec<Source> = columns
        .iter()
        .filter(|column| column.is_number == is_number)
        .map(|column| Source { column: Some(column.clone()), liking: liking(column, name), tried: 0.0, applied: 0.0 })
        .collect();
    sources.sort_by(|one, other| other.liking.total_cmp(&one.liking));
    sources.truncate(COLUMNS_MOST);
    sources.insert(0, made_up);
    sources
}

/// How much a column looks like what a property is called.
fn liking(column: &Column, property: &str) -> f64 {
    let plain = |name: &str| name.to_lowercase().trim_end_matches('s').to_owned();
    let (property, table, name) = (plain(property), plain(&column.table), plain(&column.name));
    let is_key = matches!(name.as_str(), "id" | "name" | "slug" | "key");
    match () {
        () if is_key && (property == table || property == format!("{table}_{name}")) => 6.0,
        () if property == name => 4.0,
        () if is_key && property.starts_with(&table) => 3.0,
        () => 0.2,
    }
}

/// A schema with what another one says laid over it.
fn over(schema: &Value, more: &Value) -> Value {
    let (Some(below), Some(above)) = (schema.as_object(), more.as_object()) else { return schema.clone() };
    let mut both = below.clone();
    both.remove("oneOf");
    both.remove("anyOf");
    for (key, value) in above {
        match (both.get_mut(key), value) {
            (Some(Value::Object(there)), Value::Object(value)) => {
                there.extend(value.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            (Some(Value::Array(there)), Value::Array(value)) if key == "required" => {
                there.extend(value.iter().cloned())
            }
            _ => {
                both.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_fit_their_schemas() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "ATTACH ':memory:' AS store; CREATE TABLE store.item (id INTEGER PRIMARY KEY, name TEXT);
                INSERT INTO store.item VALUES (7, 'seven'), (8, 'eight')",
            )
            .unwrap();
        let columns = columns(&connection).unwrap();
        assert_eq!(columns.len(), 2);
        let schema = serde_json::json!({
            "type": "object",
            "properties": {
                "item": { "type": "integer" },
                "tags": { "type": "array", "items": { "enum": ["a", "b", "c"] }, "minItems": 1, "maxItems": 3, "uniqueItems": true },
                "when": { "type": "string", "format": "date-time" },
                "weight": { "type": "number", "exclusiveMinimum": 0, "maximum": 10 },
                "even": { "type": "integer", "multipleOf": 2, "minimum": 3, "maximum": 9 },
                "either": { "oneOf": [{ "type": "boolean" }, { "$ref": "#/$defs/word" }, { "type": "null" }] },
                "both": { "allOf": [{ "type": "object", "properties": { "a": { "const": 1 } }, "required": ["a"] },
                    { "properties": { "b": { "type": "string", "minLength": 2, "maxLength": 3 } }, "required": ["b"] }] }
            },
            "required": ["item", "tags", "weight", "both"],
            "additionalProperties": false,
            "$defs": { "word": { "type": "string", "pattern": "^[a-z]+$" } }
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let (mut chance, mut learnt) = (Chance::new(3), Learnt::default());
        let (mut known, mut optional, mut refused) = (0, 0, 0);
        for number in 0..600 {
            let made_up = number >= 500;
            let mut maker = Maker {
                chance: &mut chance,
                learnt: &mut learnt,
                columns: &columns,
                connection: &connection,
                root: &schema,
                made_up,
                choices: Vec::new(),
            };
            let payload = maker.payload();
            let choices = maker.choices;
            // What stands in the store may not fit; what is made up does.
            if !validator.is_valid(&payload) {
                assert!(!made_up, "{payload}: {:?}", validator.validate(&payload));
                learnt.dismiss(&choices);
                refused += 1;
                continue;
            }
            let is_known = matches!(payload["item"].as_i64(), Some(7 | 8));
            learnt.learn(&choices, is_known);
            known += u32::from(is_known);
            optional += u32::from(payload.get("when").is_some());
        }
        assert!(known > 350, "{known} of 500 name a row");
        assert!((200..450).contains(&optional), "{optional} of 600 have what they may leave out");
        assert!(refused < 100, "{refused} do not fit");
    }
}

//! What a push of data might do to the tables of `[data]`: a row changed, added, or taken away.

use rusqlite::{Connection, types::Value};

use super::{
    chance::Chance,
    payload::{self, Column},
    words,
};
use crate::compare::quoted;

/// One statement on one of these tables; none when there are no rows to begin with. Many will not be taken: a row that
/// others point to, a name that is there already.
pub(super) fn change(
    connection: &Connection,
    columns: &[Column],
    tables: &[String],
    chance: &mut Chance,
) -> Option<String> {
    let table = chance.one_of(tables)?;
    let of: Vec<&Column> = columns.iter().filter(|column| column.table.eq_ignore_ascii_case(table)).collect();
    let id = of.iter().find(|column| column.name.eq_ignore_ascii_case("id"))?;
    let others: Vec<&&Column> = of.iter().filter(|column| !column.name.eq_ignore_ascii_case("id")).collect();
    let row = payload::value_of(connection, id, chance)?;
    let (table, row) = (quoted(table), literal(&row));
    Some(match chance.below(10) {
        0 | 1 => format!("DELETE FROM {table} WHERE id = {row}"),
        2..=4 => {
            let names: Vec<String> = others.iter().map(|column| quoted(&column.name)).collect();
            let values: Vec<String> = others.iter().map(|column| value(connection, column, chance, 50)).collect();
            format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
        }
        _ => {
            let column = chance.one_of(&others)?;
            let value = value(connection, column, chance, 50);
            format!("UPDATE {table} SET {} = {value} WHERE id = {row}", quoted(&column.name))
        }
    })
}

/// What another row has there, or, at times, something like it.
fn value(connection: &Connection, column: &Column, chance: &mut Chance, other_percent: usize) -> String {
    let there = payload::value_of(connection, column, chance).unwrap_or(Value::Null);
    let is_json = matches!(&there, Value::Text(text) if text.starts_with(['[', '{']));
    if is_json || !chance.percent(other_percent) {
        return literal(&there);
    }
    literal(&match there {
        Value::Integer(number) => Value::Integer(number.wrapping_add(chance.below(7) as i64)),
        Value::Real(number) => Value::Real(number + chance.below(7) as f64),
        Value::Text(text) => Value::Text(format!("{text} {}", words::text(chance, 1, 20))),
        other => other,
    })
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

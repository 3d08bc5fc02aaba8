//! Whatever is asked for: any query of `queries.sql`, with its rows as they come.

use std::fmt::Write;

use nearside_sdk::bindings::nearside::edge::{sql, types::Value};
use nearside_sdk::http::StatusCode;
use nearside_sdk::{Request, Response, Result, page};

/// The query in the path, with the numbers and words of `p`, which commas divide.
pub(crate) fn ask(request: &Request) -> Result {
    let query = request.path().trim_start_matches("/ask/");
    let rows = match sql::query(query, &parameters(request)) {
        Ok(rows) => rows,
        Err(reason) => {
            let text = format!("{query}: {reason:?}\n");
            return Ok(Response::text(text).with_status(StatusCode::INTERNAL_SERVER_ERROR));
        }
    };
    let mut text = rows.columns.join("|");
    for (at, cell) in rows.cells.iter().enumerate() {
        text.push(if at % rows.columns.len() == 0 { '\n' } else { '|' });
        // Writing to a string does not fail.
        let _ = match cell {
            Value::Null => write!(text, "NULL"),
            Value::Integer(integer) => write!(text, "{integer}"),
            Value::Real(real) => write!(text, "{real:?}"),
            Value::Text(cell) => write!(text, "'{cell}'"),
            Value::Blob(blob) => write!(text, "{blob:x?}"),
        };
    }
    text.push('\n');
    Ok(Response::text(text))
}

/// The same as a part of a page, twice with another query between.
pub(crate) fn compose(request: &Request) -> Result {
    let query = request.path().trim_start_matches("/compose/");
    let p = request.query().get("p").unwrap_or_default().to_owned();
    let mut body = page::include(&format!("/ask/{query}?p={p}"))?;
    body.extend(page::include("/ask/count")?);
    body.extend(ask_again(&p));
    Ok(Response::new("text/plain; charset=utf-8", body))
}

fn ask_again(p: &str) -> Vec<u8> {
    page::include(&format!("/ask/point?p={}", p.split(',').next().unwrap_or_default())).unwrap_or_default()
}

fn parameters(request: &Request) -> Vec<Value> {
    let p = request.query().get("p").unwrap_or_default().to_owned();
    let value = |part: &str| part.parse().map_or_else(|_| Value::Text(part.to_owned()), Value::Integer);
    p.split(',').filter(|part| !part.is_empty()).map(value).collect()
}

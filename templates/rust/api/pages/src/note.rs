//! Notes: a list, one, a new one.

use nearside_sdk::http::StatusCode;
use nearside_sdk::http::header::LOCATION;
use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Error, Request, Response, Result};
use serde::{Deserialize, Serialize};

const MAX_BODY_BYTES: usize = 64 * 1024;
const LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

#[derive(Serialize)]
struct Note {
    id: i64,
    title: String,
    text: String,
}

#[derive(Serialize)]
struct Notes {
    notes: Vec<Note>,
    /// Where the next page begins; null when there is none.
    next: Option<String>,
}

/// What a client sends, and what the command takes. The schema says the rest.
#[derive(Deserialize, Serialize)]
struct NewNote {
    title: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize, Serialize)]
struct Added {
    id: i64,
}

impl Note {
    fn read(row: Row<'_>) -> Result<Self, sql::Error> {
        Ok(Self { id: row.get("id")?, title: row.get("title")?, text: row.get("text")? })
    }
}

pub(crate) fn list(request: &Request) -> Result {
    let query = request.query();
    let limit = query.read("limit").unwrap_or(LIMIT).clamp(1, MAX_LIMIT);
    let after: i64 = query.read("after").unwrap_or(0);
    // One more than asked for tells whether there is a next page.
    let mut notes = sql::query("list", (after, limit + 1))?.map(Note::read)?;
    let is_more = notes.len() > limit as usize;
    notes.truncate(limit as usize);
    let last = notes.last().filter(|_| is_more);
    let next = last.map(|last| format!("/notes?after={}&limit={limit}", last.id));
    Response::json(&Notes { notes, next })
}

pub(crate) fn one(request: &Request) -> Result {
    let id: i64 = request.parameter("id").parse().map_err(|_| Error::not_found())?;
    let note = sql::query("one", (id,))?.first(Note::read)?.ok_or_else(Error::not_found)?;
    Response::json(&note)
}

/// An `Idempotency-Key` makes it safe to send again: the same key gets the first one's answer.
pub(crate) fn add(request: &Request) -> Result {
    let note: NewNote = request.json(MAX_BODY_BYTES)?;
    match origin::submit("add-note", &note)? {
        Outcome::Applied { reply, .. } => {
            let added: Added = reply.read()?;
            let location = format!("/notes/{}", added.id);
            let location = location.try_into().map_err(|_| Error::internal("the location is no header"))?;
            Ok(Response::json(&added)?.with_status(StatusCode::CREATED).with_header(LOCATION, location))
        }
        Outcome::Deferred(deferred) => Ok(deferred.response(request)),
        Outcome::Rejected(message) => Err(Error::new(StatusCode::CONFLICT, message)),
    }
}

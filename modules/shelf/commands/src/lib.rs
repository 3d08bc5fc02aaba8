//! What writes. Runs at the origin, one command a transaction: what it returns as an error leaves nothing behind.

use std::time::{SystemTime, UNIX_EPOCH};

use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::{command, store};
use serde::{Deserialize, Serialize};

command!(apply);

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "add-note" => add_note(&command.payload()?),
        name => Err(Refusal::rejected(format!("There is no command {name}."))),
    }
}

#[derive(Deserialize)]
struct AddNote {
    book: i64,
    text: String,
    reader: String,
}

/// What the task that tells others needs to know.
#[derive(Serialize)]
struct Announce<'a> {
    book: &'a str,
    text: &'a str,
}

fn add_note(note: &AddNote) -> Result<Reply, Refusal> {
    let books = store::query("SELECT title FROM book WHERE id = ?1", (note.book,))?;
    let Some(book) = books.first(|row| row.get::<&str>("title"))? else {
        return Err(Refusal::rejected("This book has left the shelf."));
    };
    let insert = "INSERT INTO note (book, text, reader, written_at) VALUES (?1, ?2, ?3, ?4)";
    let id = store::execute(insert, (note.book, &note.text, &note.reader, now()))?.last_insert_rowid;
    store::enqueue("announce-note", &Announce { book, text: &note.text })?;
    Reply::json(&id)
}

/// Seconds since 1970. The clock stands at the moment the command was accepted.
fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

//! What writes. Runs at the origin, one command a transaction: what it returns as an error leaves nothing behind.

use nearside_sdk::command;
use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::store;
use serde::{Deserialize, Serialize};

command!(apply);

/// As the command's schema says.
#[derive(Deserialize)]
struct NewNote {
    title: String,
    #[serde(default)]
    text: String,
}

#[derive(Serialize)]
struct Added {
    id: i64,
}

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "add-note" => add(&command.payload()?),
        name => Err(Refusal::rejected(format!("There is no command {name}."))),
    }
}

fn add(note: &NewNote) -> Result<Reply, Refusal> {
    let NewNote { title, text } = note;
    let added = store::execute("INSERT INTO note (title, text) VALUES (?1, ?2)", (title, text));
    let id = match added {
        Err(error) if error.is_constraint() => {
            return Err(Refusal::rejected(format!("There is a note called {title} already.")));
        }
        added => added?.last_insert_rowid,
    };
    Reply::json(&Added { id })
}

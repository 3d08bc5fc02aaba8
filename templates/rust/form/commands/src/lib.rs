//! What writes. Runs at the origin, one command a transaction: what it returns as an error leaves nothing behind.

use std::time::{SystemTime, UNIX_EPOCH};

use nearside_sdk::command;
use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::store;
use serde::{Deserialize, Serialize};

command!(apply);

/// As the command's schema says.
#[derive(Deserialize)]
struct Sign {
    name: String,
    message: String,
}

#[derive(Serialize)]
struct Signed {
    id: i64,
}

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "sign" => sign(&command.payload()?),
        name => Err(Refusal::rejected(format!("There is no command {name}."))),
    }
}

fn sign(entry: &Sign) -> Result<Reply, Refusal> {
    let (name, message) = (entry.name.trim(), entry.message.trim());
    if name.is_empty() || message.is_empty() {
        return Err(Refusal::rejected("An entry needs a name and a few words."));
    }
    let insert = "INSERT INTO entry (name, message, signed_at) VALUES (?1, ?2, ?3)";
    let id = store::execute(insert, (name, message, now()))?.last_insert_rowid;
    Reply::json(&Signed { id })
}

/// Seconds since 1970. The clock stands at the moment the command was accepted.
fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

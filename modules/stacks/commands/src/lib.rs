//! What can be written: some documents are revised, or some are added.

use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::{command, store};
use serde::{Deserialize, Serialize};
use stacks_words::Documents;

command!(apply);

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "revise" => revise(&command.payload()?),
        "add" => add(&command.payload()?),
        name => Err(Refusal::rejected(format!("There is no command {name}."))),
    }
}

#[derive(Deserialize)]
struct Revise {
    ids: Vec<i64>,
    word: String,
}

#[derive(Deserialize)]
struct Add {
    count: u32,
    seed: u64,
}

#[derive(Serialize)]
struct Written {
    revision: i64,
    documents: usize,
}

/// The first word of title and body becomes another; all else stays.
fn revise(Revise { ids, word }: &Revise) -> Result<Reply, Refusal> {
    let revision = newest()? + 1;
    for id in ids {
        let update = "UPDATE document SET title = ?2 || substr(title, instr(title, ' ')), \
                      body = ?2 || substr(body, instr(body, ' ')), revision = ?3 WHERE id = ?1";
        if store::execute(update, (*id, word, revision))?.rows_changed == 0 {
            return Err(Refusal::rejected(format!("There is no document {id}.")));
        }
    }
    Reply::json(&Written { revision, documents: ids.len() })
}

fn add(Add { count, seed }: &Add) -> Result<Reply, Refusal> {
    let revision = newest()? + 1;
    let mut documents = Documents::new(*seed);
    for index in 0..*count {
        let document = documents.invent();
        let slug = format!("{}-{revision}-{index}", document.slug);
        let insert = "INSERT INTO document (slug, title, body, revision) VALUES (?1, ?2, ?3, ?4)";
        store::execute(insert, (&slug, &document.title, &document.body, revision))?;
    }
    Reply::json(&Written { revision, documents: *count as usize })
}

fn newest() -> Result<i64, Refusal> {
    let newest = store::query("SELECT max(revision) AS newest FROM document WHERE revision > 0", ())?;
    Ok(newest.first(|row| row.get::<Option<i64>>("newest"))?.flatten().unwrap_or(0))
}

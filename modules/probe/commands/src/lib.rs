//! One command that works and several that must not stop the others.

use std::hint::black_box;

use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::{command, sql, store};
use serde::Deserialize;
use serde_json::{Value, json};

command!(apply);

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "bump" => bump(command.payload()?),
        "enqueue" => enqueue(&command.payload()?),
        "loop" => spin(),
        "trap" => std::process::abort(),
        "hog" => hog(),
        "sql-runaway" => run("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"),
        "bad-sql" => run("SELECT n FROM nowhere"),
        "reject" => half_a_bump_then_no(),
        "big-reply" => Reply::json(&"x".repeat(command.payload::<BigReply>()?.bytes)),
        name => Err(Refusal::rejected(format!("there is no command {name}"))),
    }
}

#[derive(Deserialize)]
struct Bump {
    #[serde(default = "one")]
    by: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct Enqueue {
    task: String,
    payload: Value,
}

#[derive(Deserialize)]
struct BigReply {
    bytes: usize,
}

fn bump(Bump { by }: Bump) -> Result<Reply, Refusal> {
    store::execute("UPDATE \"left\" SET n = n + ?1", (by,))?;
    store::execute("UPDATE \"right\" SET n = n + ?1", (by,))?;
    let n: Option<i64> = store::query("SELECT n FROM \"left\"", ())?.first(|row| row.get("n"))?;
    Reply::json(&json!({ "n": n }))
}

fn enqueue(wanted: &Enqueue) -> Result<Reply, Refusal> {
    let id = store::enqueue(&wanted.task, &wanted.payload)?;
    Reply::json(&json!({ "task": id }))
}

/// What it did before it said no must be undone, or the two numbers differ for ever.
fn half_a_bump_then_no() -> Result<Reply, Refusal> {
    store::execute("UPDATE \"left\" SET n = n + 1", ())?;
    Err(Refusal::rejected("asked to reject"))
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

fn hog() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// The reason is shown, which no other app should do.
fn run(statement: &str) -> Result<Reply, Refusal> {
    store::query(statement, ()).map_err(|error: sql::Error| Refusal::Retry(error.to_string()))?;
    Reply::json(&json!({}))
}

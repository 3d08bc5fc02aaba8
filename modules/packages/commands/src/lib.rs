//! What can be written. Each command is one function, and runs in one transaction.

use std::time::{SystemTime, UNIX_EPOCH};

use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::{command, store};
use serde::{Deserialize, Serialize};

command!(apply);

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "post-review" => post_review(&command.payload()?),
        name => Err(Refusal::rejected(format!("There is no command {name}."))),
    }
}

/// The schema has checked the rating's range and the lengths.
#[derive(Deserialize)]
struct PostReview {
    package: String,
    author: String,
    rating: u8,
    body: String,
    /// Whose it is, for this visitor's own list; nobody is told.
    visitor: Option<String>,
}

/// What the task that tells others about it needs to know.
#[derive(Serialize)]
struct AnnounceReview<'a> {
    package: &'a str,
    author: &'a str,
    rating: u8,
    review_id: i64,
}

#[derive(Serialize)]
struct Posted {
    review_id: i64,
}

fn post_review(review: &PostReview) -> Result<Reply, Refusal> {
    let PostReview { package, author, rating, body, visitor } = review;
    if store::query("SELECT 1 FROM package WHERE name = ?1", (package,))?.is_empty() {
        return Err(Refusal::rejected(format!("There is no package called {package}.")));
    }
    if author.trim().is_empty() || body.trim().is_empty() {
        return Err(Refusal::rejected("A review needs a name and a few words."));
    }
    let review_id = store::execute(
        "INSERT INTO review (package, author, rating, body, posted_at, visitor) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (package, author, *rating, body, now(), visitor.as_deref()),
    )?
    .last_insert_rowid;
    store::enqueue("announce-review", &AnnounceReview { package, author, rating: *rating, review_id })?;
    Reply::json(&Posted { review_id })
}

/// Seconds since 1970. The host holds the clock at the moment the command was accepted.
fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

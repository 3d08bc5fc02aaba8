//! What can be written. Each command is one function, and runs in one transaction.

use std::time::{SystemTime, UNIX_EPOCH};

use nearside_sdk::command::{Command, Refusal, Reply};
use nearside_sdk::{command, store};
use serde::{Deserialize, Serialize};

command!(apply);

fn apply(command: &Command) -> Result<Reply, Refusal> {
    match command.name() {
        "post-review" => post_review(&command.payload()?),
        "finish-picture" => finish_picture(&command.payload()?),
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
    /// The hash of the picture that came along.
    picture: Option<String>,
}

/// What the task that tells others about it needs to know.
#[derive(Serialize)]
struct AnnounceReview<'a> {
    package: &'a str,
    author: &'a str,
    rating: u8,
    review_id: i64,
}

/// What the task that makes a thumbnail needs to know.
#[derive(Serialize)]
struct MakeThumbnail<'a> {
    review_id: i64,
    picture: &'a str,
}

/// A thumbnail, or why there is none: the schema has checked that it is one of the two.
#[derive(Deserialize)]
struct FinishPicture {
    review_id: i64,
    picture: String,
    thumbnail: Option<Thumbnail>,
    problem: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Thumbnail {
    url: String,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Posted {
    review_id: i64,
}

fn post_review(review: &PostReview) -> Result<Reply, Refusal> {
    let PostReview { package, author, rating, body, visitor, picture } = review;
    if store::query("SELECT 1 FROM package WHERE name = ?1", (package,))?.is_empty() {
        return Err(Refusal::rejected(format!("There is no package called {package}.")));
    }
    if author.trim().is_empty() || body.trim().is_empty() {
        return Err(Refusal::rejected("A review needs a name and a few words."));
    }
    let review_id = store::execute(
        "INSERT INTO review (package, author, rating, body, posted_at, visitor, picture) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (package, author, *rating, body, now(), visitor.as_deref(), picture.as_deref()),
    )?
    .last_insert_rowid;
    store::enqueue("announce-review", &AnnounceReview { package, author, rating: *rating, review_id })?;
    if let Some(picture) = picture {
        store::enqueue("make-thumbnail", &MakeThumbnail { review_id, picture })?;
    }
    Reply::json(&Posted { review_id })
}

fn finish_picture(finished: &FinishPicture) -> Result<Reply, Refusal> {
    let FinishPicture { review_id, picture, thumbnail, problem } = finished;
    let thumbnail =
        thumbnail.as_ref().map(serde_json::to_string).transpose().map_err(|error| Refusal::broken(&error))?;
    let change = store::execute(
        "UPDATE review SET thumbnail = ?3, picture_problem = ?4 WHERE id = ?1 AND picture = ?2",
        (*review_id, picture, thumbnail.as_deref(), problem.as_deref()),
    )?;
    if change.rows_changed == 0 {
        return Err(Refusal::rejected(format!("There is no review {review_id} with this picture.")));
    }
    Reply::json(&())
}

/// Seconds since 1970. The host holds the clock at the moment the command was accepted.
fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

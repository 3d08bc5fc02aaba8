//! Making a review's picture small.

use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::task::{Failure, Job};
use nearside_sdk::{blob, log};
use packages_pictures::{Limits, thumbnail};
use serde::{Deserialize, Serialize};

/// What is too much to decode for this machine takes its instance down. So often it may.
const DECODED_AT_MOST: u32 = 2;

const LOST: &str = "This picture was lost on its way. Perhaps send it again.";
const TOO_MUCH: &str = "This picture could not be read.";

#[derive(Deserialize)]
struct Picture {
    review_id: i64,
    picture: String,
}

#[derive(Serialize)]
struct FinishPicture<'a> {
    review_id: i64,
    picture: &'a str,
    #[serde(flatten)]
    made: Made,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Made {
    Thumbnail {
        url: String,
        width: u32,
        height: u32,
    },
    /// For the review's author.
    Problem(String),
}

pub(crate) fn make(job: &Job) -> Result<(), Failure> {
    let Picture { review_id, picture } = job.payload()?;
    let made = job.step("made", || made_of(job, &picture))?;
    if let Made::Problem(problem) = &made {
        log(format_args!("the picture of review {review_id}: {problem}"));
    }
    match origin::submit("finish-picture", &FinishPicture { review_id, picture: &picture, made }) {
        Ok(Outcome::Rejected(message)) => Err(Failure::Discard(message)),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::retry(error.to_string())),
    }
}

fn made_of(job: &Job, picture: &str) -> Result<Made, Failure> {
    let passing = |error: blob::Error| Failure::retry(error.to_string());
    let hash = blob::Hash::parse(picture).ok_or_else(|| Failure::discard(format!("{picture} is no hash")))?;
    let Some(bytes) = blob::get(&hash).map_err(passing)? else { return Ok(Made::Problem(LOST.into())) };
    let first = job.step("decoding", || Ok(job.attempt()))?;
    if job.attempt() - first >= DECODED_AT_MOST {
        return Ok(Made::Problem(TOO_MUCH.into()));
    }
    Ok(match thumbnail(&bytes, &Limits::default()) {
        Ok(small) => {
            let url = blob::put(&small.bytes).map_err(passing)?.url(small.kind.extension());
            Made::Thumbnail { url, width: small.width, height: small.height }
        }
        Err(refusal) => Made::Problem(refusal.to_string()),
    })
}

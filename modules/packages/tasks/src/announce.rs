//! Telling others of a review.

use std::time::SystemTime;

use nearside_sdk::http::StatusCode;
use nearside_sdk::task::{Failure, Job};
use nearside_sdk::variable;
use nearside_sdk::webhook::Signer;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Review {
    package: String,
    author: String,
    rating: u8,
    review_id: i64,
}

/// Tells the webhook. It may hear of a review twice, and can tell by the id; it knows by the signature that it was us.
pub(crate) fn review(job: &Job) -> Result<(), Failure> {
    let review: Review = job.payload()?;
    let url = variable("WEBHOOK_URL").ok_or_else(|| Failure::retry("the variable WEBHOOK_URL is not set"))?;
    let signer = Signer::from_secret("WEBHOOK_KEY").map_err(|error| Failure::retry(error.to_string()))?;
    let body = serde_json::to_vec(&review).map_err(|error| Failure::discard(error.to_string()))?;
    let answer = signer
        .post(url, &format!("task-{}", job.id()), SystemTime::now(), body)
        .send()
        .map_err(|error| Failure::retry(error.to_string()))?;
    judge(answer.status)
}

/// A refusal stays one; being busy, and everything else, may pass.
fn judge(status: StatusCode) -> Result<(), Failure> {
    let reason = format!("the webhook answered {status}");
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Failure::Retry(reason)),
        status if status.is_client_error() => Err(Failure::Discard(reason)),
        _ => Err(Failure::Retry(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_judged() {
        let is = |status, matches: fn(&Result<(), Failure>) -> bool| {
            let judged = judge(StatusCode::from_u16(status).unwrap());
            assert!(matches(&judged), "{status}: {judged:?}");
        };
        for status in [200, 202, 204] {
            is(status, Result::is_ok);
        }
        for status in [400, 404, 410, 422] {
            is(status, |judged| matches!(judged, Err(Failure::Discard(_))));
        }
        for status in [301, 408, 429, 500, 503] {
            is(status, |judged| matches!(judged, Err(Failure::Retry(_))));
        }
    }
}

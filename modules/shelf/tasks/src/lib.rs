//! What happens after a write, when the reader has long had the answer.

use nearside_sdk::task::{Failure, Job};
use nearside_sdk::{outgoing, task, variable};

task!(perform);

/// Tells the webhook, again and again until it answers. It may hear of a note twice, and can tell by the key.
fn perform(job: &Job) -> Result<(), Failure> {
    let url = variable("WEBHOOK_URL").ok_or_else(|| Failure::retry("the variable WEBHOOK_URL is not set"))?;
    let answer = outgoing::post(url, job.payload_json())
        .with_header("content-type", "application/json")
        .with_header("idempotency-key", format!("{}-{}", job.name(), job.id()))
        .send()
        .map_err(|error| Failure::retry(error.to_string()))?;
    match answer.status {
        status if status.is_success() => Ok(()),
        status => Err(Failure::retry(format!("the webhook answered {status}"))),
    }
}

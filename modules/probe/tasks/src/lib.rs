//! Tasks that work, that work in the end, and that never do.

use nearside_sdk::task::{Failure, Job};
use nearside_sdk::{log, outgoing, task};
use serde::Deserialize;

task!(perform);

fn perform(job: &Job) -> Result<(), Failure> {
    match job.name() {
        "ok" => Ok(()),
        "fail-twice" if job.attempt() < 3 => Err(Failure::retry(format!("attempt {} of 3", job.attempt()))),
        "fail-twice" => Ok(()),
        "always-fail" => Err(Failure::retry("asked to fail")),
        "fetch" => fetch(&job.payload()?),
        name => Err(Failure::discard(format!("there is no task {name}"))),
    }
}

#[derive(Deserialize)]
struct Fetch {
    url: String,
}

fn fetch(wanted: &Fetch) -> Result<(), Failure> {
    let answer = outgoing::get(&wanted.url).send().map_err(|error| Failure::retry(error.to_string()))?;
    log(format_args!("{} {} {} bytes", wanted.url, answer.status, answer.body.len()));
    if answer.status.is_success() { Ok(()) } else { Err(Failure::retry(answer.status.to_string())) }
}

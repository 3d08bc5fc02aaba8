//! Tasks that work, that work in the end, and that never do.

use nearside_sdk::task::{Failure, Job};
use nearside_sdk::{log, origin, outgoing, task};
use serde::Deserialize;

task!(perform);

fn perform(job: &Job) -> Result<(), Failure> {
    match job.name() {
        "ok" | "quick" => Ok(()),
        "fail-twice" if job.attempt() < 3 => Err(Failure::retry(format!("attempt {} of 3", job.attempt()))),
        "fail-twice" => Ok(()),
        "always-fail" => Err(Failure::retry("asked to fail")),
        "fetch" => fetch(&job.payload()?),
        "effect" => effect(job),
        "poison" => std::process::abort(),
        "hang" => hang(),
        "tell" => tell(job),
        name => Err(Failure::discard(format!("there is no task {name}"))),
    }
}

/// One effect of each kind: outside, in a step that is done once, and in the store; told to `url` as they are done.
fn effect(job: &Job) -> Result<(), Failure> {
    let Effect { url } = job.payload()?;
    let tell = |what: &str| {
        let sent = outgoing::post(format!("{url}{what}-{}", job.id()), Vec::new())
            .with_header("idempotency-key", format!("{what}-{}", job.id()))
            .send();
        match sent {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(Failure::retry(answer.status.to_string())),
            Err(error) => Err(Failure::retry(error.to_string())),
        }
    };
    let kept: u64 = job.step("outside", || tell("step").map(|()| job.id()))?;
    if kept != job.id() {
        return Err(Failure::discard(format!("the step of task {kept} is kept with task {}", job.id())));
    }
    job.progress("the step is kept");
    tell("after")?;
    match origin::submit("bump", &serde_json::json!({})) {
        Ok(origin::Outcome::Applied { .. }) => tell("done"),
        Ok(other) => Err(Failure::discard(format!("{other:?}"))),
        Err(error) => Err(Failure::retry(error.to_string())),
    }
}

#[derive(Deserialize)]
struct Effect {
    /// Where it tells of itself, with a `/` at its end.
    url: String,
}

fn hang() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// Says what it does, and fails.
fn tell(job: &Job) -> Result<(), Failure> {
    log(format_args!("attempt {}", job.attempt()));
    job.progress(format_args!("{} of 2", job.attempt()));
    Err(Failure::retry("told enough"))
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

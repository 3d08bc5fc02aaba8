//! What happens after a write, when the visitor has long had the answer. One file is one task.

mod announce;
mod thumbnail;

use nearside_sdk::task;
use nearside_sdk::task::{Failure, Job};

task!(perform);

fn perform(job: &Job) -> Result<(), Failure> {
    match job.name() {
        "announce-review" => announce::review(job),
        "make-thumbnail" => thumbnail::make(job),
        name => Err(Failure::discard(format!("there is no task {name}"))),
    }
}

//! Writing, with the outcome told as text.

use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::{Error, Request, Response, Result};

const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Submits `bump` with an empty payload.
pub(crate) fn bump(_: &Request) -> Result {
    Ok(told(origin::submit_json("bump", "{}", None)))
}

/// Submits the command `name` with the body as its payload.
pub(crate) fn command(request: &Request) -> Result {
    let (name, payload) = named(request)?;
    Ok(told(origin::submit_json(&name, &payload, None)))
}

/// Queues the task `name` with the body as its payload.
pub(crate) fn task(request: &Request) -> Result {
    let (name, payload) = named(request)?;
    Ok(Response::text(match origin::enqueue_json(&name, &payload) {
        Ok(id) => format!("queued {id}\n"),
        Err(reason) => format!("error {reason}\n"),
    }))
}

/// The length of the body.
pub(crate) fn echo(request: &Request) -> Result {
    Ok(Response::text(format!("{}\n", request.body(MAX_BODY_BYTES)?.len())))
}

fn named(request: &Request) -> Result<(String, String)> {
    let query = request.query();
    let name = query.get("name").ok_or_else(|| Error::bad_request("Which? Say ?name=..."))?;
    let body = String::from_utf8(request.body(MAX_BODY_BYTES)?).map_err(|_| Error::bad_request("Not UTF-8."))?;
    Ok((name.to_owned(), body))
}

fn told(result: Result<Outcome, origin::Error>) -> Response {
    Response::text(match result {
        Ok(Outcome::Applied { receipt, reply }) => {
            format!("applied {}.{} {}\n", receipt.epoch, receipt.commit, reply.as_str())
        }
        Ok(Outcome::Rejected(message)) => format!("rejected {message}\n"),
        Ok(Outcome::Deferred(deferred)) => format!("deferred {}\n", deferred.path()),
        Err(reason) => format!("error {reason}\n"),
    })
}

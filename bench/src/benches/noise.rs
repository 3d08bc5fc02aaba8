//! Raw hyper beside itself. Whatever the harness finds between two copies of one server is its own error.

use anyhow::{Result, ensure};

use super::stage::{HOST, Stage};
use crate::contender::{Answers, Case};
use crate::request::Request;
use crate::response::Response;

const BODY_BYTES: usize = 8 * 1024;

pub(super) async fn prepare() -> Result<Stage> {
    let mut stage = Stage::new("The same server twice: what the harness cannot tell apart.")?;
    let mut sent = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
    sent.extend(std::iter::repeat_n('x', BODY_BYTES));
    let mut response = Response::keeping();
    ensure!(response.feed(sent.as_bytes())?, "BUG: a response in pieces");
    let requests = vec![Request::get(HOST, "/", &[])];
    let about = "raw hyper, 8 KiB";
    let one = stage.serve_raw("one", about, requests.clone(), &response).await?;
    let other = stage.serve_raw("other", about, requests, &response).await?;
    stage.cases.push(Case {
        name: "raw",
        about: "GET of 8 KiB from either of two copies of the same server.".to_owned(),
        limit: "other",
        answers: Answers::Same,
        contenders: vec![one, other],
    });
    Ok(stage)
}

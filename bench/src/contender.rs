//! Who runs in a case, and the check that all of them do the same work.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use blake3::Hasher;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::limits::EXCHANGE_TIMEOUT;
use crate::request::{Request, Requests};
use crate::response::Response;

/// One server process and what it is asked.
#[derive(Debug)]
pub struct Contender {
    pub name: &'static str,
    pub about: String,
    pub process: u32,
    pub address: SocketAddr,
    pub requests: Arc<Requests>,
}

/// Contenders that run alternately and are compared with each other.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub about: String,
    /// The contender that does only what cannot be avoided: ratios are to this one.
    pub limit: &'static str,
    pub answers: Answers,
    pub contenders: Vec<Contender>,
}

/// Whether all contenders must answer the same bytes.
#[derive(Debug, Clone)]
pub enum Answers {
    Same,
    Differ { why: String },
}

/// What the check found: the digest of every body in order, or why there is no common one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "bodies", rename_all = "snake_case")]
pub enum Checked {
    Same { digest: String, requests: usize, bytes_mean: f64 },
    Differ { why: String, bytes_mean: Vec<(String, f64)> },
}

/// One contender's answers, in the order of its requests.
struct Answered {
    digests: Vec<blake3::Hash>,
    bytes: u64,
}

/// Asks every contender everything once before anything is measured. Fails on an unexpected status and, where answers
/// must be the same, on the first that is not; then each response of the run is held against the length found here.
pub async fn check(case: &mut Case) -> Result<Checked> {
    let mut all = Vec::new();
    for contender in &mut case.contenders {
        let answered = ask(contender).await.with_context(|| format!("checking {}", contender.name))?;
        all.push(answered);
    }
    let means = case.contenders.iter().zip(&all).map(|(contender, answered)| {
        (contender.name.to_owned(), answered.bytes as f64 / answered.digests.len() as f64)
    });
    match &case.answers {
        Answers::Differ { why } => Ok(Checked::Differ { why: why.clone(), bytes_mean: means.collect() }),
        Answers::Same => {
            let means: Vec<_> = means.collect();
            compare(case, &all)?;
            let (first, (_, bytes_mean)) = (&all[0], &means[0]);
            Ok(Checked::Same { digest: overall(first), requests: first.digests.len(), bytes_mean: *bytes_mean })
        }
    }
}

async fn ask(contender: &mut Contender) -> Result<Answered> {
    let mut connection = Connection::open(contender.address, Response::keeping()).await?;
    let mut answered = Answered { digests: Vec::new(), bytes: 0 };
    let mut requests: Vec<Request> = contender.requests.all().to_vec();
    for request in &mut requests {
        let exchange = timeout(EXCHANGE_TIMEOUT, connection.exchange(request)).await;
        exchange.with_context(|| format!("GET {} got no answer within {EXCHANGE_TIMEOUT:?}", request.target))??;
        request.verify(&connection.response)?;
        request.body_bytes = Some(connection.response.body_bytes);
        answered.bytes += connection.response.body_bytes;
        answered.digests.push(blake3::hash(connection.response.body()));
    }
    contender.requests = Arc::new(Requests::new(requests)?);
    Ok(answered)
}

fn compare(case: &Case, all: &[Answered]) -> Result<()> {
    let (first, others) = (&case.contenders[0], &case.contenders[1..]);
    for (other, answered) in others.iter().zip(&all[1..]) {
        let (ours, theirs) = (first.requests.all(), other.requests.all());
        if ours.len() != theirs.len() {
            bail!("BUG: {} has {} requests and {} has {}", first.name, ours.len(), other.name, theirs.len());
        }
        let different = all[0].digests.iter().zip(&answered.digests).position(|(a, b)| a != b);
        if let Some(at) = different {
            bail!(
                "{} and {} answer GET {} differently ({:?} and {:?} bytes): they would not be doing the same work",
                first.name,
                other.name,
                ours[at].target,
                ours[at].body_bytes.unwrap_or_default(),
                theirs[at].body_bytes.unwrap_or_default(),
            );
        }
    }
    Ok(())
}

fn overall(answered: &Answered) -> String {
    let mut hasher = Hasher::new();
    for digest in &answered.digests {
        hasher.update(digest.as_bytes());
    }
    format!("blake3:{}", hasher.finalize().to_hex())
}

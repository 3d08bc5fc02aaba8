//! The `nearside:edge/origin` and `blob` imports: a guest's writes on their way to the origin.

use std::sync::{Arc, Mutex};

use nearside_protocol::{
    limits,
    write::{IdempotencyKey, Outcome, Receipt},
};

use crate::{
    bindings::edge::{blob, origin},
    code::Code,
    schemas::BadPayload,
    senses::Taint,
    upstream::{NotPut, Upstream},
};

/// What one guest may write, and what it has written.
pub struct Writes {
    pub code: Arc<Code>,
    pub upstream: Arc<dyn Upstream>,
    /// The key the visitor sent along: stands for the first command submitted without one of its own.
    pub request_key: Option<IdempotencyKey>,
    pub taint: Taint,
    /// The newest receipt this guest got; read by the one who answers the visitor.
    pub receipt: Arc<Mutex<Option<Receipt>>>,
}

impl Writes {
    fn key(&mut self, given: Option<String>) -> Result<IdempotencyKey, origin::SubmitError> {
        if let Some(text) = given {
            return IdempotencyKey::try_from(text)
                .map_err(|error| origin::SubmitError::InvalidPayload(error.to_string()));
        }
        Ok(self.request_key.take().unwrap_or_else(mint))
    }
}

fn mint() -> IdempotencyKey {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("BUG: an operating system without randomness cannot serve");
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    IdempotencyKey::try_from(text).expect("BUG: hexadecimal digits make a key")
}

impl origin::Host for Writes {
    async fn submit(
        &mut self,
        command: String,
        payload: String,
        key: Option<String>,
    ) -> wasmtime::Result<Result<origin::Outcome, origin::SubmitError>> {
        use origin::SubmitError;

        self.taint.called_origin();
        if let Err(bad) = self.code.schemas.check(&command, &payload) {
            return Ok(Err(match bad {
                BadPayload::UnknownCommand(name) => SubmitError::UnknownName(name),
                other => SubmitError::InvalidPayload(other.to_string()),
            }));
        }
        let key = match self.key(key) {
            Ok(key) => key,
            Err(error) => return Ok(Err(error)),
        };
        let answer = self.upstream.submit(&self.code.app.name, &command, payload, key).await;
        Ok(match answer {
            Err(unreachable) => Err(SubmitError::Unavailable(unreachable.to_string())),
            Ok(Outcome::Applied { receipt, reply }) => {
                let told = origin::Receipt { epoch: receipt.epoch, commit: receipt.commit };
                *self.receipt.lock().expect("BUG: nothing panics while holding a receipt") = Some(receipt);
                Ok(origin::Outcome::Applied((told, reply)))
            }
            Ok(Outcome::Rejected { message }) => Ok(origin::Outcome::Rejected(message)),
            Ok(Outcome::KeyConflict) => Err(SubmitError::KeyConflict),
            Ok(Outcome::Retry { message }) => Err(SubmitError::Unavailable(message)),
            Ok(Outcome::Failed { message }) => Err(SubmitError::Failed(message)),
            Ok(Outcome::Invalid { message }) => Err(SubmitError::InvalidPayload(message)),
        })
    }

    async fn enqueue(&mut self, task: String, payload: String) -> wasmtime::Result<Result<u64, origin::SubmitError>> {
        use origin::SubmitError;

        self.taint.called_origin();
        if !self.code.app.tasks.contains_key(&task) {
            return Ok(Err(SubmitError::UnknownName(task)));
        }
        if payload.len() > limits::COMMAND_PAYLOAD_BYTES || serde_json::from_str::<serde_json::Value>(&payload).is_err()
        {
            let why = format!("a task's payload is JSON of at most {} bytes", limits::COMMAND_PAYLOAD_BYTES);
            return Ok(Err(SubmitError::InvalidPayload(why)));
        }
        let answer = self.upstream.enqueue(&self.code.app.name, &task, payload, mint()).await;
        Ok(answer.map_err(|unreachable| SubmitError::Unavailable(unreachable.to_string())))
    }
}

impl blob::Host for Writes {
    async fn put(&mut self, content: Vec<u8>) -> wasmtime::Result<Result<String, blob::PutError>> {
        self.taint.called_origin();
        if content.len() > limits::BLOB_BYTES {
            return Ok(Err(blob::PutError::TooLarge(limits::BLOB_BYTES as u64)));
        }
        let put = self.upstream.put_blob(&self.code.app.name, content.into()).await;
        Ok(put.map(|digest| digest.to_string()).map_err(|error| match error {
            NotPut::Refused(why) => blob::PutError::Refused(why),
            NotPut::Unreachable(why) => blob::PutError::Unavailable(why.to_string()),
        }))
    }
}

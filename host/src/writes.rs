//! The `nearside:edge/origin` and `blob` imports: a guest's writes on their way to the origin.

use std::sync::{Arc, Mutex};

use nearside_protocol::{
    limits,
    write::{IdempotencyKey, Outcome, Receipt},
};

use crate::{
    bindings::edge::{blob, origin},
    blobs::Blobs,
    code::Code,
    outbox::{self, Class, Deferral, Outbox, ToTake, Took},
    schemas::BadPayload,
    senses::Taint,
    spans::{Kind, Traced, within},
    upstream::{NotPut, Sending, Upstream},
};

/// What one guest may write, and what it has written.
pub struct Writes {
    pub code: Arc<Code>,
    pub upstream: Arc<dyn Upstream>,
    /// The key the visitor sent along: stands for the first command submitted without one of its own.
    pub request_key: Option<IdempotencyKey>,
    /// The last commit of the origin's that is known here.
    pub seen_commit: u64,
    /// Where deferrable commands wait while the origin is away, and the others whose answer did not come.
    pub outbox: Option<Arc<Outbox>>,
    /// Where what is put is looked for later.
    pub blobs: Option<Arc<Blobs>>,
    /// The visitor would rather not wait: `Prefer: respond-async`, RFC 7240.
    pub respond_async: bool,
    pub taint: Taint,
    /// Of the last command of this guest that was deferred.
    pub deferred: Arc<Mutex<Option<Deferral>>>,
    /// The newest receipt this guest got; read by the one who answers the visitor.
    pub receipt: Arc<Mutex<Option<Receipt>>>,
    /// Where the spans of what is written go, if the guest's request is sampled.
    pub traced: Option<Traced>,
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
    IdempotencyKey::try_from(outbox::unguessable()).expect("BUG: hexadecimal digits make a key")
}

const CLOSED: &str = "this key was given up before: what was sent under it had not arrived, and never will be applied";

/// How a command went.
enum Went {
    Answered(Outcome),
    Deferred(Deferral),
    Not(String),
}

impl Went {
    /// As spans call it.
    fn name(&self) -> &'static str {
        match self {
            Went::Answered(outcome) => outcome.name(),
            Went::Deferred(Deferral { class: Class::Saved, .. }) => "deferred",
            Went::Deferred(Deferral { class: Class::Unsure, .. }) => "unsure",
            Went::Not(_) => "unavailable",
        }
    }
}

impl Writes {
    /// To the origin; or to the outbox, where the app allows it and the origin does not answer, or must not be asked yet.
    /// What may not wait goes there only if it was sent: nobody knows whether it was applied, and the outbox finds out.
    async fn send(&self, command: String, payload: String, key: IdempotencyKey) -> Went {
        let mut span = self.traced.as_ref().map(|traced| {
            let span = traced.span(Kind::Client, format!("submit {command}"));
            span.with("nearside.app", self.code.app.name.clone()).with("nearside.command", command.clone())
        });
        let went = self.send_within(command, payload, key, within(&span)).await;
        if let Some(span) = &mut span {
            span.set("nearside.outcome", went.name());
        }
        went
    }

    async fn send_within(&self, command: String, payload: String, key: IdempotencyKey, traced: Option<Traced>) -> Went {
        let app = &self.code.app;
        let is_deferrable = app.commands.get(&command).is_some_and(|declared| declared.deferrable);
        let take = ToTake {
            app: app.name.clone(),
            command,
            payload,
            key,
            sent_after: None,
            traced: traced.as_ref().map(Traced::context),
        };
        // What was written before is delivered first.
        if let Some(outbox) = self.outbox.as_ref().filter(|_| is_deferrable)
            && (self.respond_async || outbox.has_waiting(&app.name))
        {
            return match defer(outbox, Class::Saved, take).await {
                Went::Deferred(deferral) if !self.respond_async => {
                    let outcome = outbox.outcome(&app.name, &deferral.ticket, limits::SUBMIT_WAIT).await;
                    outcome.map_or(Went::Deferred(deferral), Went::Answered)
                }
                went => went,
            };
        }
        let (payload, key) = (take.payload.clone(), take.key.clone());
        let command = Sending { app: &app.name, name: &take.command, payload, key, traced: traced.as_ref() };
        let sent = self.upstream.submit(command).await;
        let (why, was_sent) = match sent {
            Ok(Outcome::Retry { message }) => (message, false),
            Ok(outcome) => return Went::Answered(outcome),
            Err(unreachable) => (unreachable.to_string(), unreachable.may_have_arrived),
        };
        let take = ToTake { sent_after: was_sent.then_some(self.seen_commit), ..take };
        match &self.outbox {
            Some(outbox) if is_deferrable => {
                outbox.origin_is_away();
                defer(outbox, Class::Saved, take).await
            }
            Some(outbox) if was_sent => defer(outbox, Class::Unsure, take).await,
            _ => Went::Not(why),
        }
    }
}

async fn defer(outbox: &Outbox, class: Class, take: ToTake) -> Went {
    match outbox.take(class, take).await {
        Ok(Took::Saved(ticket)) => Went::Deferred(Deferral { ticket, class }),
        Ok(Took::KeyConflict) => Went::Answered(Outcome::KeyConflict),
        Err(not_taken) => Went::Not(not_taken.to_string()),
    }
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
        Ok(match self.send(command, payload, key).await {
            Went::Not(why) => Err(SubmitError::Unavailable(why)),
            Went::Deferred(deferral) => {
                let path = deferral.ticket.path();
                *self.deferred.lock().expect("BUG: nothing panics while holding a ticket") = Some(deferral);
                Ok(origin::Outcome::Deferred(path))
            }
            Went::Answered(Outcome::Applied { receipt, reply }) => {
                let told = origin::Receipt { epoch: receipt.epoch, commit: receipt.commit };
                *self.receipt.lock().expect("BUG: nothing panics while holding a receipt") = Some(receipt);
                Ok(origin::Outcome::Applied((told, reply)))
            }
            Went::Answered(Outcome::Rejected { message }) => Ok(origin::Outcome::Rejected(message)),
            Went::Answered(Outcome::KeyConflict) => Err(SubmitError::KeyConflict),
            Went::Answered(Outcome::Retry { message }) => Err(SubmitError::Unavailable(message)),
            Went::Answered(Outcome::Failed { message }) => Err(SubmitError::Failed(message)),
            Went::Answered(Outcome::Invalid { message }) => Err(SubmitError::InvalidPayload(message)),
            Went::Answered(Outcome::Closed) => Err(SubmitError::Failed(CLOSED.into())),
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
        let app = &self.code.app.name;
        let span = self
            .traced
            .as_ref()
            .map(|traced| traced.span(Kind::Producer, format!("enqueue {task}")).with("nearside.app", app.clone()));
        let traced = within(&span);
        let sending = Sending { app, name: &task, payload, key: mint(), traced: traced.as_ref() };
        let answer = self.upstream.enqueue(sending).await;
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
        if let (Ok(digest), Some(blobs)) = (&put, &self.blobs) {
            blobs.is_put(&self.code.app.name, *digest);
        }
        Ok(put.map(|digest| digest.to_string()).map_err(|error| match error {
            NotPut::Refused(why) => blob::PutError::Refused(why),
            NotPut::Unreachable(why) => blob::PutError::Unavailable(why.to_string()),
        }))
    }
}

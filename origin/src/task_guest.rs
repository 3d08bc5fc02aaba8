//! A task's component: one fresh instance for each attempt, with the world as it is and HTTP to the hosts it declares.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nearside_host::{
    bindings::edge::{blob, origin},
    budget::Role,
    engine::EngineError,
    guest::{self, Ended, Given, Guest},
    outbound::Outbound,
    senses::Senses,
    spans::{Kind, Traced, within},
    speaker::Speaker,
};
use nearside_protocol::{
    digest::{Digest, PartsHasher},
    limits,
    write::{IdempotencyKey, Outcome},
};
use wasmtime::component::{Component, HasSelf, Linker};

use crate::{
    blobs::{BlobError, Blobs},
    install::Version,
    task_diary::Diary,
    task_runner::{Desk, Reach},
    tasks::{Claimed, Ending, Queued},
    writer::{EnqueueError, Writer},
};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package nearside:tasks;
            world tasks {
                import nearside:edge/step@0.1.0;
                import nearside:edge/progress@0.1.0;
                import nearside:edge/blob-content@0.1.0;
                export nearside:edge/task-handler@0.1.0;
            }
        ",
        imports: {
            "nearside:edge/step": async | trappable,
            "nearside:edge/blob-content": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        require_store_data_send: true,
    });
}

use bindings::{
    Tasks, TasksPre,
    exports::nearside::edge::task_handler::{Failure, Job},
    nearside::edge::{blob_content, progress, step},
};

pub(crate) type TaskPre = TasksPre<Guest<Attempt>>;

/// Links a component as a task's; fails if it imports or exports other things than a task's do.
pub fn check(component: &Component) -> Result<(), EngineError> {
    prepare(component).map(drop)
}

pub(crate) fn prepare(component: &Component) -> Result<TaskPre, EngineError> {
    let mut linker = Linker::new(component.engine());
    guest::link_wasi(&mut linker, false)?;
    origin::add_to_linker::<_, HasSelf<Attempt>>(&mut linker, |guest: &mut Guest<Attempt>| &mut guest.context)
        .map_err(EngineError::Link)?;
    step::add_to_linker::<_, HasSelf<Attempt>>(&mut linker, |guest: &mut Guest<Attempt>| &mut guest.context)
        .map_err(EngineError::Link)?;
    progress::add_to_linker::<_, HasSelf<Attempt>>(&mut linker, |guest: &mut Guest<Attempt>| &mut guest.context)
        .map_err(EngineError::Link)?;
    blob::add_to_linker::<_, HasSelf<Attempt>>(&mut linker, |guest: &mut Guest<Attempt>| &mut guest.context)
        .map_err(EngineError::Link)?;
    blob_content::add_to_linker::<_, HasSelf<Attempt>>(&mut linker, |guest: &mut Guest<Attempt>| &mut guest.context)
        .map_err(EngineError::Link)?;
    let instance = linker.instantiate_pre(component).map_err(EngineError::Link)?;
    TasksPre::new(instance).map_err(EngineError::Link)
}

/// What a running task can reach of the origin.
pub(crate) struct Attempt {
    writer: Writer,
    blobs: Arc<Blobs>,
    task: u64,
    lease: u64,
    /// Named steps that are done, with their results.
    steps: BTreeMap<String, String>,
    diary: Arc<Diary>,
    /// Writes so far: the next one's place in this attempt.
    writes: u64,
    /// Where the spans of it go, if it is sampled.
    traced: Option<Traced>,
}

/// Runs one attempt to its end or its timeout.
pub(crate) async fn run(
    desk: &Desk,
    version: &Arc<Version>,
    claimed: &Claimed,
    diary: &Arc<Diary>,
    traced: Option<Traced>,
) -> Ending {
    let Some((declared, pre)) = version.task(&claimed.name) else {
        return Ending::Untried(format!("the app has no task `{}`", claimed.name));
    };
    let timeout = Duration::from_millis(declared.timeout_ms);
    let variables = version.variables.iter().cloned().collect();
    let given = Given {
        speaker: Arc::new(Speaker {
            role: Role::Task,
            app: version.app.name.clone(),
            place: claimed.name.clone(),
            release: None,
            trace: trace(claimed),
        }),
        senses: Senses::Real,
        variables: &version.variables,
        outbound: match &desk.reach {
            Reach::Nobody => Outbound::nowhere(),
            Reach::Declared { private } => {
                let hosts = version.app.outbound_hosts(declared, &variables);
                Outbound::to(hosts, private.clone()).traced(traced.clone())
            }
        },
        memory_mib: declared.memory_mib,
        cpu: timeout,
        place: None,
    };
    let attempt = Attempt {
        writer: desk.writer.clone(),
        blobs: desk.blobs.clone(),
        task: claimed.id,
        lease: claimed.lease,
        steps: claimed.steps.clone(),
        diary: diary.clone(),
        writes: 0,
        traced,
    };
    let heard = diary.clone();
    let mut store =
        Guest::store_heard(pre.engine(), given, attempt, Some(Arc::new(move |line: &str| heard.line(line))));
    let job =
        Job { id: claimed.id, name: claimed.name.clone(), payload: claimed.payload.clone(), attempt: claimed.attempt };
    let work = async {
        let tasks: Tasks = pre.instantiate_async(&mut store).await?;
        tasks.nearside_edge_task_handler().call_run(&mut store, &job).await
    };
    match tokio::time::timeout(timeout, work).await {
        Err(_) => Ending::Retry(store.data().late(Ended::Deadline(declared.timeout_ms)).to_string()),
        Ok(Err(error)) => match store.data().ended(&error) {
            ended @ Ended::NoRoom => Ending::Untried(ended.to_string()),
            ended => Ending::Retry(ended.to_string()),
        },
        Ok(Ok(Ok(()))) => Ending::Done,
        Ok(Ok(Err(Failure::Retry(why)))) => Ending::Retry(why),
        Ok(Ok(Err(Failure::Discard(why)))) => Ending::Dead(why),
    }
}

/// Under which an attempt's lines are found in the log.
pub(crate) fn trace(claimed: &Claimed) -> String {
    format!("task-{}.{}", claimed.id, claimed.attempt)
}

impl Attempt {
    /// The key of a write that brings none: the same in each attempt, so that what an earlier one has done is not
    /// done again. What is written is part of it, for an attempt need not take the way the one before took.
    fn key(&mut self, name: &str, payload: &str) -> IdempotencyKey {
        self.writes += 1;
        let digest = PartsHasher::default()
            .part(&self.writes.to_le_bytes())
            .part(name.as_bytes())
            .part(payload.as_bytes())
            .finish();
        let text = format!("task-{}-{}", self.task, digest.short());
        IdempotencyKey::try_from(text).expect("BUG: letters and digits make a key")
    }
}

impl origin::Host for Attempt {
    async fn submit(
        &mut self,
        command: String,
        payload: String,
        key: Option<String>,
    ) -> wasmtime::Result<Result<origin::Outcome, origin::SubmitError>> {
        use origin::SubmitError;

        let key = match key.map(IdempotencyKey::try_from).transpose() {
            Ok(given) => given.unwrap_or_else(|| self.key(&command, &payload)),
            Err(bad) => return Ok(Err(SubmitError::InvalidPayload(bad.to_string()))),
        };
        let span = self.traced.as_ref().map(|traced| traced.span(Kind::Client, format!("submit {command}")));
        Ok(match self.writer.submit_traced(&command, &payload, &key, within(&span)).await {
            Outcome::Applied { receipt, reply } => {
                let receipt = origin::Receipt { epoch: receipt.epoch, commit: receipt.commit };
                Ok(origin::Outcome::Applied((receipt, reply)))
            }
            Outcome::Rejected { message } => Ok(origin::Outcome::Rejected(message)),
            Outcome::KeyConflict => Err(SubmitError::KeyConflict),
            Outcome::Retry { message } => Err(SubmitError::Unavailable(message)),
            Outcome::Failed { message } => Err(SubmitError::Failed(message)),
            Outcome::Invalid { message } => Err(SubmitError::InvalidPayload(message)),
            Outcome::Closed => Err(SubmitError::Failed("its key was given up before".into())),
        })
    }

    async fn enqueue(&mut self, task: String, payload: String) -> wasmtime::Result<Result<u64, origin::SubmitError>> {
        use origin::SubmitError;

        let key = self.key(&task, &payload);
        let span = self.traced.as_ref().map(|traced| traced.span(Kind::Producer, format!("enqueue {task}")));
        let queued = self.writer.enqueue_traced(&task, &payload, &key, within(&span)).await;
        Ok(queued.map(Queued::id).map_err(|error| match error {
            EnqueueError::UnknownTask(name) => SubmitError::UnknownName(name),
            EnqueueError::InvalidPayload(why) => SubmitError::InvalidPayload(why),
            EnqueueError::KeyConflict => SubmitError::KeyConflict,
            EnqueueError::Full | EnqueueError::Retry(_) => SubmitError::Unavailable(error.to_string()),
        }))
    }
}

impl step::Host for Attempt {
    async fn begin(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.steps.get(&name).cloned())
    }

    async fn finish(&mut self, name: String, result: String) -> wasmtime::Result<Result<(), String>> {
        if self.steps.contains_key(&name) {
            return Ok(Ok(()));
        }
        let kept = self.writer.step((self.task, self.lease), name.clone(), result.clone()).await;
        Ok(match kept {
            Ok(Ok(())) => {
                self.steps.insert(name, result);
                Ok(())
            }
            Ok(Err(refused)) => Err(refused.to_string()),
            Err(busy) => Err(busy.to_string()),
        })
    }
}

impl progress::Host for Attempt {
    fn tell(&mut self, how_far: String) -> wasmtime::Result<()> {
        self.diary.progress(&how_far);
        Ok(())
    }
}

impl blob::Host for Attempt {
    async fn put(&mut self, content: Vec<u8>) -> wasmtime::Result<Result<String, blob::PutError>> {
        let blobs = self.blobs.clone();
        let put = move || {
            let digest = Digest::of(&content);
            blobs.put(&digest, &content).map(|()| digest)
        };
        Ok(match tokio::task::spawn_blocking(put).await? {
            Ok(digest) => Ok(digest.to_string()),
            Err(BlobError::TooLarge(_)) => Err(blob::PutError::TooLarge(limits::BLOB_BYTES as u64)),
            Err(full @ BlobError::Quota { .. }) => Err(blob::PutError::Refused(full.to_string())),
            Err(fault) => Err(blob::PutError::Unavailable(fault.to_string())),
        })
    }
}

impl blob_content::Host for Attempt {
    async fn get(&mut self, hash: String) -> wasmtime::Result<Result<Option<Vec<u8>>, String>> {
        let Ok(digest) = hash.parse::<Digest>() else { return Ok(Ok(None)) };
        let blobs = self.blobs.clone();
        let got = tokio::task::spawn_blocking(move || blobs.get(&digest)).await?;
        Ok(got.map_err(|fault| fault.to_string()))
    }
}

//! A command's component: one fresh instance, working inside the group's transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::{
    bindings::edge::types::{FlatRows, Rows, SqlError, Value},
    budget::Role,
    engine::EngineError,
    guest::{self, Given, Guest},
    outbound::Outbound,
    senses::Senses,
    spans::{
        Traced,
        statements::{Ran, Statements, kind_of},
    },
    speaker::{Asked, Speaker},
    sql::{Guarded, describe},
};
use nearside_protocol::{digest::Digest, limits, write::IdempotencyKey};
use wasmtime::component::{Component, HasSelf, Linker};

use crate::{install::Version, tasks};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package nearside:commands;
            world commands {
                import nearside:edge/store@0.1.0;
                export nearside:edge/command-handler@0.1.0;
            }
        ",
        imports: { default: trappable },
        exports: { default: async },
        with: { "nearside:edge/types@0.1.0": nearside_host::bindings::edge::types },
        require_store_data_send: true,
    });
}

use bindings::{
    Commands, CommandsPre,
    exports::nearside::edge::command_handler::{self, Refusal},
    nearside::edge::store,
};

pub(crate) type CommandPre = CommandsPre<Guest<Transaction>>;

/// Links a component as a command's; fails if it imports or exports other things than a command's do.
pub fn check(component: &Component) -> Result<(), EngineError> {
    prepare(component).map(drop)
}

pub(crate) fn prepare(component: &Component) -> Result<CommandPre, EngineError> {
    let mut linker = Linker::new(component.engine());
    guest::link_wasi(&mut linker, true)?;
    store::add_to_linker::<_, HasSelf<Transaction>>(&mut linker, |guest: &mut Guest<Transaction>| &mut guest.context)
        .map_err(EngineError::Link)?;
    let instance = linker.instantiate_pre(component).map_err(EngineError::Link)?;
    CommandsPre::new(instance).map_err(EngineError::Link)
}

/// What a command works on: the group's transaction, behind the guard.
pub(crate) struct Transaction {
    guarded: Guarded,
    speaker: Arc<Speaker>,
    version: Arc<Version>,
    accepted_at_ms: u64,
    ends_at: Instant,
    tasks: usize,
    torn: Option<Torn>,
    /// Where this command is sampled: its SQL, and the tasks it queues.
    statements: Option<Statements>,
    traced: Option<Traced>,
}

/// SQLite rolled back the whole group's transaction, not only what this command did.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Torn {
    /// By its own doing: a change ran longer than it may, or said ON CONFLICT ROLLBACK.
    Itself,
    /// The disk, say.
    Otherwise,
}

/// One command to apply.
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) key: &'a IdempotencyKey,
    pub(crate) accepted_at_ms: u64,
    /// What its randomness is derived from.
    pub(crate) seed: Digest,
    /// Where the spans of it go, if it is sampled.
    pub(crate) traced: Option<Traced>,
}

/// How it went, whatever became of the transaction.
#[derive(Debug, PartialEq)]
pub(crate) enum Applied {
    /// JSON.
    Reply(String),
    Rejected(String),
    Retry(String),
    Failed(String),
}

impl Applied {
    /// As spans call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Applied::Reply(_) => "applied",
            Applied::Rejected(_) => "rejected",
            Applied::Retry(_) => "retry",
            Applied::Failed(_) => "failed",
        }
    }
}

/// A command that has run, and the connection it gives back.
pub(crate) struct Ended {
    pub(crate) applied: Applied,
    pub(crate) queued_task: bool,
    pub(crate) guarded: Guarded,
}

/// Runs a command. The caller keeps or undoes what it did.
pub(crate) async fn apply(version: &Arc<Version>, call: Call<'_>, guarded: Guarded) -> Ended {
    let Some(pre) = version.command(call.name) else {
        let applied = Applied::Retry(format!("the app has no command `{}` any more", call.name));
        return Ended { applied, queued_task: false, guarded };
    };
    let speaker = Arc::new(Speaker {
        role: Role::Command,
        app: version.app.name.clone(),
        place: call.name.to_owned(),
        release: None,
        trace: call.key.to_string(),
    });
    let transaction = Transaction {
        guarded,
        speaker: speaker.clone(),
        version: version.clone(),
        accepted_at_ms: call.accepted_at_ms,
        ends_at: Instant::now() + WALL,
        tasks: 0,
        torn: None,
        statements: Statements::of(call.traced.clone()),
        traced: call.traced,
    };
    let given = Given {
        speaker,
        senses: Senses::Fixed { now: Duration::from_millis(call.accepted_at_ms), seed: call.seed },
        variables: &version.variables,
        outbound: Outbound::nowhere(),
        memory_mib: limits::GUEST_MEMORY_MIB,
        cpu: Duration::from_millis(limits::COMMAND_CPU_MS),
        place: None,
    };
    let mut store = Guest::store(pre.engine(), given, transaction);
    let command = command_handler::Command { name: call.name.to_owned(), payload: call.payload.to_owned() };
    let run = async {
        let commands: Commands = pre.instantiate_async(&mut store).await?;
        commands.nearside_edge_command_handler().call_apply(&mut store, &command).await
    };
    let ended = tokio::time::timeout(WALL, run).await;
    take(store, |guest| match ended {
        Err(_) => Applied::Failed(guest.late(guest::Ended::Deadline(limits::COMMAND_WALL_MS)).to_string()),
        Ok(Ok(Ok(reply))) => accept(reply),
        Ok(Ok(Err(Refusal::Rejected(message)))) => Applied::Rejected(cut(message)),
        Ok(Ok(Err(Refusal::Retry(message)))) => Applied::Retry(cut(message)),
        Ok(Ok(Err(Refusal::Failed(message)))) => Applied::Failed(cut(message)),
        Ok(Err(error)) => match guest.ended(&error) {
            ended @ guest::Ended::NoRoom => Applied::Retry(ended.to_string()),
            ended => Applied::Failed(cut(ended.to_string())),
        },
    })
}

const WALL: Duration = Duration::from_millis(limits::COMMAND_WALL_MS);

fn take(store: wasmtime::Store<Guest<Transaction>>, verdict: impl FnOnce(&Guest<Transaction>) -> Applied) -> Ended {
    let guest = store.into_data();
    let applied = match guest.context.torn {
        None => verdict(&guest),
        Some(Torn::Otherwise) => Applied::Retry("the store failed; nothing was kept".into()),
        Some(Torn::Itself) => match verdict(&guest) {
            failed @ Applied::Failed(_) => failed,
            _ => Applied::Failed("a statement ran into a limit or a conflict that undid the transaction".into()),
        },
    };
    Ended { applied, queued_task: guest.context.tasks > 0, guarded: guest.context.guarded }
}

fn accept(reply: String) -> Applied {
    if reply.len() > limits::COMMAND_REPLY_BYTES {
        let most = limits::COMMAND_REPLY_BYTES;
        return Applied::Failed(format!("its reply has {} bytes; at most {most} are taken", reply.len()));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(&reply) {
        Ok(_) => Applied::Reply(reply),
        Err(error) => Applied::Failed(format!("its reply is not JSON: {error}")),
    }
}

fn cut(mut message: String) -> String {
    let end = (0..=limits::COMMAND_MESSAGE_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    message.truncate(end.unwrap_or(0));
    message
}

impl Transaction {
    /// Runs one statement within what is left of the command's time.
    fn run<T>(
        &mut self,
        sql: &str,
        statement: impl FnOnce(&mut Guarded, Duration) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let left = self.ends_at.saturating_duration_since(Instant::now());
        let time = left.min(Duration::from_millis(limits::SQL_QUERY_MS));
        let began = Instant::now();
        let result = self.run_within(time, statement);
        if let Some(statements) = &mut self.statements {
            let (summary, failed) = (kind_of(sql), result.as_ref().err().map(|error| describe(error).to_owned()));
            statements.ran(Ran { summary: &summary, text: Some(sql), took: began.elapsed(), rows: None, failed });
        }
        if let Err(error) = &result {
            self.speaker.query_failed(&Asked { query: sql, line: None, time }, error);
        }
        result
    }

    fn run_within<T>(
        &mut self,
        time: Duration,
        statement: impl FnOnce(&mut Guarded, Duration) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        // Outside the transaction a change would be durable at once, on its own: nothing may run there.
        if self.torn.is_some() {
            return Err(SqlError::Failed("the transaction is gone".into()));
        }
        if time.is_zero() {
            return Err(SqlError::OverLimit(format!("the command has used up its {} ms", limits::COMMAND_WALL_MS)));
        }
        let result = statement(&mut self.guarded, time);
        if self.guarded.trusted(|connection| connection.is_autocommit()) {
            self.torn = Some(match &result {
                Err(SqlError::OverLimit(_) | SqlError::Constraint(_)) => Torn::Itself,
                _ => Torn::Otherwise,
            });
        }
        result
    }

    fn queue(&mut self, task: &str, payload: &str) -> Result<u64, String> {
        let Some((declared, _)) = self.version.task(task) else {
            return Err(format!("the app has no task `{task}`"));
        };
        check_task_payload(payload)?;
        if self.tasks == limits::TASKS_PER_COMMAND {
            return Err(format!("a command queues at most {} tasks", limits::TASKS_PER_COMMAND));
        }
        if self.torn.is_some() {
            return Err("the transaction is gone".into());
        }
        let now_ms = self.accepted_at_ms;
        let traced = self.traced.as_ref().map(Traced::context);
        let add = tasks::add_traced;
        let added = self.guarded.trusted(|connection| add(connection, task, declared, payload, now_ms, traced));
        match added {
            Ok(Some(queued)) => {
                self.tasks += 1;
                Ok(queued.id())
            }
            Ok(None) => Err(format!("{} tasks are waiting already", limits::TASKS_WAITING)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A task's payload is JSON of a bounded size, whoever queues it.
pub(crate) fn check_task_payload(payload: &str) -> Result<(), String> {
    if payload.len() > limits::COMMAND_PAYLOAD_BYTES {
        return Err(format!(
            "the payload has {} bytes; at most {} are taken",
            payload.len(),
            limits::COMMAND_PAYLOAD_BYTES
        ));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(payload)
        .map(drop)
        .map_err(|error| format!("the payload is not JSON: {error}"))
}

impl store::Host for Transaction {
    fn query(&mut self, sql: String, parameters: Vec<Value>) -> wasmtime::Result<Result<Rows, SqlError>> {
        Ok(self.query_flat(sql, parameters)?.map(|flat| flat.rows()))
    }

    fn query_flat(&mut self, sql: String, parameters: Vec<Value>) -> wasmtime::Result<Result<FlatRows, SqlError>> {
        Ok(self.run(&sql, |guarded, budget| guarded.query(&sql, &parameters, budget)))
    }

    fn execute(&mut self, sql: String, parameters: Vec<Value>) -> wasmtime::Result<Result<store::Change, SqlError>> {
        let done = self.run(&sql, |guarded, budget| guarded.execute(&sql, &parameters, budget));
        Ok(done.map(|(rows_changed, last_insert_rowid)| store::Change { rows_changed, last_insert_rowid }))
    }

    fn enqueue(&mut self, task: String, payload: String) -> wasmtime::Result<Result<u64, String>> {
        Ok(self.queue(&task, &payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_bounded_json_and_messages_are_cut_between_characters() {
        assert_eq!(accept("{\"n\":1}".into()), Applied::Reply("{\"n\":1}".into()));
        assert!(matches!(accept("{".into()), Applied::Failed(_)));
        assert!(matches!(accept(format!("\"{}\"", "x".repeat(limits::COMMAND_REPLY_BYTES))), Applied::Failed(_)));
        assert_eq!(cut("short".into()), "short");
        let long = cut(format!("x{}", "é".repeat(limits::COMMAND_MESSAGE_BYTES)));
        assert_eq!(long.len(), limits::COMMAND_MESSAGE_BYTES - 1);
    }
}

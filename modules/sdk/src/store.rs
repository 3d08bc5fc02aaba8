//! The write store, inside a command's transaction.

use serde::Serialize;

use crate::bindings::nearside::edge::store as host;
use crate::command::Refusal;
use crate::log;
use crate::sql::{Error, Parameters, Rows};

/// What a statement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// How many rows.
    pub rows_changed: u64,
    /// The id of the row inserted last.
    pub last_insert_rowid: i64,
}

/// Reads by one SQL statement.
///
/// # Errors
/// When the statement is wrong or ran into a limit.
pub fn query(sql: &str, parameters: impl Parameters) -> Result<Rows, Error> {
    match host::query_flat(sql, &parameters.into_values()) {
        Ok(flat) => Ok(Rows::new(sql, flat)),
        Err(reason) => Err(Error::Host { reason }),
    }
}

/// Writes by one SQL statement.
///
/// # Errors
/// When the statement is wrong, a constraint refused it, or it ran into a limit.
pub fn execute(sql: &str, parameters: impl Parameters) -> Result<Change, Error> {
    let change = host::execute(sql, &parameters.into_values()).map_err(|reason| Error::Host { reason })?;
    Ok(Change { rows_changed: change.rows_changed, last_insert_rowid: change.last_insert_rowid })
}

/// Queues a task in the same transaction: it exists exactly if the command is applied. Gives its id.
///
/// # Errors
/// When the manifest declares no such task.
pub fn enqueue(task: &str, payload: &impl Serialize) -> Result<u64, Refusal> {
    let payload = serde_json::to_string(payload).map_err(|error| Refusal::broken(&error))?;
    host::enqueue(task, &payload).map_err(|error| {
        log(format_args!("enqueue {task}: {error}"));
        Refusal::Retry("The work that follows could not be queued.".to_owned())
    })
}

//! What a guest may use of a node or the origin, and what raises it: told when it was not enough.

/// Which part an app plays when a guest of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Handler,
    Command,
    Task,
}

/// A bound that a guest can run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    Deadline,
    Cpu,
    Memory,
    /// Time between two pieces of a streamed body.
    StreamIdle,
    /// Guests that run at once in this process.
    Instances,
    QueryTime,
    QueryRows,
    QueryBytes,
    /// Of one string or blob.
    ValueBytes,
    SqliteMemory,
}

impl Budget {
    pub fn name(self) -> &'static str {
        match self {
            Budget::Deadline => "deadline",
            Budget::Cpu => "cpu",
            Budget::Memory => "memory",
            Budget::StreamIdle => "stream-idle",
            Budget::Instances => "instances",
            Budget::QueryTime => "query-time",
            Budget::QueryRows => "query-rows",
            Budget::QueryBytes => "query-bytes",
            Budget::ValueBytes => "value-bytes",
            Budget::SqliteMemory => "sqlite-memory",
        }
    }

    /// The setting that raises it, or what helps where none does.
    pub fn raised_by(self, role: Role) -> &'static str {
        match (self, role) {
            (Budget::Deadline | Budget::Cpu, Role::Handler) => "deadline_ms of the route",
            (Budget::Deadline | Budget::Cpu, Role::Task) => "timeout_ms of the task",
            (Budget::Deadline | Budget::Cpu, Role::Command) => "no setting: long work belongs into a task",
            (Budget::Memory, Role::Handler) => "memory_mib of the route",
            (Budget::Memory, Role::Task) => "memory_mib of the task",
            (Budget::Memory, Role::Command) => "no setting: work on less at a time",
            (Budget::StreamIdle, _) => "no setting: send something more often",
            (Budget::Instances, _) => "no setting: more nodes",
            (Budget::QueryTime, _) => "no setting: an index may help, see EXPLAIN QUERY PLAN",
            (Budget::QueryRows | Budget::QueryBytes, _) => "no setting: LIMIT the query",
            (Budget::ValueBytes | Budget::SqliteMemory, _) => "no setting: make smaller values",
        }
    }
}

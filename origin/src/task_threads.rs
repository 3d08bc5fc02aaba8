//! Threads that tasks run on. Whatever a task computes, commands, heartbeats and pulls do not wait behind it.

use std::sync::OnceLock;

use nearside_host::priority;
use tokio::runtime::{Builder, Handle, Runtime};

/// Where attempts run: threads of their own, nicer than all others. Where the system has none to give, among all other work.
pub(crate) fn threads() -> Handle {
    static THREADS: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        Builder::new_multi_thread()
            .thread_name("nearside-task")
            .on_thread_start(priority::runs_tasks)
            .enable_all()
            .build()
            .ok()
    };
    THREADS.get_or_init(start).as_ref().map_or_else(Handle::current, |threads| threads.handle().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_are_not_those_that_answer_sockets() {
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(threads().spawn(async move { name() }).await.unwrap().as_deref(), Some("nearside-task"));
        assert_ne!(name().as_deref(), Some("nearside-task"));
    }
}

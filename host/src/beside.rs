//! Threads for what no visitor waits for: pulling, switching, repairing and hashing releases. The machine's scheduler prefers
//! everybody else to them, so that a release that comes is not felt by those who read.

use std::sync::OnceLock;

use nearside_protocol::limits;
use tokio::runtime::{Builder, Runtime};

use crate::priority;

/// The work ended without an answer: it panicked, or the process is stopping.
#[derive(Debug, thiserror::Error)]
#[error("work on a release was lost")]
pub struct Lost;

/// Begins work that blocks or keeps a core busy; it goes on though nobody waits for it.
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = Result<T, Lost>> {
    let done = match threads() {
        Some(threads) => threads.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    };
    async { done.await.map_err(|_| Lost) }
}

/// One pool for the process. None where the system has no threads to give: then the work is done among all other work.
fn threads() -> Option<&'static Runtime> {
    static THREADS: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        Builder::new_current_thread()
            .thread_name("nearside-beside")
            .max_blocking_threads(limits::BESIDE_THREADS)
            .on_thread_start(priority::is_patient)
            .build()
            .ok()
    };
    THREADS.get_or_init(start).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_patient_threads_and_a_panic_is_told() {
        let nice_of = || rustix::process::getpriority_process(None).expect("a thread has a priority");
        let here = nice_of();
        let there = beside(nice_of).await.expect("it is done");
        assert_eq!(there, limits::BESIDE_NICE);
        assert_eq!(nice_of(), here, "only those threads are patient");
        assert!(beside(|| panic!("a test")).await.is_err());
    }
}

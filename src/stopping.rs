//! How a node is told to stop, and in which order it does: those in front hear of it, then nothing more is accepted, then what
//! is under way finishes. A second signal means now.

use std::{sync::Arc, time::Duration};

use nearside_host::leaving::Leaving;
use nearside_protocol::limits;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::handed::{Listener, Successor};

/// Why a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT or SIGTERM.
    End,
    /// SIGUSR2: another program takes its place.
    HandOver,
}

impl Stop {
    /// How long what is under way may take.
    fn drain(self) -> Duration {
        match self {
            Stop::End => limits::DRAIN,
            Stop::HandOver => limits::HAND_OVER_DRAIN,
        }
    }
}

pub struct Stopping {
    told: watch::Receiver<Option<Stop>>,
    successor: Arc<Successor>,
}

/// As a shell tells that a signal ended a program.
const CUT: i32 = 130;

impl Stopping {
    /// Listens for signals from here on. `unready` is how long those in front have to hear of it.
    pub fn start(leaving: Leaving, unready: Duration, successor: Successor) -> anyhow::Result<Stopping> {
        let successor = Arc::new(successor);
        let mut signals = Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            give_way: signal(SignalKind::user_defined2())?,
        };
        let (tell, told) = watch::channel(None);
        let stopping = Stopping { told, successor: successor.clone() };
        tokio::spawn(async move {
            let why = loop {
                let why = signals.next().await;
                if why == Stop::End || is_there(&successor).await {
                    break why;
                }
            };
            tracing::info!(?why, "stopping");
            let stop = async {
                if why == Stop::End {
                    leaving.begin();
                    sleep(unready).await;
                }
                tell.send_replace(Some(why));
                // Whoever waits for it holds the other end.
                tell.closed().await;
            };
            tokio::select! {
                () = stop => {}
                () = signals.end() => std::process::exit(CUT),
            }
        });
        Ok(stopping)
    }

    /// Resolves when nothing more is to be begun, and says how long what is under way may take.
    pub async fn wait(&self) -> Duration {
        let mut told = self.told.clone();
        let why = told.wait_for(Option::is_some).await.map(|why| *why);
        why.ok().flatten().unwrap_or(Stop::End).drain()
    }

    pub fn why(&self) -> Option<Stop> {
        *self.told.borrow()
    }

    /// Becomes the program that takes over. Returns only if that fails.
    pub fn hand_over(self, listener: Listener) -> anyhow::Error {
        self.successor.start(listener)
    }
}

/// A node that finds nobody to give way to goes on.
async fn is_there(successor: &Arc<Successor>) -> bool {
    let successor = successor.clone();
    let checked = tokio::task::spawn_blocking(move || successor.check()).await;
    match checked {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(cause = %format_args!("{error:#}"), "this node does not give way");
            false
        }
        Err(_) => false,
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    give_way: Signal,
}

impl Signals {
    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::End,
            _ = self.terminate.recv() => Stop::End,
            _ = self.give_way.recv() => Stop::HandOver,
        }
    }

    async fn end(&mut self) {
        while self.next().await != Stop::End {}
    }
}

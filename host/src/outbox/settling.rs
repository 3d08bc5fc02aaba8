//! Visitors who wait a moment to hear what became of what the outbox has taken for them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::oneshot;

use super::{Settled, Ticket};

/// Who waits for which.
#[derive(Default)]
pub(super) struct Settling(Mutex<HashMap<Ticket, Vec<oneshot::Sender<Settled>>>>);

impl Settling {
    pub(super) fn wait_for(&self, ticket: &Ticket) -> Wait<'_> {
        let (tell, told) = oneshot::channel();
        self.waiting().entry(ticket.clone()).or_default().push(tell);
        Wait { settling: self, ticket: ticket.clone(), told }
    }

    /// It is on the disk.
    pub(super) fn tell(&self, ticket: &Ticket, settled: &Settled) {
        for tell in self.waiting().remove(ticket).into_iter().flatten() {
            // Who waited has gone.
            let _ = tell.send(settled.clone());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Ticket, Vec<oneshot::Sender<Settled>>>> {
        self.0.lock().expect("BUG: nothing panics while holding who waits")
    }
}

/// One who waits; forgotten when dropped.
pub(super) struct Wait<'a> {
    settling: &'a Settling,
    ticket: Ticket,
    told: oneshot::Receiver<Settled>,
}

impl Wait<'_> {
    pub(super) async fn settled(mut self) -> Option<Settled> {
        (&mut self.told).await.ok()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.told.close();
        let mut waiting = self.settling.waiting();
        if let Some(tells) = waiting.get_mut(&self.ticket) {
            tells.retain(|tell| !tell.is_closed());
            if tells.is_empty() {
                waiting.remove(&self.ticket);
            }
        }
    }
}

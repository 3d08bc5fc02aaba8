//! How many connections each client has: one that opens all there are would leave none for others.
//!
//! A client is an address, or for IPv6 the 64 bits that one household or server has. This machine is not counted: what comes from
//! here is a balancer or a test, and speaks for many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::clients;

pub(crate) struct Seats {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection of a client, as long as it lasts.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    client: Option<IpAddr>,
}

impl Seats {
    pub(crate) fn of(most: usize) -> Arc<Seats> {
        Arc::new(Seats { most, counts: Mutex::default() })
    }

    /// None where this client has as many as it may have.
    pub(crate) fn seat(self: &Arc<Seats>, client: IpAddr) -> Option<Seat> {
        let client = clients::one(client);
        if client.is_loopback() {
            return Some(Seat { seats: self.clone(), client: None });
        }
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), client: Some(client) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().expect("BUG: nothing panics while holding the counts")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut counts = self.seats.counts();
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_connections_and_others_have_theirs() {
        let seats = Seats::of(2);
        let seat = |client: &str| seats.seat(client.parse().unwrap());
        let (one, two) = (seat("192.0.2.1"), seat("::ffff:192.0.2.1"));
        assert!(one.is_some() && two.is_some() && seat("192.0.2.1").is_none());
        assert!(seat("192.0.2.2").is_some());
        drop(one);
        assert!(seat("192.0.2.1").is_some());
        // One household.
        let (_one, _two) = (seat("2001:db8::1"), seat("2001:db8::2:0:0:2"));
        assert!(seat("2001:db8::3").is_none() && seat("2001:db8:0:1::1").is_some());
        let local: Vec<_> = (0..9).map(|_| [seat("127.0.0.1"), seat("::1"), seat("::ffff:127.0.0.9")]).collect();
        assert!(local.iter().flatten().all(Option::is_some));
        drop((two, local));
        assert_eq!(seats.counts().len(), 1, "who has left is forgotten");
    }
}

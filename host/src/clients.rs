//! What single clients ask for: so many renders a second each, where the operator says so. Hits are not counted.
//!
//! A client is an address, or for IPv6 the 64 bits that one household or server has. Of each there is one moment: when it would
//! have been right to ask for what it has asked for so far. Whoever is not ahead of the time is not remembered.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::{Duration, Instant},
};

use nearside_protocol::limits;

pub struct Clients {
    /// Between two renders of one client; nothing if they are not limited.
    every: Option<Duration>,
    ahead: Mutex<Ahead>,
}

#[derive(Default)]
struct Ahead {
    due: HashMap<IpAddr, Instant>,
    /// When last those whose time had come were forgotten.
    cleared_at: Option<Instant>,
}

/// Looking through all of them takes a millisecond.
const CLEARED_EVERY: Duration = Duration::from_secs(1);

impl Clients {
    pub fn new(renders_per_s: Option<f64>) -> Clients {
        Clients { every: renders_per_s.map(|rate| Duration::from_secs_f64(1.0 / rate)), ahead: Mutex::default() }
    }

    /// Whether this client may have another render made. When more clients are remembered than can be, new ones may.
    pub fn may_ask(&self, client: IpAddr, now: Instant) -> bool {
        let Some(every) = self.every else { return true };
        let mut ahead = self.ahead.lock().expect("BUG: nothing panics while holding the clients");
        let is_full = ahead.due.len() >= limits::CLIENTS_COUNTED;
        if is_full && ahead.cleared_at.is_none_or(|at| now.duration_since(at) >= CLEARED_EVERY) {
            ahead.due.retain(|_, due| *due > now);
            ahead.cleared_at = Some(now);
        }
        let client = one(client);
        let due = ahead.due.get(&client).copied().unwrap_or(now).max(now);
        if due.duration_since(now) + every > Duration::from_secs_f64(limits::CLIENT_BURST_S).max(every) {
            return false;
        }
        if ahead.due.len() < limits::CLIENTS_COUNTED || ahead.due.contains_key(&client) {
            ahead.due.insert(client, due + every);
        }
        true
    }
}

/// What counts as one client.
pub(crate) fn one(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(clients: &Clients, client: &str, times: usize, now: Instant) -> usize {
        (0..times).filter(|_| clients.may_ask(client.parse().unwrap(), now)).count()
    }

    #[test]
    fn a_client_has_its_rate_and_two_seconds_worth_at_once() {
        let (clients, now) = (Clients::new(Some(5.0)), Instant::now());
        assert_eq!(asked(&clients, "10.0.0.1", 100, now), 10);
        assert_eq!(asked(&clients, "::ffff:10.0.0.1", 1, now), 0, "the same client");
        assert_eq!(asked(&clients, "10.0.0.2", 100, now), 10);
        assert_eq!(asked(&clients, "10.0.0.1", 100, now + Duration::from_secs(1)), 5);
        assert_eq!(asked(&clients, "10.0.0.1", 100, now + Duration::from_secs(60)), 10);
        assert_eq!(asked(&Clients::new(None), "10.0.0.1", 100, now), 100);
        // Once every four seconds is less than one at once.
        assert_eq!(asked(&Clients::new(Some(0.25)), "10.0.0.1", 100, now), 1);
    }

    #[test]
    fn whoever_has_a_network_of_its_own_is_one_client() {
        let (clients, now) = (Clients::new(Some(1.0)), Instant::now());
        assert_eq!(asked(&clients, "2001:db8:1:2::1", 2, now), 2);
        assert_eq!(asked(&clients, "2001:db8:1:2:3:4:5:6", 1, now), 0);
        assert_eq!(asked(&clients, "2001:db8:1:3::1", 1, now), 1);
    }

    #[test]
    fn the_clients_remembered_are_bounded() {
        let (clients, now) = (Clients::new(Some(1.0)), Instant::now());
        let many = |from: u32, now| {
            let count = limits::CLIENTS_COUNTED as u32 + 10;
            (from..from + count).for_each(|at| assert!(clients.may_ask(IpAddr::from(at.to_be_bytes()), now)));
            clients.ahead.lock().unwrap().due.len()
        };
        assert_eq!(many(0, now), limits::CLIENTS_COUNTED);
        // The first ones are forgotten when their time has come.
        assert!(many(1 << 24, now + Duration::from_secs(5)) <= limits::CLIENTS_COUNTED);
        assert!(!clients.ahead.lock().unwrap().due.contains_key(&IpAddr::from([0, 0, 0, 1])));
    }
}

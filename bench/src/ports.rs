//! Ports for servers that start later. They lie below those that outgoing connections get, of which a fleet has hundreds: one of
//! these could be taken meanwhile.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Result, ensure};

use crate::random::Random;

/// Linux gives outgoing connections 32768 and more, unless told otherwise.
const FIRST: usize = 12_000;
const MORE: usize = 20_000;

/// So many addresses nobody listens at now, each another one.
pub fn free(count: usize) -> Result<Vec<SocketAddr>> {
    // Two harnesses on one machine are to look in different places.
    let mut random = Random::new(u64::from(std::process::id()));
    let mut held = Vec::new();
    for _ in 0..MORE {
        if held.len() == count {
            break;
        }
        let port = (FIRST + random.below(MORE)) as u16;
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    ensure!(held.len() == count, "{} of {count} ports are free", held.len());
    Ok(held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_another_one_and_can_be_listened_at() {
        let ports = free(40).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 40);
        let bound: Vec<_> = ports.iter().map(TcpListener::bind).collect();
        assert!(bound.iter().all(Result::is_ok), "{bound:?}");
    }
}

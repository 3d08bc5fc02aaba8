//! What a balancer in front is told, in the one line of HAProxy's agent check: whether this node is up, and how large a share
//! of the visitors it would like.
//!
//! The share is what of its cores this process left idle lately, and half of that while renders are refused here. A node that
//! is asked by nobody answers nothing; each question is a connection, and is answered at once, whatever it says.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nearside_protocol::{class::Class, limits};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::{
    admin::{self, Admin},
    own_cpu::own_cpu,
};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Up {
        percent: u32,
    },
    /// No more visitors: this node will stop soon.
    Drain,
    /// There is nothing to serve, or it is too old.
    Down,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `ready` takes back what an earlier `drain` said.
            Word::Up { percent } => write!(f, "ready up {percent}%"),
            Word::Drain => write!(f, "drain"),
            Word::Down => write!(f, "down"),
        }
    }
}

/// Answers until `shutdown`.
pub async fn serve(admin: Arc<Admin>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let share = Share::new(admin.host.cores());
    let answers = async {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let word = share.word(&admin, Instant::now());
            // Shorter than any buffer: who does not read it keeps nobody else waiting for long.
            let line = format!("{word}\n");
            let told = async {
                stream.write_all(line.as_bytes()).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(PAUSE, told).await;
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = answers => {}
    }
}

/// After a failed accept; and for how long one answer may take.
const PAUSE: Duration = Duration::from_millis(50);

/// What of the cores is left.
struct Share {
    cores: usize,
    last: Mutex<Last>,
}

/// What was found when it was last looked.
struct Last {
    at: Instant,
    cpu: Duration,
    shed: u64,
    percent: u32,
}

impl Share {
    fn new(cores: usize) -> Share {
        let cpu = own_cpu().unwrap_or_default();
        Share { cores, last: Mutex::new(Last { at: Instant::now(), cpu, shed: 0, percent: 100 }) }
    }

    fn word(&self, admin: &Admin, now: Instant) -> Word {
        if admin.host.leaving.has_begun() {
            return Word::Drain;
        }
        if admin::unready(&admin.host, admin.max_staleness).is_some() {
            return Word::Down;
        }
        let by_class = admin.host.queue.shed();
        // Whom a sibling sent was never this node's to answer.
        let own = by_class.iter().filter(|(class, _)| class.as_str() != Class::Handed.name());
        let shed = own.flat_map(|(_, reasons)| reasons.values()).sum();
        let mut last = self.last.lock().expect("BUG: nothing panics while holding what was found last");
        let wall = now.duration_since(last.at);
        // Two balancers that ask in one moment are told the same.
        if wall >= limits::AGENT_LOOK {
            let cpu = own_cpu().unwrap_or(last.cpu);
            let used = cpu.saturating_sub(last.cpu).as_secs_f64() / (wall.as_secs_f64() * self.cores as f64);
            let percent = percent(used, shed > last.shed).midpoint(last.percent);
            *last = Last { at: now, cpu, shed, percent };
        }
        Word::Up { percent: last.percent }
    }
}

/// Of a node that uses so large a share of its cores.
fn percent(used: f64, sheds: bool) -> u32 {
    let idle = 100.0 * (1.0 - used.clamp(0.0, 1.0));
    let wanted = if sheds { idle / 2.0 } else { idle };
    // Never nothing: what is stored goes out in any case.
    (wanted.round() as u32).max(limits::AGENT_PERCENT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_node_wants_visitors_and_a_busy_one_a_few() {
        assert_eq!((percent(0.0, false), percent(0.3, false), percent(0.3, true)), (100, 70, 35));
        assert_eq!(percent(1.2, true), limits::AGENT_PERCENT_LEAST);
    }

    #[test]
    fn lines_are_what_haproxy_reads() {
        let said = [Word::Up { percent: 70 }, Word::Drain, Word::Down].map(|word| word.to_string());
        assert_eq!(said, ["ready up 70%", "drain", "down"]);
    }
}

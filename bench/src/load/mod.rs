//! The load generator: connections spread over a few threads, each with a runtime of its own, so that the harness's
//! signals and child processes share no thread with what is being measured.

mod arrivals;
mod closed;
mod noted;
mod open;
mod schedule;
mod timer;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::{Barrier, mpsc};
use tokio::task::{JoinSet, LocalSet};

pub use closed::{Closed, closed};
pub use noted::{Asked, How, Note, Times};
pub use open::{Open, impatient, noted, open, visited};
pub use schedule::Schedule;

use crate::connection::Connection;
use crate::limits::PHASE_GRACE;
use crate::request::Requests;
use crate::response::Response;

/// Whom to load, with what, over how many connections.
#[derive(Debug, Clone)]
pub struct Plan {
    pub address: SocketAddr,
    pub requests: Arc<Requests>,
    pub connections: usize,
    pub threads: usize,
    pub judging: Judging,
}

/// What becomes of an answer that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judging {
    /// It ends the phase.
    Strict,
    /// The same, but who is refused for now is counted.
    Refusable,
    /// It is counted. Bodies are two numbers, which must be equal.
    Pairs,
    /// It is counted, and of each answer is noted what its head says.
    Noted,
    /// The same, of pages that must be whole; and where a form's answer leads is asked for as well, as browsers do.
    Visiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Failed,
    Mixed,
    /// It may be asked for again after this.
    Refused(Duration),
}

/// What one thread's work is given: its share of the connections.
struct Crew {
    workers: Vec<Worker>,
    /// The same instant for every thread of the phase.
    start: Instant,
}

struct Worker {
    connection: Connection,
    requests: Arc<Requests>,
    stop: Arc<AtomicBool>,
    address: SocketAddr,
    judging: Judging,
    /// The place in the list of what was asked last.
    asked: usize,
}

impl Worker {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks for what the answer to a form leads to. What is noted of it; none where it leads nowhere.
    async fn follow(&mut self, start: Instant) -> Option<Note> {
        let requests = self.requests.clone();
        let form = &requests.all()[self.asked];
        let (request, words) = (form.following(&self.connection.response)?, form.shows.as_deref()?);
        let asked_at = Instant::now();
        let exchanged = self.connection.exchange(&request).await;
        let response = &self.connection.response;
        let failed = exchanged.is_err() || request.verify(response).is_err() || !is_whole(response.body());
        let shown = contains(response.body(), words.as_bytes());
        let note = self.note(start, asked_at, failed);
        if exchanged.is_err()
            && let Ok(connection) = Connection::open(self.address, self.judging.response()).await
        {
            self.connection = connection;
        }
        Some(Note { asked: Asked::Own { shown }, ..note })
    }

    /// Of the newest answer.
    fn note(&self, start: Instant, asked_at: Instant, failed: bool) -> Note {
        let now = Instant::now();
        let since = |at: Instant| at.saturating_duration_since(asked_at);
        let times = Times {
            at: asked_at.saturating_duration_since(start),
            first_byte: since(self.connection.began_at.unwrap_or(now)),
            latency: since(now),
        };
        let is_form = self.requests.all()[self.asked].shows.is_some();
        let asked = if is_form { Asked::Form } else { Asked::Page };
        Note { asked, ..Note::new(self.asked, times, failed, &self.connection.response) }
    }

    /// One request and its verified answer.
    async fn exchange(&mut self) -> Result<Verdict> {
        let requests = self.requests.clone();
        let (index, request) = requests.next_with_index();
        self.asked = index;
        let exchanged = self.connection.exchange(request).await;
        match self.judging {
            Judging::Strict | Judging::Refusable => {
                exchanged?;
                if self.judging == Judging::Refusable
                    && let Some(again) = self.connection.response.refused()
                {
                    return Ok(Verdict::Refused(again));
                }
                request.verify(&self.connection.response)?;
                Ok(Verdict::Good)
            }
            Judging::Pairs | Judging::Noted | Judging::Visiting if exchanged.is_err() => {
                // Where nobody listens any more the old one stays, and fails again.
                if let Ok(connection) = Connection::open(self.address, self.judging.response()).await {
                    self.connection = connection;
                }
                Ok(Verdict::Failed)
            }
            // A node whose origin is slow says that a form's content is kept, and will be delivered.
            Judging::Visiting if request.shows.is_some() && self.connection.response.status == 202 => Ok(Verdict::Good),
            Judging::Pairs | Judging::Noted | Judging::Visiting
                if request.verify(&self.connection.response).is_err() =>
            {
                Ok(Verdict::Failed)
            }
            Judging::Visiting if request.shows.is_none() && !is_whole(self.connection.response.body()) => {
                Ok(Verdict::Failed)
            }
            Judging::Noted | Judging::Visiting => Ok(Verdict::Good),
            Judging::Pairs if is_pair(self.connection.response.body()) => Ok(Verdict::Good),
            Judging::Pairs => Ok(Verdict::Mixed),
        }
    }
}

impl Judging {
    fn response(self) -> Response {
        match self {
            Judging::Strict | Judging::Refusable => Response::counting(),
            Judging::Pairs | Judging::Visiting => Response::keeping(),
            Judging::Noted => Response::heads(),
        }
    }
}

/// An HTML document with its end.
fn is_whole(body: &[u8]) -> bool {
    body.trim_ascii_end().ends_with(b"</html>")
}

fn contains(body: &[u8], words: &[u8]) -> bool {
    body.windows(words.len().max(1)).any(|window| window == words)
}

/// Two equal numbers.
fn is_pair(body: &[u8]) -> bool {
    let numbers = std::str::from_utf8(body).ok().and_then(|text| text.trim_end().split_once(' '));
    numbers.is_some_and(|(one, other)| one == other && one.parse::<u64>().is_ok())
}

/// Runs `work` for every worker at once, on this thread, and collects what they return or the first error.
async fn each<T, F>(workers: Vec<Worker>, work: impl Fn(Worker) -> F) -> Result<Vec<T>>
where
    T: 'static,
    F: Future<Output = Result<T>> + 'static,
{
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn_local(work(worker));
    }
    let mut all = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        all.push(done.context("a connection's task panicked")??);
    }
    Ok(all)
}

/// A phase that is over, or was dropped by ctrl-c, leaves no thread sending.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on every thread, all starting together, and collects what they return. The first error ends the phase.
async fn phase<T, W, F>(plan: &Plan, lasts: Duration, work: W) -> Result<Vec<T>>
where
    T: Send + 'static,
    W: Fn(Crew) -> F + Clone + Send + 'static,
    F: Future<Output = Result<T>>,
{
    let threads = plan.threads.clamp(1, plan.connections);
    let stop = Arc::new(AtomicBool::new(false));
    let _stop = StopOnDrop(stop.clone());
    let together = Arc::new(Together { connected: Barrier::new(threads), start: OnceLock::new() });
    let (results, mut collected) = mpsc::unbounded_channel();
    for thread in 0..threads {
        let connections = share(plan.connections, threads, thread);
        let (plan, stop, together) = (plan.clone(), stop.clone(), together.clone());
        let (results, work) = (results.clone(), work.clone());
        let run = move || {
            // Nobody listens any more if the phase was dropped.
            let _ = results.send(drive(&plan, connections, &together, &stop, &work));
        };
        std::thread::Builder::new().name("load".to_owned()).spawn(run).context("starting a load thread")?;
    }
    drop(results);
    let collect = async {
        let mut all = Vec::with_capacity(threads);
        while let Some(result) = collected.recv().await {
            all.push(result?);
        }
        Ok(all)
    };
    let limit = lasts + PHASE_GRACE;
    tokio::time::timeout(limit, collect).await.with_context(|| format!("not every answer came within {limit:?}"))?
}

/// Where the threads of a phase meet.
struct Together {
    connected: Barrier,
    start: OnceLock<Instant>,
}

/// One thread of a phase: connects its share, meets the others, works.
fn drive<T, W, F>(plan: &Plan, connections: usize, together: &Together, stop: &Arc<AtomicBool>, work: &W) -> Result<T>
where
    W: Fn(Crew) -> F,
    F: Future<Output = Result<T>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    LocalSet::new().block_on(&runtime, async {
        let connected = connect(plan, connections, stop).await;
        // Met even after a failure: the other threads must not wait for this one.
        together.connected.wait().await;
        let start = *together.start.get_or_init(Instant::now);
        work(Crew { workers: connected?, start }).await
    })
}

async fn connect(plan: &Plan, connections: usize, stop: &Arc<AtomicBool>) -> Result<Vec<Worker>> {
    let mut workers = Vec::with_capacity(connections);
    for _ in 0..connections {
        let connection = Connection::open(plan.address, plan.judging.response()).await?;
        workers.push(Worker {
            connection,
            requests: plan.requests.clone(),
            stop: stop.clone(),
            address: plan.address,
            judging: plan.judging,
            asked: 0,
        });
    }
    Ok(workers)
}

/// How many of `total` connections the thread `index` of `threads` has.
fn share(total: usize, threads: usize, index: usize) -> usize {
    total / threads + usize::from(index < total % threads)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::request::Request;

    /// A server that has an answer to every second request of a connection, and gives the others this one.
    async fn answers_every_second(other: &'static str) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 1_024];
                    for answer in [other, "200 OK"].into_iter().cycle() {
                        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nok");
                        let read = stream.read(&mut request).await;
                        if read.is_err() || read.is_ok_and(|bytes| bytes == 0) {
                            return;
                        }
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Ok(address)
    }

    async fn plan(other: &'static str, judging: Judging) -> Result<Plan> {
        let requests = Arc::new(Requests::new(vec![Request::get("a.test", "/", &[])])?);
        Ok(Plan { address: answers_every_second(other).await?, requests, connections: 1, threads: 1, judging })
    }

    #[tokio::test]
    async fn who_is_refused_for_now_is_counted_and_comes_again_when_told_to() {
        let lasts = Duration::from_millis(300);
        let at_once = plan("503 Busy\r\nRetry-After: 0", Judging::Refusable).await.unwrap();
        let asked = closed(&at_once, lasts).await.unwrap();
        assert!(asked.requests > 0 && asked.refused.abs_diff(asked.requests) <= 1, "{asked:?}");
        let asked = open(&at_once, 100.0, lasts).await.unwrap();
        assert_eq!((asked.requests, asked.refused, asked.failed), (15, 15, 0));

        let later = plan("503 Busy\r\nRetry-After: 9", Judging::Refusable).await.unwrap();
        let asked = closed(&later, lasts).await.unwrap();
        assert_eq!((asked.requests, asked.refused), (0, 1));
    }

    #[tokio::test]
    async fn any_other_failure_ends_a_phase() {
        let lasts = Duration::from_millis(300);
        for (other, judging) in [
            ("503 Busy", Judging::Refusable),
            ("500 Oh", Judging::Refusable),
            ("503 Busy\r\nRetry-After: 0", Judging::Strict),
        ] {
            let plan = plan(other, judging).await.unwrap();
            let said = closed(&plan, lasts).await.unwrap_err().to_string();
            assert!(said.contains(&other[..3]), "{other}: {said}");
            assert!(open(&plan, 100.0, lasts).await.is_err(), "{other}");
        }
    }

    #[test]
    fn a_pair_is_two_equal_numbers() {
        assert!(is_pair(b"12 12\n"));
        for mixed in [&b"12 13\n"[..], b"12", b"", b"x x", b"1 1 1"] {
            assert!(!is_pair(mixed), "{}", String::from_utf8_lossy(mixed));
        }
    }

    #[test]
    fn a_page_has_its_end_and_the_words() {
        let page = b"<html>some words</html>\n";
        assert!(is_whole(page) && !is_whole(&page[..10]) && !is_whole(b""));
        assert!(contains(page, b"some words") && !contains(page, b"others") && !contains(b"", b"others"));
    }

    #[test]
    fn connections_are_spread_evenly_and_all_of_them() {
        assert_eq!((0..3).map(|index| share(8, 3, index)).collect::<Vec<_>>(), [3, 3, 2]);
        assert_eq!((0..2).map(|index| share(32, 2, index)).sum::<usize>(), 32);
    }
}

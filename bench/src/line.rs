//! A line of some length to a server, over loopback: every byte arrives so much later, either way, and the line can be cut. What
//! goes over it is counted by what was asked for.
//!
//! A new connection takes one round trip more before its first byte arrives, as the handshake would. A line that is cut is
//! silent: nothing is refused, and what was under way arrives once it is mended, as TCP would have it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::limits::{LINE_CHUNK_BYTES, LINE_CHUNKS};

/// Lines have a thread of their own, so that they are no later than they should be when the harness works.
pub struct Lines(Option<Runtime>);

impl Lines {
    pub fn start() -> Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("lines").enable_all().build();
        Ok(Self(Some(runtime.context("starting the lines' thread")?)))
    }

    /// A line on which a byte and its answer take `round_trip` together.
    pub fn to(&self, server: SocketAddr, round_trip: Duration) -> Result<Line> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a line")?;
        listener.set_nonblocking(true).context("binding a line")?;
        let address = listener.local_addr().context("binding a line")?;
        let shared = Arc::new(Shared {
            server,
            one_way: round_trip / 2,
            is_cut: watch::channel(false).0,
            objects: Mutex::default(),
            other_bytes: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        let runtime = self.0.as_ref().context("BUG: lines are there until they are dropped")?;
        runtime.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(accepting.clone(), stream));
            }
        });
        Ok(Line { address, shared })
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub struct Line {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    one_way: Duration,
    is_cut: watch::Sender<bool>,
    objects: Mutex<BTreeMap<String, u64>>,
    other_bytes: AtomicU64,
}

impl Line {
    pub fn cut(&self) {
        self.shared.is_cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.shared.is_cut.send_replace(false);
    }

    /// Bytes that came over it since this was last asked: of each object of a release, by its path, heads of answers included;
    /// and of everything else.
    pub fn take_counts(&self) -> (BTreeMap<String, u64>, u64) {
        let objects = std::mem::take(&mut *self.shared.objects());
        (objects, self.shared.other_bytes.swap(0, Ordering::Relaxed))
    }
}

impl Shared {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.objects.lock().expect("BUG: nothing panics while counting")
    }

    fn came(&self, asked: Option<&str>, bytes: usize) {
        match asked {
            Some(path) => *self.objects().entry(path.to_owned()).or_default() += bytes as u64,
            None => drop(self.other_bytes.fetch_add(bytes as u64, Ordering::Relaxed)),
        }
    }
}

/// One connection, until either end has nothing more to say.
async fn carry(shared: Arc<Shared>, near: TcpStream) {
    let Ok(far) = TcpStream::connect(shared.server).await else { return };
    if near.set_nodelay(true).is_err() || far.set_nodelay(true).is_err() {
        return;
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    // Requests follow one another on it, so an answer is to the last one that went out.
    let asked: Mutex<Option<String>> = Mutex::default();
    let hears = |piece: &[u8]| {
        if let Some(path) = request_path(piece) {
            let object = is_of_a_release(&path).then_some(path);
            *asked.lock().expect("BUG: nothing panics while noting what is asked") = object;
        }
    };
    let counts = |piece: &[u8]| {
        let asked = asked.lock().expect("BUG: nothing panics while noting what is asked");
        shared.came(asked.as_deref(), piece.len());
    };
    let handshake = Instant::now() + 2 * shared.one_way;
    tokio::join!(
        one_way(&shared, near_in, far_out, handshake, hears),
        one_way(&shared, far_in, near_out, handshake, counts)
    );
}

async fn one_way(
    shared: &Shared,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    not_before: Instant,
    notes: impl Fn(&[u8]),
) {
    let (put, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(LINE_CHUNKS);
    let reads = async {
        let mut buffer = vec![0; LINE_CHUNK_BYTES];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let at = Instant::now().max(not_before) + shared.one_way;
            if put.send((at, buffer[..read].to_vec())).await.is_err() {
                break;
            }
        }
        drop(put);
    };
    let writes = async {
        let mut is_cut = shared.is_cut.subscribe();
        while let Some((at, piece)) = under_way.recv().await {
            sleep_until(at.into()).await;
            let whole = is_cut.wait_for(|is_cut| !is_cut).await.is_ok();
            notes(&piece);
            if !whole || to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reads, writes);
}

/// The path of a request that begins with this piece, if one does.
fn request_path(piece: &[u8]) -> Option<String> {
    let line = piece.split(|byte| *byte == b'\r').next()?;
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path) = (words.next()?, words.next()?);
    let is_method = matches!(method, b"GET" | b"POST" | b"PUT");
    is_method.then(|| String::from_utf8(path.to_vec()).ok()).flatten()
}

fn is_of_a_release(path: &str) -> bool {
    let kind = path.strip_prefix("/v1/apps/").and_then(|rest| rest.split('/').nth(1));
    matches!(kind, Some("deltas" | "bases" | "archives" | "releases" | "secrets" | "pages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_their_first_line() {
        assert_eq!(request_path(b"GET /v1/apps/a/deltas/x.y HTTP/1.1\r\n\r\n").unwrap(), "/v1/apps/a/deltas/x.y");
        assert_eq!(request_path(b"{\"nonce\": 1}"), None);
        assert!(is_of_a_release("/v1/apps/a/deltas/x.y") && is_of_a_release("/v1/apps/a/releases/1.2"));
        assert!(!is_of_a_release("/v1/heads") && !is_of_a_release("/v1/apps/a/commands/c"));
    }

    /// A server that sends back what it is sent.
    fn echo() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    #[test]
    fn a_byte_takes_its_time_and_waits_where_the_line_is_cut() {
        use std::io::{Read, Write};

        const ROUND_TRIP: Duration = Duration::from_millis(40);
        let lines = Lines::start().unwrap();
        let line = lines.to(echo(), ROUND_TRIP).unwrap();
        let mut stream = std::net::TcpStream::connect(line.address).unwrap();
        let mut exchange = |text: &[u8]| {
            let sent = Instant::now();
            stream.write_all(text).unwrap();
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, text);
            sent.elapsed()
        };
        let (first, second) =
            (exchange(b"GET /v1/apps/a/bases/x HTTP/1.1\r\n\r\n"), exchange(b"POST /v1/heads HTTP/1.1\r\n\r\n"));
        assert!(first >= 2 * ROUND_TRIP, "{first:?}: the handshake counts");
        assert!(second >= ROUND_TRIP && second < first, "{second:?}");
        let (objects, other) = line.take_counts();
        assert_eq!((objects["/v1/apps/a/bases/x"], other), (35, 27));

        const CUT: Duration = Duration::from_millis(300);
        line.cut();
        let mending = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(CUT);
                line.mend();
            });
            exchange(b"x")
        });
        assert!(mending >= CUT, "{mending:?}");
    }
}

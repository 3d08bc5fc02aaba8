//! Where the webhook arrives: a server that believes what is signed, deals with each message once, and prints it.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use crate::signature::{Key, Signed};

/// More than any announcement has.
const BODY_BYTES: usize = 64 << 10;

pub struct Sink {
    pub address: SocketAddr,
    /// For the sender's configuration.
    pub secret: String,
    arrived: Receiver<String>,
}

impl Sink {
    pub fn start() -> anyhow::Result<Sink> {
        let key = Key::made()?;
        let secret = key.secret();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (tell, arrived) = channel();
        let desk = Arc::new(Desk { key, known: Mutex::default() });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, desk) = (tell.clone(), desk.clone());
                std::thread::spawn(move || {
                    let _ = receive(stream, &desk, &tell);
                });
            }
        });
        Ok(Sink { address, secret, arrived })
    }

    /// The next webhook that contains `text`.
    pub fn wait_for(&self, text: &str, patience: Duration) -> Option<String> {
        let started = std::time::Instant::now();
        loop {
            let left = patience.checked_sub(started.elapsed())?;
            let body = self.arrived.recv_timeout(left).ok()?;
            if body.contains(text) {
                return Some(body);
            }
        }
    }
}

/// What a receiver needs to know.
struct Desk {
    key: Key,
    /// Ids of what has been dealt with: a message may come again.
    known: Mutex<HashSet<String>>,
}

fn receive(stream: TcpStream, desk: &Desk, tell: &Sender<String>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(&stream);
    loop {
        let mut length = 0;
        let mut signed = Signed::default();
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            let Some((name, value)) = line.trim().split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "webhook-id" => signed.id = value.to_owned(),
                "webhook-timestamp" => signed.timestamp = value.to_owned(),
                "webhook-signature" => signed.signature = value.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length.min(BODY_BYTES)];
        reader.read_exact(&mut body)?;
        let answer = match desk.key.verify(&signed, &body) {
            Err(why) => {
                println!("  webhook    refused: {why}");
                "401 Unauthorized\r\nContent-Length: 0"
            }
            Ok(()) if desk.is_new(&signed.id) => {
                let body = String::from_utf8_lossy(&body).into_owned();
                println!("  webhook    {}: {body}", signed.id);
                let _ = tell.send(body);
                "204 No Content"
            }
            Ok(()) => "204 No Content",
        };
        (&stream).write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())?;
    }
}

impl Desk {
    fn is_new(&self, id: &str) -> bool {
        self.known.lock().expect("BUG: nothing panics while holding the ids").insert(id.to_owned())
    }
}

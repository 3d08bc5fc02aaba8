//! Where the webhook arrives: a server that keeps what it is sent and prints it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

/// More than any announcement has.
const BODY_BYTES: usize = 64 << 10;

pub struct Sink {
    pub address: SocketAddr,
    arrived: Receiver<String>,
}

impl Sink {
    pub fn start() -> std::io::Result<Sink> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (tell, arrived) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    let _ = receive(stream, &tell);
                });
            }
        });
        Ok(Sink { address, arrived })
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

fn receive(stream: TcpStream, tell: &Sender<String>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(&stream);
    loop {
        let mut length = 0;
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
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length.min(BODY_BYTES)];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        println!("  webhook    {body}");
        let _ = tell.send(body);
        (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

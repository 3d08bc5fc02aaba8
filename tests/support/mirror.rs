//! Somebody between a node and its origin: passes everything on, until it is told to lie.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::http::{self, Answer};

/// What becomes of an answer to a request for this path; none leaves it as it is.
pub type Lie = Box<dyn FnMut(&str, &Answer) -> Option<Vec<u8>> + Send>;

pub struct Mirror {
    pub address: SocketAddr,
    lie: Arc<Mutex<Option<Lie>>>,
}

impl Mirror {
    /// Listens until the process ends.
    pub fn of(origin: SocketAddr) -> Mirror {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lie: Arc<Mutex<Option<Lie>>> = Arc::default();
        let told = lie.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = told.clone();
                thread::spawn(move || pass(stream, origin, &told));
            }
        });
        Mirror { address, lie }
    }

    pub fn lies(&self, lie: impl FnMut(&str, &Answer) -> Option<Vec<u8>> + Send + 'static) {
        *self.lie.lock().unwrap() = Some(Box::new(lie));
    }

    pub fn tells_the_truth(&self) {
        *self.lie.lock().unwrap() = None;
    }
}

/// One request: its body must have a length, as a node's do.
fn pass(stream: TcpStream, origin: SocketAddr, lie: &Mutex<Option<Lie>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if !lower.starts_with("connection:") {
            head += &line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let request = [format!("{head}Connection: close\r\n\r\n").as_bytes(), &body].concat();
    let answer = http::raw(origin, &request).ok()?;
    let told = lie.lock().unwrap().as_mut().and_then(|lie| lie(&path, &answer));
    let body = told.as_deref().unwrap_or(&answer.body);
    let mut said = format!("HTTP/1.1 {} It\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status, body.len());
    for name in ["content-type", "etag", "content-range"] {
        if !answer.header(name).is_empty() {
            said += &format!("{name}: {}\r\n", answer.header(name));
        }
    }
    let mut stream = reader.into_inner();
    stream.write_all(format!("{said}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()
}

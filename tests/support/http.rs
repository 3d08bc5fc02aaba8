//! An HTTP/1.1 client that can say wrong things: it sends the bytes it is given and reads until the server closes.

#![allow(dead_code, unreachable_pub)]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// One request on a connection of its own.
pub fn request(
    server: SocketAddr,
    site: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text += &format!("Host: {site}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    raw(server, format!("{text}\r\n{body}").as_bytes())
}

/// Sends these bytes and reads until the server closes.
pub fn raw(server: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A server may answer and close before it has read all there is; what it said counts.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    Ok(Answer::parse(&answer, ended.is_err()))
}

/// A connection on which requests follow one another.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(server: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    pub fn get(&mut self, site: &str, path: &str) -> io::Result<Answer> {
        self.0.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nHost: {site}\r\n\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut bytes)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = Answer::parse(&bytes, false);
        if head.header("transfer-encoding") == "chunked" {
            while !bytes.ends_with(b"\r\n0\r\n\r\n") {
                if self.0.read_until(b'\n', &mut bytes)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        } else {
            let start = bytes.len();
            bytes.resize(start + head.header("content-length").parse().unwrap_or(0), 0);
            self.0.read_exact(&mut bytes[start..])?;
        }
        Ok(Answer::parse(&bytes, false))
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection broke before the body was whole.
    pub broken: bool,
}

impl Answer {
    fn parse(bytes: &[u8], reset: bool) -> Answer {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Answer { status: 0, headers: Vec::new(), body: Vec::new(), broken: true };
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: bytes[end + 4..].to_vec(), broken: reset };
        if answer.header("transfer-encoding") == "chunked" {
            answer.unchunk();
        }
        answer
    }

    fn unchunk(&mut self) {
        let mut rest = &self.body[..];
        let mut body = Vec::new();
        loop {
            let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { break self.broken = true };
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            if length == 0 {
                break;
            }
            let Some(piece) = rest.get(end + 2..end + 2 + length) else { break self.broken = true };
            body.extend_from_slice(piece);
            rest = &rest[end + 4 + length..];
        }
        self.body = body;
    }

    /// The header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }

    /// All of them, names in small letters, in the order in which they came.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn cache(&self) -> &str {
        self.header("cache-status")
    }
}

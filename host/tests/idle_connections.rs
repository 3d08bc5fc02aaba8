//! Connections over which nothing goes on are not kept for ever.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use nearside_protocol::limits;
use support::{Node, probe};

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field that is not in HPACK's table, spelt out (RFC 7541, section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0, name.len() as u8];
    field.extend(name.as_bytes());
    field.push(value.len() as u8);
    field.extend(value.as_bytes());
    field
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// Asks for a page, and takes so many bytes of it at once.
fn ask(node: &Node, window: u32) -> TcpStream {
    let mut stream = TcpStream::connect(node.address).unwrap();
    let mut says = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    says.extend(frame(SETTINGS, 0, 0, &[&INITIAL_WINDOW_SIZE[..], &window.to_be_bytes()].concat()));
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "probe.localhost")];
    let fields: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    says.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 1, &fields));
    stream.write_all(&says).unwrap();
    stream
}

/// What is said until the node ends the connection, or for so long.
fn heard(stream: &mut TcpStream, wait: Duration) -> (String, bool) {
    stream.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    let (began, mut said, mut piece) = (Instant::now(), Vec::new(), [0; 4_096]);
    while began.elapsed() < wait {
        match stream.read(&mut piece) {
            Ok(0) => return (String::from_utf8_lossy(&said).into_owned(), true),
            Ok(length) => said.extend(&piece[..length]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return (String::from_utf8_lossy(&said).into_owned(), true),
        }
    }
    (String::from_utf8_lossy(&said).into_owned(), false)
}

#[test]
fn a_connection_whose_answers_are_not_taken_ends_and_one_that_takes_them_does_not() {
    let (node, _folder) = probe();
    let wait = limits::STREAM_IDLE + limits::CONNECTION_LOOK + Duration::from_secs(5);
    let (takes, shut) = std::thread::scope(|scope| {
        let takes = scope.spawn(|| heard(&mut ask(&node, 65_535), wait));
        let shut = scope.spawn(|| heard(&mut ask(&node, 0), wait));
        (takes.join().unwrap(), shut.join().unwrap())
    });
    assert!(takes.0.contains("hello\n") && !takes.1, "{takes:?}");
    assert!(!shut.0.contains("hello\n") && shut.1, "{shut:?}");
}

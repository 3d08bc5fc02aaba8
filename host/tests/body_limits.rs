//! How much a request may bring: each route's own bound, told before the body is sent where the client asks.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use nearside_protocol::limits;
use support::{Changed, probe};

const MIB: usize = 1 << 20;

#[test]
fn a_route_has_its_own_bound_and_names_it() {
    let (node, _folder) = Changed::probe().with_route("/echo", "body_kib = 3_072").start();
    let post = |path: &str, bytes: usize| node.request("POST", path, &[], &"x".repeat(bytes));
    assert_eq!(post("/echo", 3 * MIB).text().trim(), (3 * MIB).to_string());
    let over = post("/echo", 3 * MIB + 1);
    assert_eq!(over.status, 413);
    assert!(over.text().contains("3145728 bytes"), "{}", over.text());
    let elsewhere = post("/command?name=bump", MIB + 1);
    assert_eq!(elsewhere.status, 413);
    assert!(elsewhere.text().contains("1048576 bytes"), "{}", elsewhere.text());

    let chunk = format!("{:x}\r\n{}\r\n", MIB, "x".repeat(MIB));
    let chunked = |count: usize| {
        let head =
            "POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
        node.raw(format!("{head}\r\n{}0\r\n\r\n", chunk.repeat(count)).as_bytes()).status
    };
    assert_eq!((chunked(3), chunked(4)), (200, 413));
}

#[test]
fn a_client_that_asks_first_is_told_before_it_sends() {
    let (node, _folder) = probe();
    let ask = |bytes: usize| {
        let mut stream = TcpStream::connect(node.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = "POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nExpect: 100-continue\r\nConnection: close\r\n";
        stream.write_all(format!("{head}Content-Length: {bytes}\r\n\r\n").as_bytes()).unwrap();
        let mut told = [0; 64];
        let length = stream.read(&mut told).unwrap();
        (String::from_utf8_lossy(&told[..length]).into_owned(), stream)
    };
    let (refused, _stream) = ask(2 * MIB);
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    let (goes_on, mut stream) = ask(5);
    assert!(goes_on.starts_with("HTTP/1.1 100"), "{goes_on}");
    stream.write_all(b"12345").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200") && answer.ends_with("5\n"), "{answer}");
}

#[test]
fn a_large_body_takes_the_room_of_many_small_ones() {
    let (node, _folder) = probe();
    let left = 4;
    let taken = node.host.body_places((limits::REQUEST_BODIES_AT_ONCE - left) as u32).unwrap();
    let post = |bytes: usize| node.request("POST", "/blob", &[], &"x".repeat(bytes));
    assert_eq!(post(left * MIB).status, 200);
    let busy = post(left * MIB + 1);
    assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
    drop(taken);
    assert_eq!(post(left * MIB + 1).status, 200);
}

//! What is sent.

use super::chance::Chance;

/// What an answer holds only if the node took a part of a body for a request.
pub const MARK: &[u8] = b"smuggled-in";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A body with a request inside, behind headers that programs read differently.
    Framing,
    /// A request with some bytes changed.
    Changed,
    /// Anything.
    Noise,
    /// Frames of HTTP/2, in an order and of a size that nobody agreed to.
    Frames,
    /// More than a head may have.
    Large,
    /// Many requests at once, whose answers nobody reads.
    Pipeline,
    /// A beginning, and then nothing.
    Silence,
}

impl Kind {
    pub const ALL: [Kind; 7] =
        [Kind::Framing, Kind::Changed, Kind::Noise, Kind::Frames, Kind::Large, Kind::Pipeline, Kind::Silence];
}

pub struct Attack {
    pub kind: Kind,
    /// With a moment between.
    pub pieces: Vec<Vec<u8>>,
    pub reads_nothing: bool,
}

const PATHS: [&str; 9] = [
    "/hello",
    "/pair",
    "/echo-inputs?a=1",
    "/nothing",
    "/static/app.css",
    "/%2e%2e/%00",
    "//hello",
    "/.nearside/written/x",
    "*",
];
const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "BREW"];

impl Attack {
    pub fn by(chance: &mut Chance) -> Attack {
        let kind = chance.of_these(&Kind::ALL);
        let bytes = match kind {
            Kind::Framing => framing(chance),
            Kind::Changed => changed(chance),
            Kind::Noise => {
                let count = chance.below(4_096);
                chance.bytes(count)
            }
            Kind::Frames => frames(chance),
            Kind::Large => large(chance),
            Kind::Pipeline => request(chance).repeat(1 + chance.below(300)),
            Kind::Silence => {
                let whole = request(chance);
                whole[..chance.below(whole.len())].to_vec()
            }
        };
        let pieces = match chance.below(4) {
            0 if bytes.len() > 1 => {
                let at = 1 + chance.below(bytes.len() - 1);
                vec![bytes[..at].to_vec(), bytes[at..].to_vec()]
            }
            _ => vec![bytes],
        };
        Attack { kind, pieces, reads_nothing: kind == Kind::Pipeline && chance.one_in(2) }
    }
}

fn request(chance: &mut Chance) -> Vec<u8> {
    let (method, path) = (chance.of_these(&METHODS), chance.of_these(&PATHS));
    let body = if chance.one_in(3) { "left=1&right=2" } else { "" };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let more = chance.of_these(&[
        "",
        "Accept-Encoding: br;q=0.5, gzip\r\n",
        "Range: bytes=0-1,3-\r\n",
        "If-None-Match: \"x\", W/\"y\"\r\n",
        "Cookie: a=b; nearside-receipt=junk\r\n",
        "Idempotency-Key: \"k\"\r\nPrefer: respond-async\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "traceparent: 00-00000000000000000000000000000000-0000000000000000-ff\r\n",
    ]);
    format!("{method} {path} HTTP/1.1\r\nHost: probe.localhost\r\n{length}{more}\r\n{body}").into_bytes()
}

/// Whichever way it is read by the rules, the second request is a part of the first one's body, or the first is refused.
fn framing(chance: &mut Chance) -> Vec<u8> {
    let mark = std::str::from_utf8(MARK).unwrap();
    let inside = format!("GET /echo-inputs?a={mark} HTTP/1.1\r\nHost: probe.localhost\r\n\r\n");
    let ends_chunks = format!("0\r\n\r\n{inside}");
    let method = chance.of_these(&["POST", "GET", "PUT", "DELETE"]);
    let length = format!("Content-Length: {}", ends_chunks.len());
    let chunked = chance.of_these(&[
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: CHUNKED",
        "transfer-encoding:chunked",
        "Transfer-Encoding: chunked, chunked",
    ]);
    let strange = chance.of_these(&[
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\u{b}",
        "Transfer-Encoding: gzip, chunked;q=1",
        "Content-Length: 0",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: -1",
        "Content-Length: 18446744073709551616",
        "Content-Length : 5",
    ]);
    let mut lines = match chance.below(3) {
        // Both: the last of its connection, if it is taken at all.
        0 => vec![length, chunked.to_owned()],
        // One that counts all of it, and one that is none.
        1 => vec![length, strange.to_owned()],
        // Chunks, of which the first is broken and would end them too early.
        _ => {
            let broken = chance.of_these(&[
                "0x0\r\n\r\n",
                "-0\r\n\r\n",
                "fffffffffffffffff0\r\n\r\n",
                "1\r\nab\r\n0\r\n\r\n",
                " 0 \r;\r\n\r\n",
                "0;a\rb\r\n\r\n",
            ]);
            let head = format!("{method} /echo HTTP/1.1\r\nHost: probe.localhost\r\n{chunked}\r\n\r\n");
            return format!("{head}{broken}{inside}").into_bytes();
        }
    };
    if chance.one_in(2) {
        lines.reverse();
    }
    if chance.one_in(3) {
        lines.insert(chance.below(lines.len()), "X-Between: 1".to_owned());
    }
    let head = lines.join("\r\n");
    format!("{method} /echo HTTP/1.1\r\nHost: probe.localhost\r\n{head}\r\n\r\n{ends_chunks}").into_bytes()
}

fn changed(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = request(chance);
    for _ in 0..1 + chance.below(12) {
        let at = chance.below(bytes.len());
        let byte = if chance.one_in(2) { chance.of_these(b"\0\r\n\t :;,/%?#\x7f\xff") } else { chance.bits() as u8 };
        match chance.below(3) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

fn large(chance: &mut Chance) -> Vec<u8> {
    let head = "GET /hello HTTP/1.1\r\nHost: probe.localhost\r\n";
    match chance.below(5) {
        0 => format!("GET /{} HTTP/1.1\r\nHost: probe.localhost\r\n\r\n", "a".repeat(200_000)),
        1 => format!("{head}X-Large: {}\r\n\r\n", "a".repeat(500_000)),
        2 => format!("{head}{}\r\n", "X-Many: 1\r\n".repeat(20_000)),
        3 => format!("{head}Cookie: {}\r\n\r\n", "a=b; ".repeat(4_000)),
        _ => format!(
            "POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            "1\r\na\r\n".repeat(50_000)
        ),
    }
    .into_bytes()
}

// --- HTTP/2 ---------------------------------------------------------------------------------------------------------

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /hello` of the app, as HPACK's static table has it and with the name of the site as it is.
fn hello() -> Vec<u8> {
    let literal = |index: u8, value: &str| [&[index, value.len() as u8], value.as_bytes()].concat();
    [vec![0x82, 0x86], literal(0x04, "/hello"), literal(0x01, "probe.localhost")].concat()
}

fn frames(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    match chance.below(6) {
        // Begun and taken back, again and again.
        0 => {
            for stream in 0..500u32 {
                bytes.extend(frame(HEADERS, 5, stream * 2 + 1, &hello()));
                bytes.extend(frame(RESET, 0, stream * 2 + 1, &8u32.to_be_bytes()));
            }
        }
        // A head that never ends.
        1 => {
            bytes.extend(frame(HEADERS, 1, 1, &hello()));
            (0..2_000).for_each(|_| bytes.extend(frame(CONTINUATION, 0, 1, &[0x00, 1, b'a', 1, b'b'])));
        }
        2 => (0..5_000).for_each(|_| bytes.extend(frame(PING, 0, 0, &[0; 8]))),
        3 => (0..3_000).for_each(|_| bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]))),
        // More room than there can be.
        4 => {
            bytes.extend(frame(HEADERS, 5, 1, &hello()));
            (0..4).for_each(|_| bytes.extend(frame(WINDOW, 0, 1, &0x7fff_ffffu32.to_be_bytes())));
        }
        _ => {
            for _ in 0..1 + chance.below(60) {
                let (kind, flags, stream) = (chance.below(12) as u8, chance.bits() as u8, chance.below(9) as u32);
                let payload = match chance.below(3) {
                    0 => hello(),
                    _ => {
                        let count = chance.below(64);
                        chance.bytes(count)
                    }
                };
                bytes.extend(frame(kind, flags, stream, &payload));
            }
        }
    }
    bytes
}

//! Attempts to change what the next visitor gets: through inputs no key holds, through addresses two programs may read
//! differently, through framing, through errors that are kept, and through pages that are somebody's own.
//!
//! Each line is one attempt. Its request goes first to a node that has nothing at that address; then a visitor asks the
//! same node and one that was never attacked, twice each, and both must answer with the same status, headers and bytes.
//! `{n}` is a number of the attempt's own, so that each begins with nothing kept.

mod support;

use support::{Changed, Node, http::Answer};

const EVIL: &str = "evil";

/// What the visitor asks for: path and headers.
#[derive(Clone, Copy)]
struct Visit(&'static str, &'static str);

/// Shows all that its handler sees.
const SHARED: Visit = Visit("/echo-inputs?a={n}", "");
const KEYED: Visit = Visit("/echo-inputs?a={n}", "X-Seen: v\r\nCookie: seen=1\r\n");
const ACCOUNT: Visit = Visit("/account/p{n}", "");
const FILE_LIKE: Visit = Visit("/account/p{n}.css", "");
const WHOLE_FILE: Visit = Visit("/static/app.css", "");

struct Attempt {
    name: &'static str,
    /// The bytes that are sent, all at once.
    sends: Vec<u8>,
    /// What it may be answered.
    answered: &'static [u16],
    visit: Visit,
}

fn attempt(name: &'static str, sends: impl Into<Vec<u8>>, answered: &'static [u16], visit: Visit) -> Attempt {
    Attempt { name, sends: sends.into(), answered, visit }
}

/// The visitor's own request with these headers more.
fn with(name: &'static str, headers: &str, answered: &'static [u16], visit: Visit) -> Attempt {
    let text = format!("GET {} HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n{headers}\r\n", visit.0);
    attempt(name, text, answered, visit)
}

/// Another target, as it stands in the request line.
fn target(name: &'static str, target: &str, answered: &'static [u16], visit: Visit) -> Attempt {
    let cookie = if visit.0.starts_with("/account") { "Cookie: seen=evil\r\n" } else { "" };
    let head = format!("GET {target} HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n{cookie}\r\n");
    attempt(name, head, answered, visit)
}

/// The visitor's target with another Host, or none.
fn host(name: &'static str, lines: &str, answered: &'static [u16]) -> Attempt {
    let head = format!("GET {} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n", SHARED.0);
    attempt(name, head, answered, SHARED)
}

const REFUSED: &[u16] = &[400];
const FINE: &[u16] = &[200];

fn unkeyed_headers() -> Vec<Attempt> {
    let long = "x".repeat(12 << 10);
    vec![
        with("X-Forwarded-Host", "X-Forwarded-Host: evil\r\n", FINE, SHARED),
        with("X-Forwarded-Scheme", "X-Forwarded-Scheme: evil\r\n", FINE, SHARED),
        with("X-Forwarded-Proto", "X-Forwarded-Proto: evil\r\n", FINE, SHARED),
        with("X-Forwarded-Prefix", "X-Forwarded-Prefix: /evil\r\n", FINE, SHARED),
        with("X-Forwarded-Port", "X-Forwarded-Port: 666\r\n", FINE, SHARED),
        with("X-Forwarded-For", "X-Forwarded-For: evil\r\n", FINE, SHARED),
        with("X-Forwarded-Server", "X-Forwarded-Server: evil\r\n", FINE, SHARED),
        with("X-Forwarded-SSL", "X-Forwarded-SSL: off\r\nFront-End-Https: evil\r\n", FINE, SHARED),
        with("Forwarded", "Forwarded: for=evil;host=evil;proto=evil\r\n", FINE, SHARED),
        with("X-Host", "X-Host: evil\r\nX-HTTP-Host-Override: evil\r\nX-Original-Host: evil\r\n", FINE, SHARED),
        with("X-Original-URL", "X-Original-URL: /account/evil\r\n", FINE, SHARED),
        with("X-Rewrite-URL", "X-Rewrite-URL: /account/evil\r\n", FINE, SHARED),
        with("X-HTTP-Method-Override", "X-HTTP-Method-Override: POST\r\n", FINE, SHARED),
        with("X-HTTP-Method", "X-HTTP-Method: DELETE\r\nX-Method-Override: HEAD\r\n", FINE, SHARED),
        with("undeclared cookie", "Cookie: session=evil\r\n", FINE, SHARED),
        with("cookie whose name ends in a declared one", "Cookie: unseen=evil; seen2=evil\r\n", FINE, SHARED),
        with("cookies without names", "Cookie: =evil; ; evil\r\n", FINE, SHARED),
        with("Authorization", "Authorization: Bearer evil\r\n", FINE, SHARED),
        with("Accept of a type there is not", "Accept: text/evil\r\n", FINE, SHARED),
        with("Accept of nothing", "Accept: */*;q=0\r\n", FINE, SHARED),
        with("Accept that is noise", "Accept: ,;q=,//;;q=9e999,\r\n", FINE, SHARED),
        with("Accept-Language", "Accept-Language: evil, *;q=0\r\n", FINE, SHARED),
        with("Accept-Encoding of nothing", "Accept-Encoding: identity;q=0, *;q=0\r\n", &[200, 406], SHARED),
        with("Accept-Encoding that is noise", "Accept-Encoding: evil, br;q=evil, ;;,\r\n", FINE, SHARED),
        with("Accept-Charset", "Accept-Charset: evil\r\n", FINE, SHARED),
        with("If-None-Match of anything", "If-None-Match: *\r\n", &[304], SHARED),
        with("If-Match of something else", "If-Match: \"evil\"\r\n", FINE, SHARED),
        with("If-Modified-Since in time to come", "If-Modified-Since: Fri, 31 Dec 2199 23:59:59 GMT\r\n", FINE, SHARED),
        with("Range of a page", "Range: bytes=0-0\r\n", &[200, 206], SHARED),
        with("Range past the end", "Range: bytes=99999-\r\n", &[200, 416], SHARED),
        with("Range of a page, if it is another", "Range: bytes=0-0\r\nIf-Range: \"evil\"\r\n", FINE, SHARED),
        with("Range of a file", "Range: bytes=0-0\r\n", &[206], WHOLE_FILE),
        with("Range of a file, past the end", "Range: bytes=99999-\r\n", &[416], WHOLE_FILE),
        with("Range of a file, in many parts", "Range: bytes=0-0,0-0,0-0,0-0\r\n", FINE, WHOLE_FILE),
        with("Cache-Control of a request", "Cache-Control: no-store, max-age=0\r\nPragma: no-cache\r\n", FINE, SHARED),
        with("only-if-cached", "Cache-Control: only-if-cached\r\n", FINE, SHARED),
        with("Origin", "Origin: https://evil\r\n", FINE, SHARED),
        with("Sec-Fetch-Site", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", FINE, SHARED),
        with("traceparent", "traceparent: evil\r\ntracestate: evil\r\n", FINE, SHARED),
        with("the host's own headers", "Nearside-Client-Ip: evil\r\nNearside-Release: 9.9\r\n", FINE, SHARED),
        with("a receipt nobody gave", "Nearside-Receipt: evil\r\nCookie: nearside-receipt=evil\r\n", FINE, SHARED),
        with(
            "headers of responses",
            "Cache-Status: evil; hit\r\nVary: evil\r\nSet-Cookie: seen=evil\r\n",
            FINE,
            SHARED,
        ),
        with("a declared header that Connection names", "Connection: X-Seen\r\nX-Seen: v\r\n", FINE, SHARED),
        with("Upgrade", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", FINE, SHARED),
        with("TE and Trailer", "TE: trailers\r\nTrailer: X-Seen\r\n", FINE, SHARED),
        with("Expect", "Expect: evil\r\n", FINE, SHARED),
        with("Max-Forwards", "Max-Forwards: 0\r\n", FINE, SHARED),
        with("a long header that nobody declared", &format!("X-Long: {long}\r\n"), FINE, SHARED),
        with("many cookies", &"Cookie: a=evil\r\n".repeat(60), FINE, SHARED),
    ]
}

/// Who declares an input is told it apart: the same header twice, a list, another spelling.
fn keyed_inputs() -> Vec<Attempt> {
    let long = "e".repeat(6 << 10);
    vec![
        with("a declared header", "X-Seen: evil\r\nCookie: seen=1\r\n", FINE, KEYED),
        with("a declared header twice", "X-Seen: v\r\nX-Seen: evil\r\nCookie: seen=1\r\n", FINE, KEYED),
        with("a declared header twice, ours last", "X-Seen: evil\r\nX-Seen: v\r\nCookie: seen=1\r\n", FINE, KEYED),
        with("a declared header as a list", "X-Seen: v, evil\r\nCookie: seen=1\r\n", FINE, KEYED),
        with("a declared header that is empty", "X-Seen:\r\nCookie: seen=1\r\n", FINE, KEYED),
        with("a declared header beyond ASCII", "X-Seen: v\u{e9}\r\nCookie: seen=1\r\n", FINE, KEYED),
        with("a declared header that is long", &format!("X-Seen: {long}\r\nCookie: seen=1\r\n"), FINE, KEYED),
        with("a header that continues the key", "X-Seen: v\tcookie: seen=1\r\n", FINE, KEYED),
        with("a declared cookie", "X-Seen: v\r\nCookie: seen=evil\r\n", FINE, KEYED),
        with("a declared cookie twice", "X-Seen: v\r\nCookie: seen=1; seen=evil\r\n", FINE, KEYED),
        with("a declared cookie in two headers", "X-Seen: v\r\nCookie: seen=1\r\nCookie: seen=evil\r\n", FINE, KEYED),
        with("a declared cookie in quotes", "X-Seen: v\r\nCookie: seen=\"1; seen=evil\"\r\n", FINE, KEYED),
        with("a declared cookie divided by a comma", "X-Seen: v\r\nCookie: seen=1, seen=evil\r\n", FINE, KEYED),
        with("a declared cookie in capitals", "X-Seen: v\r\nCookie: SEEN=evil; seen=1\r\n", FINE, KEYED),
    ]
}

fn targets() -> Vec<Attempt> {
    let long = format!("/echo-inputs?a={{n}}&b={}", "x".repeat(9_000));
    let long_key = format!("/echo-inputs?a={{n}}{}", "e".repeat(6_000));
    vec![
        target("a parameter nobody declared", "/echo-inputs?a={n}&utm=evil", FINE, SHARED),
        target("cloaked by a semicolon", "/echo-inputs?utm=x;a=evil&a={n}", FINE, SHARED),
        target("cloaked by a semicolon, after", "/echo-inputs?a={n};a=evil", FINE, SHARED),
        target("cloaked by &amp;", "/echo-inputs?a={n}&amp;a=evil", FINE, SHARED),
        target("twice, ours first", "/echo-inputs?a={n}&a=evil", FINE, SHARED),
        target("twice, ours last", "/echo-inputs?a=evil&a={n}", FINE, SHARED),
        target("an array", "/echo-inputs?a={n}&a[]=evil", FINE, SHARED),
        target("another case", "/echo-inputs?a={n}&A=evil", FINE, SHARED),
        target("an escaped name", "/echo-inputs?%61={n}&%62=evil", FINE, SHARED),
        target("an escaped ampersand", "/echo-inputs?a={n}%26a=evil", FINE, SHARED),
        target("an escaped equals sign", "/echo-inputs?a={n}%3Devil", FINE, SHARED),
        target("an escaped end of line", "/echo-inputs?a={n}%0d%0aX-Seen:%20evil", FINE, SHARED),
        target("an escaped zero", "/echo-inputs?a={n}%00evil", FINE, SHARED),
        target("bytes that are no text", "/echo-inputs?a={n}%ff%feevil", FINE, SHARED),
        target("an escape that is none", "/echo-inputs?a={n}%zzevil", FINE, SHARED),
        target("an escaped fragment", "/echo-inputs?a={n}%23evil", FINE, SHARED),
        target("an escaped question mark", "/echo-inputs%3Fa={n}", &[404], SHARED),
        target("a second question mark", "/echo-inputs?a={n}?a=evil", FINE, SHARED),
        target("a fragment", "/echo-inputs?a={n}#evil", FINE, SHARED),
        target("a long query", &long, &[414], SHARED),
        target("a long key", &long_key, FINE, SHARED),
        target("an encoded slash", "/account%2Fp{n}", &[400], ACCOUNT),
        target("an encoded slash and dots", "/account/p{n}%2f..%2f..%2fhello", &[400], ACCOUNT),
        target("an encoded backslash", "/account/p{n}%5c..%5cx.css", &[400], ACCOUNT),
        target("a backslash", "/account\\p{n}", &[400], ACCOUNT),
        target("an encoded path in the path, twice", "/account/p{n}%252e%252e", FINE, ACCOUNT),
        target("an encoded letter", "/%61ccount/p{n}", FINE, ACCOUNT),
        target("dots below files", "/static/../account/p{n}", &[400], ACCOUNT),
        target("encoded dots below files", "/static/%2e%2e/account/p{n}", &[400], ACCOUNT),
        target("encoded slash below files", "/static/..%2faccount/p{n}", &[400], ACCOUNT),
        target("a semicolon and dots", "/x/..;/account/p{n}", &[404], ACCOUNT),
        target("a dot", "/account/./p{n}", &[400], ACCOUNT),
        target("two slashes in front", "//account/p{n}", &[404], ACCOUNT),
        target("two slashes between", "/account//p{n}", &[404], ACCOUNT),
        target("a slash behind", "/account/p{n}/", &[404], ACCOUNT),
        target("a file name behind", "/account/p{n}/x.css", &[404], ACCOUNT),
        target("a suffix", "/account/p{n};x.css", FINE, ACCOUNT),
        target("an encoded suffix", "/account/p{n}%3bx.css", FINE, ACCOUNT),
        target("an end of line in front of a suffix", "/account/p{n}%0a.css", &[400], ACCOUNT),
        target("a zero in front of a suffix", "/account/p{n}%00.css", &[400], ACCOUNT),
        target("a file name in the query", "/account/p{n}?x.css", FINE, ACCOUNT),
        target("a file name in the fragment", "/account/p{n}#x.css", FINE, ACCOUNT),
        target("somebody's own page that looks like a file", "/account/p{n}.css", FINE, FILE_LIKE),
        target("an absolute target of this site", "http://probe.localhost/echo-inputs?a={n}", FINE, SHARED),
        target(
            "an absolute target with a name in front",
            "http://evil@probe.localhost/echo-inputs?a={n}",
            &[404],
            SHARED,
        ),
        target("an absolute target of another site", "http://evil/echo-inputs?a={n}", &[404], SHARED),
        target(
            "an absolute target of another scheme",
            "ftp://probe.localhost/echo-inputs?a={n}",
            &[200, 400, 404],
            SHARED,
        ),
        target("an absolute target without a path", "http://probe.localhost?a={n}", &[404], SHARED),
        target("an asterisk", "*", &[400], SHARED),
        target("no slash", "echo-inputs?a={n}", &[400], SHARED),
    ]
}

fn hosts() -> Vec<Attempt> {
    let absolute = "GET http://probe.localhost/echo-inputs?a={n} HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n";
    vec![
        host("a port", "Host: probe.localhost:666\r\n", FINE),
        host("a port that is none", "Host: probe.localhost:evil\r\n", &[404]),
        host("capitals", "Host: PROBE.LOCALHOST\r\n", FINE),
        host("a name in front", "Host: evil@probe.localhost\r\n", &[404]),
        host("a dot behind", "Host: probe.localhost.\r\n", &[404]),
        host("a path behind", "Host: probe.localhost/evil\r\n", &[404]),
        host("a query behind", "Host: probe.localhost?evil\r\n", &[404]),
        host("a list", "Host: probe.localhost, evil\r\n", &[404]),
        host("a space and more", "Host: probe.localhost evil\r\n", &[404]),
        host("a tab in front", "Host:\tprobe.localhost\r\n", FINE),
        host("twice the same", "Host: probe.localhost\r\nHost: probe.localhost\r\n", &[404]),
        host("none", "", &[404]),
        attempt("an absolute target beats the header", absolute, FINE, SHARED),
    ]
}

/// Methods, bodies and errors of which one might be kept for whoever comes next.
fn errors_and_methods() -> Vec<Attempt> {
    let request = |method: &str, headers: &str, body: &str| {
        let line = format!("{method} /echo-inputs?a={{n}} HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n");
        format!("{line}{headers}\r\n{body}")
    };
    let huge = format!("X-Huge: {}\r\n", "x".repeat(100 << 10));
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n";
    vec![
        attempt("a GET with a body", request("GET", form, "a=evil"), FINE, SHARED),
        attempt(
            "a GET with chunks",
            request("GET", "Transfer-Encoding: chunked\r\n", "6\r\na=evil\r\n0\r\n\r\n"),
            FINE,
            SHARED,
        ),
        attempt("HEAD first", request("HEAD", "", ""), FINE, SHARED),
        attempt("HEAD with a body", request("HEAD", form, "a=evil"), FINE, SHARED),
        attempt("POST where there is only GET", request("POST", form, "a=evil"), &[405], SHARED),
        attempt("PURGE", request("PURGE", "", ""), &[405], SHARED),
        attempt("TRACE", request("TRACE", "X-Seen: evil\r\n", ""), &[405], SHARED),
        attempt("CONNECT", request("CONNECT", "", ""), &[405], SHARED),
        attempt("OPTIONS", request("OPTIONS", "", ""), &[204], SHARED),
        attempt("a method in small letters", request("get", "", ""), &[405], SHARED),
        attempt("a head that is too large", request("GET", &huge, ""), &[431], SHARED),
        attempt("a control character in a header", request("GET", "X-Meta: \u{7}evil\r\n", ""), REFUSED, SHARED),
        attempt("a zero in a header", request("GET", "X-Meta: \0evil\r\n", ""), REFUSED, SHARED),
        attempt("a header without a name", request("GET", ": evil\r\n", ""), REFUSED, SHARED),
        attempt("a header without a colon", request("GET", "evil\r\n", ""), REFUSED, SHARED),
        attempt("a header name with a slash", request("GET", "X/Evil: 1\r\n", ""), REFUSED, SHARED),
    ]
}

/// Two programs might see another end of this request, and then a second one in its body: `smuggled`.
fn framing() -> Vec<Attempt> {
    const SECOND: &str = "GET /echo-inputs?a=smuggled HTTP/1.1\r\nHost: probe.localhost\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n{headers}\r\n{body}")
    };
    let inside = |headers: &str| post(headers, &format!("0\r\n\r\n{SECOND}"));
    let length = format!("Content-Length: {}\r\n", SECOND.len() + 5);
    let both = format!("{length}Transfer-Encoding: chunked\r\n");
    let both_turned = format!("Transfer-Encoding: chunked\r\n{length}");
    let simple =
        |line: &str, headers: &str| format!("{line}\r\nHost: probe.localhost\r\nConnection: close\r\n{headers}\r\n");
    let get = "GET /echo-inputs?a={n} HTTP/1.1";
    vec![
        attempt(
            "two lengths that are the same",
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "12345"),
            FINE,
            SHARED,
        ),
        attempt("two lengths, the first is none", inside(&format!("Content-Length: 0\r\n{length}")), REFUSED, SHARED),
        attempt("a list of lengths", post("Content-Length: 5, 5\r\n", "12345"), REFUSED, SHARED),
        attempt("a list of different lengths", inside("Content-Length: 5, 80\r\n"), REFUSED, SHARED),
        attempt("a length with a sign", inside("Content-Length: +5\r\n"), REFUSED, SHARED),
        attempt("a length in hexadecimal", inside("Content-Length: 0x5\r\n"), REFUSED, SHARED),
        attempt("a length of too many digits", inside("Content-Length: 99999999999999999999999\r\n"), REFUSED, SHARED),
        attempt("a length that is empty", inside("Content-Length:\r\n"), REFUSED, SHARED),
        attempt("a length with a space inside", inside("Content-Length: 5 0\r\n"), REFUSED, SHARED),
        attempt("length and chunks", inside(&both), FINE, SHARED),
        attempt("chunks and length", inside(&both_turned), FINE, SHARED),
        attempt("chunks by another name", inside("Transfer-Encoding: xchunked\r\n"), REFUSED, SHARED),
        attempt("chunks that are not last", inside("Transfer-Encoding: chunked, identity\r\n"), REFUSED, SHARED),
        attempt("chunks twice", inside("Transfer-Encoding: chunked, chunked\r\n"), FINE, SHARED),
        attempt(
            "chunks in two headers",
            inside("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
            REFUSED,
            SHARED,
        ),
        attempt("chunks after a vertical tab", inside("Transfer-Encoding:\u{b}chunked\r\n"), REFUSED, SHARED),
        attempt("chunks in quotes", inside("Transfer-Encoding: \"chunked\"\r\n"), REFUSED, SHARED),
        attempt("chunks with a space before the colon", inside("Transfer-Encoding : chunked\r\n"), REFUSED, SHARED),
        attempt("a length with a space before the colon", inside("Content-Length : 80\r\n"), REFUSED, SHARED),
        attempt("chunks after a folded line", inside("X-Fold: a\r\n Transfer-Encoding: chunked\r\n"), REFUSED, SHARED),
        attempt("chunks on a folded line", inside("Transfer-Encoding:\r\n chunked\r\n"), REFUSED, SHARED),
        attempt(
            "chunks behind a bare carriage return",
            inside("X-A: b\rTransfer-Encoding: chunked\r\n"),
            REFUSED,
            SHARED,
        ),
        attempt(
            "a chunk size that is too large",
            post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nx\r\n0\r\n\r\n"),
            &[400],
            SHARED,
        ),
        attempt(
            "a chunk size with a sign",
            post("Transfer-Encoding: chunked\r\n", "-1\r\nx\r\n0\r\n\r\n"),
            REFUSED,
            SHARED,
        ),
        attempt("a chunk size in C", post("Transfer-Encoding: chunked\r\n", "0x1\r\nx\r\n0\r\n\r\n"), REFUSED, SHARED),
        attempt(
            "a chunk that is longer than it says",
            post("Transfer-Encoding: chunked\r\n", "1\r\nxx\r\n0\r\n\r\n"),
            REFUSED,
            SHARED,
        ),
        attempt(
            "a chunk extension with a bare line feed",
            post("Transfer-Encoding: chunked\r\n", "1;a\nx\r\n0\r\n\r\n"),
            REFUSED,
            SHARED,
        ),
        attempt(
            "trailers that are headers",
            post(
                "Transfer-Encoding: chunked\r\nTrailer: X-Seen\r\n",
                "1\r\nx\r\n0\r\nX-Seen: evil\r\nContent-Length: 80\r\n\r\n",
            ),
            FINE,
            SHARED,
        ),
        attempt(
            "a bad request and another behind it",
            format!("GET /echo-inputs HTTP/1.1\r\nHost : evil\r\n\r\n{SECOND}"),
            REFUSED,
            SHARED,
        ),
        attempt("a folded header", simple(get, "X-Fold: a\r\n evil\r\n"), REFUSED, SHARED),
        attempt("a folded first header", format!("{get}\r\n Host: probe.localhost\r\n\r\n"), REFUSED, SHARED),
        attempt("a bare carriage return in a header", simple(get, "X-A: b\rX-Seen: evil\r\n"), REFUSED, SHARED),
        attempt("bare line feeds", format!("{get}\nHost: probe.localhost\nConnection: close\n\n"), FINE, SHARED),
        attempt("no version", "GET /echo-inputs?a={n}\r\n\r\n", REFUSED, SHARED),
        attempt("a version there is not", simple("GET /echo-inputs?a={n} HTTP/1.9", ""), REFUSED, SHARED),
        attempt("HTTP/1.0", simple("GET /echo-inputs?a={n} HTTP/1.0", ""), FINE, SHARED),
        attempt("HTTP/1.0 without a host", "GET /echo-inputs?a={n} HTTP/1.0\r\n\r\n", &[404], SHARED),
        attempt(
            "HTTP/1.0 with chunks",
            format!(
                "POST /echo HTTP/1.0\r\nHost: probe.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SECOND}"
            ),
            REFUSED,
            SHARED,
        ),
        attempt("two spaces in the request line", simple("GET  /echo-inputs?a={n} HTTP/1.1", ""), REFUSED, SHARED),
        attempt("a tab in the request line", simple("GET\t/echo-inputs?a={n}\tHTTP/1.1", ""), REFUSED, SHARED),
        attempt("a space in the target", simple("GET /echo-inputs?a={n} evil HTTP/1.1", ""), REFUSED, SHARED),
        attempt("an empty line in front", format!("\r\n{}", simple(get, "")), FINE, SHARED),
    ]
}

/// The probe app with a folder of files, on a node that is attacked and on one that is not.
struct Nodes {
    attacked: Node,
    calm: Node,
    _folders: [tempfile::TempDir; 2],
}

impl Nodes {
    fn start() -> Nodes {
        let app = Changed::probe().with_static(&[("app.css", b"body { color: black }\n")]);
        let ((attacked, one), (calm, other)) = (app.start(), app.start());
        Nodes { attacked, calm, _folders: [one, other] }
    }

    fn visit(&self, node: &Node, visit: Visit, number: usize) -> Told {
        let text = format!("GET {} HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n{}\r\n", visit.0, visit.1);
        Told::of(&node.raw(&numbered(text.as_bytes(), number)))
    }

    /// Every attempt, and what is wrong after it.
    fn withstand(&self, attempts: Vec<Attempt>) {
        let mut wrong = Vec::new();
        for (number, attempt) in (1_000..).zip(&attempts) {
            let answer = self.attacked.raw(&numbered(&attempt.sends, number));
            if !attempt.answered.contains(&answer.status) {
                wrong.push(format!("{}: answered {}: {}", attempt.name, answer.status, answer.text()));
            }
            if answer.text().contains("smuggled") {
                wrong.push(format!("{}: a second request was read out of it: {}", attempt.name, answer.text()));
            }
            for time in ["first", "second"] {
                let (found, expected) =
                    (self.visit(&self.attacked, attempt.visit, number), self.visit(&self.calm, attempt.visit, number));
                if found != expected {
                    wrong.push(format!("{}: the {time} visitor got {found:?}, not {expected:?}", attempt.name));
                }
                if expected.status != 200 || found.body.contains(EVIL) {
                    wrong.push(format!("{}: the {time} visitor got {found:?}", attempt.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attempts.len(), wrong.join("\n"));
    }
}

/// All of an answer that a visitor notices.
#[derive(Debug, PartialEq)]
struct Told {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Told {
    fn of(answer: &Answer) -> Told {
        // These tell of the moment, and of whether the answer was made for it.
        let passing = ["date", "server-timing", "cache-status"];
        let kept = answer.headers().iter().filter(|(name, _)| !passing.contains(&name.as_str()));
        let mut headers: Vec<_> = kept.cloned().collect();
        headers.sort();
        Told { status: answer.status, headers, body: answer.text() }
    }
}

fn numbered(bytes: &[u8], number: usize) -> Vec<u8> {
    let number = number.to_string();
    let mut numbered = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(3).position(|three| three == b"{n}") {
        numbered.extend_from_slice(&rest[..at]);
        numbered.extend_from_slice(number.as_bytes());
        rest = &rest[at + 3..];
    }
    numbered.extend_from_slice(rest);
    numbered
}

#[test]
fn no_attempt_changes_what_the_next_visitor_gets() {
    let tables = [unkeyed_headers(), keyed_inputs(), targets(), hosts(), errors_and_methods(), framing()];
    Nodes::start().withstand(tables.into_iter().flatten().collect());
}

/// What was somebody's own stays theirs, whichever address it was asked for by.
#[test]
fn what_is_somebodys_own() {
    let (nodes, cookie) = (Nodes::start(), [("Cookie", "seen=evil")]);
    for path in
        ["/account/me", "/account/x.css", "/account/logo.png", "/account/index.html;jsessionid=1", "/account/x%2ecss"]
    {
        let own = nodes.attacked.request("GET", path, &cookie, "");
        assert!(own.status == 200 && own.text().contains(EVIL), "{path}: {}", own.text());
        assert!(own.header("cache-control").contains("private"), "{path}: {}", own.header("cache-control"));
        for _ in 0..2 {
            let others = Told::of(&nodes.attacked.get(path));
            assert_eq!(others, Told::of(&nodes.calm.get(path)), "{path}");
            assert!(!others.body.contains(EVIL), "{path}");
        }
    }
    // Below a public page it is that of nobody, whoever asks first.
    let portal = nodes.attacked.request("GET", "/portal", &cookie, "");
    assert!(portal.status == 200 && !portal.text().contains(EVIL), "{}", portal.text());
    assert_eq!(Told::of(&nodes.attacked.get("/portal")), Told::of(&nodes.calm.get("/portal")));
}

/// RFC 9112 section 6.3: whoever is told two ends may go by the chunks, and must close the connection then. What follows
/// is a body to one in front that goes by the length, and must not be taken for a request here.
#[test]
fn a_request_with_length_and_chunks_is_the_last_of_its_connection() {
    let (node, _folder) = Changed::probe().start();
    let next = "GET /echo-inputs?a=smuggled HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n\r\n";
    let length = next.len() + 5;
    for headers in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
    ] {
        let sent = format!("POST /echo HTTP/1.1\r\nHost: probe.localhost\r\n{headers}\r\n0\r\n\r\n{next}");
        let answer = node.raw(sent.as_bytes());
        assert_eq!(answer.status, 200, "{headers}: {}", answer.text());
        assert!(!answer.text().contains("smuggled"), "{headers}: {}", answer.text());
    }
}

/// The comparison above is one that can fail.
#[test]
fn a_visitor_who_gets_something_else_is_noticed() {
    let nodes = Nodes::start();
    let calm = nodes.visit(&nodes.calm, SHARED, 1);
    assert_eq!(nodes.visit(&nodes.attacked, SHARED, 1), calm);
    for other in
        [Visit(SHARED.0, "X-Seen: evil\r\n"), Visit(SHARED.0, "Accept-Encoding: br\r\nCookie: seen=evil\r\n"), ACCOUNT]
    {
        assert_ne!(nodes.visit(&nodes.attacked, other, 1), calm);
    }
    let [one, other] = ["#app { }", "#app { color: red }"]
        .map(|css| Changed::probe().with_static(&[("app.css", css.as_bytes())]).start());
    assert_ne!(nodes.visit(&one.0, WHOLE_FILE, 1), nodes.visit(&other.0, WHOLE_FILE, 1));
}

#[test]
fn a_cookie_is_given_to_nobody_twice() {
    let (node, _folder) = Changed::probe().start();
    for visit in 0..3 {
        let answer = node.get("/set-cookie");
        assert_eq!((answer.status, answer.header("set-cookie")), (200, "seen=given; Path=/"));
        assert!(!answer.cache().contains("hit") && !answer.cache().contains("stored"), "{visit}: {}", answer.cache());
    }
}

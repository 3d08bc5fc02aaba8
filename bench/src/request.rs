//! Requests as the bytes that go on the wire, built once, with what their answers must be.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};

use crate::response::Response;

/// One prebuilt request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub host: String,
    pub target: String,
    pub bytes: Vec<u8>,
    pub status: u16,
    /// Known once every answer has been looked at (`contender::check`), and then held against each response.
    pub body_bytes: Option<u64>,
    /// What the page must show that the answer to a form leads to.
    pub shows: Option<String>,
}

impl Request {
    /// `target` is the path and query as they go on the wire.
    pub fn get(host: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        Self::new("GET", host, target, headers)
    }

    /// The same with a body: a POST or a PUT.
    pub fn with_body(method: &'static str, host: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", length.as_str())]].concat();
        let mut request = Self::new(method, host, target, &headers);
        request.bytes.extend_from_slice(body);
        request
    }

    fn new(method: &'static str, host: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let (host, target, bytes) = (host.to_owned(), target.to_owned(), text.into_bytes());
        Self { method, host, target, bytes, status: 200, body_bytes: None, shows: None }
    }

    pub fn expecting(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A form, whose answer leads to a page with these words.
    pub fn showing(self, words: String) -> Self {
        Self { status: 303, shows: Some(words), ..self }
    }

    /// Where an answer leads, as a browser goes there: with the cookies it was given, and without the fragment.
    pub fn following(&self, response: &Response) -> Option<Self> {
        let target = response.header("location")?.split('#').next()?;
        let given = response.headers().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        let cookies: Vec<&str> = given.filter_map(|(_, cookie)| cookie.split(';').next()).collect();
        let cookies = cookies.join("; ");
        let headers = [("Accept", "text/html"), ("Cookie", cookies.as_str())];
        Some(Self::get(&self.host, target, if cookies.is_empty() { &headers[..1] } else { &headers }))
    }

    pub fn verify(&self, response: &Response) -> Result<()> {
        let (method, target, status) = (self.method, &self.target, response.status);
        ensure!(status == self.status, "{method} {target} answered {status}, not {}{}", self.status, said(response));
        if let Some(expected) = self.body_bytes {
            let found = response.body_bytes;
            ensure!(found == expected, "{method} {target} answered {found} bytes, not {expected}");
        }
        Ok(())
    }
}

/// What an answer that was not expected says, where it was kept.
fn said(response: &Response) -> String {
    let said = String::from_utf8_lossy(response.body());
    if said.is_empty() { String::new() } else { format!(": {}", said.chars().take(500).collect::<String>()) }
}

/// What one contender is asked, in this order and then from the start again, by all connections together.
#[derive(Debug)]
pub struct Requests {
    list: Vec<Request>,
    /// Which of the list comes when; one after the other if it is empty.
    order: Vec<u32>,
    cursor: AtomicUsize,
}

impl Requests {
    pub fn new(list: Vec<Request>) -> Result<Self> {
        ensure!(!list.is_empty(), "a contender without requests");
        Ok(Self { list, order: Vec::new(), cursor: AtomicUsize::new(0) })
    }

    /// Asked for in this order of indices.
    pub fn in_order(list: Vec<Request>, order: Vec<u32>) -> Result<Self> {
        ensure!(order.iter().all(|index| (*index as usize) < list.len()), "BUG: an order of what is not there");
        Ok(Self { order, ..Self::new(list)? })
    }

    pub fn all(&self) -> &[Request] {
        &self.list
    }

    pub fn next(&self) -> &Request {
        self.next_with_index().1
    }

    /// With its place in the list.
    pub fn next_with_index(&self) -> (usize, &Request) {
        let turn = self.cursor.fetch_add(1, Ordering::Relaxed);
        let index = match self.order.as_slice() {
            [] => turn % self.list.len(),
            order => order[turn % order.len()] as usize,
        };
        (index, &self.list[index])
    }
}

/// Percent-encodes one path segment or query value (RFC 3986: everything but the unreserved characters).
pub fn percent_encode(text: &str) -> String {
    percent_encode_except(text, b"")
}

/// The same, leaving also `plain` as it is.
pub fn percent_encode_except(text: &str, plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(&byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The reverse. What is not a valid escape stands for itself.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], escape.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_request() {
        let request = Request::get("a.test", "/x?q=1", &[("Accept", "text/html")]);
        assert_eq!(
            String::from_utf8(request.bytes).unwrap(),
            "GET /x?q=1 HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n"
        );
    }

    #[test]
    fn an_answer_is_followed_with_its_cookies() {
        let mut response = Response::keeping();
        let head = "HTTP/1.1 303 See Other\r\nLocation: /package/a#reviews\r\nSet-Cookie: a=1; Path=/\r\n\
            Set-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
        response.feed(head.as_bytes()).unwrap();
        let form = Request::with_body("POST", "a.test", "/package/a/reviews", &[], b"x").showing("words".into());
        assert_eq!((form.status, form.shows.as_deref()), (303, Some("words")));
        let followed = form.following(&response).unwrap();
        assert_eq!(
            String::from_utf8(followed.bytes).unwrap(),
            "GET /package/a HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\nCookie: a=1; b=2\r\n\r\n"
        );
        response.reset();
        assert!(form.following(&response).is_none());
    }

    #[test]
    fn requests_go_round() {
        let list = ["/a", "/b"].map(|target| Request::get("h", target, &[])).to_vec();
        let requests = Requests::new(list).unwrap();
        let order: Vec<&str> = (0..5).map(|_| requests.next().target.as_str()).collect();
        assert_eq!(order, ["/a", "/b", "/a", "/b", "/a"]);
        assert!(Requests::new(Vec::new()).is_err());
        let list = ["/a", "/b"].map(|target| Request::get("h", target, &[])).to_vec();
        assert!(Requests::in_order(list.clone(), vec![2]).is_err());
        let requests = Requests::in_order(list, vec![1, 1, 0]).unwrap();
        let order: Vec<usize> = (0..5).map(|_| requests.next_with_index().0).collect();
        assert_eq!(order, [1, 1, 0, 1, 1]);
    }

    #[test]
    fn an_answer_other_than_the_expected_one_is_an_error() {
        let mut request = Request::get("h", "/a", &[]);
        let mut response = Response::counting();
        response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        assert!(request.verify(&response).is_ok());
        request.body_bytes = Some(3);
        assert_eq!(request.verify(&response).unwrap_err().to_string(), "GET /a answered 2 bytes, not 3");
        let request = request.expecting(304);
        assert_eq!(request.verify(&response).unwrap_err().to_string(), "GET /a answered 200, not 304");
    }

    #[test]
    fn encoding() {
        assert_eq!(percent_encode("lib c++/ü~"), "lib%20c%2B%2B%2F%C3%BC~");
        assert_eq!(percent_encode_except("g++/", b"+"), "g++%2F");
        assert_eq!(percent_decode("lib%20c%2B%2b+%2F%C3%BC~%"), "lib c+++/ü~%");
    }
}

//! A picture sent with a review is small on every node's pages a moment later, and takes no more memory than its task has;
//! the webhook that tells of the review proves who sent it.

#[path = "../examples/demo/signature.rs"]
mod signature;
mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use flate2::{Compression, Crc, write::ZlibEncoder};
use signature::{Key, Signed};
use support::{App, Site, eventually, http, http::Answer, module, packages, packages::SITE};

const BOUNDARY: &str = "a-line-that-no-picture-has";

fn start(app: &std::path::Path, settings: &str, nodes: &[&str]) -> Site {
    let site = Site::configured(settings, &[app], &[]);
    site.origin.push_data(&packages::catalogue(site.folder.path(), &["vim"]), "packages").went_well();
    let nodes = nodes.iter().map(|name| support::Node::start(site.folder.path(), name, Some(&site.origin))).collect();
    let site = Site { nodes, ..site };
    site.nodes.iter().for_each(|node| node.wait_for_apps(1));
    site
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(module("packages").join("tests/pictures").join(name)).unwrap()
}

/// Posts a review with a picture, as a browser does.
fn post(node: SocketAddr, words: &str, picture: &[u8]) -> Answer {
    let mut body = Vec::new();
    for (name, value) in [("author", "Ada"), ("rating", "5"), ("body", words)] {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(head.into_bytes());
    }
    let head = "Content-Disposition: form-data; name=\"picture\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg";
    body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").into_bytes());
    body.extend(picture);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    let request = format!(
        "POST /package/vim/reviews HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\nAccept: text/html\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    http::raw(node, &[request.as_bytes(), &body].concat()).unwrap()
}

fn reviews(node: SocketAddr) -> Vec<serde_json::Value> {
    let json = ("Accept", "application/json");
    let answer = http::request(node, SITE, "GET", "/package/vim", &[json], "").unwrap();
    let mut package: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    package["reviews"].as_array_mut().unwrap().drain(..).collect()
}

/// The thumbnail of the review with these words, once it is there.
fn thumbnail(node: SocketAddr, words: &str) -> serde_json::Value {
    eventually(&format!("a thumbnail beside `{words}`"), || {
        let review = reviews(node).into_iter().find(|review| review["body"] == words)?;
        review["thumbnail"].is_object().then(|| review["thumbnail"].clone())
    })
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let mut sum = Crc::new();
        sum.update(name);
        sum.update(data);
        [&(data.len() as u32).to_be_bytes(), &name[..], data, &sum.sum().to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    let row = [vec![0], vec![200; width as usize * 4]].concat();
    (0..height).for_each(|_| pixels.write_all(&row).unwrap());
    let pixels = pixels.finish().unwrap();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &pixels), chunk(b"IEND", b"")].concat()
}

#[test]
fn a_picture_is_small_at_every_node_and_says_nothing_of_its_camera() {
    let site = start(&module("packages"), "", &["a", "b"]);
    let [a, b] = [site.nodes[0].address, site.nodes[1].address];
    let sent = sample("held-upright.jpg");
    assert!(sent.windows(13).any(|window| window == b"taken at home"));
    assert_eq!(post(a, "Upright.", &sent).status, 303);
    let made = thumbnail(b, "Upright.");
    assert_eq!((made["width"].as_u64(), made["height"].as_u64()), (Some(427), Some(640)), "turned, and small");
    for node in [a, b] {
        let small = http::request(node, SITE, "GET", made["url"].as_str().unwrap(), &[], "").unwrap();
        assert_eq!((small.status, small.header("content-type")), (200, "image/jpeg"));
        assert!(small.body.starts_with(&[0xff, 0xd8, 0xff]) && small.body.len() < sent.len());
        assert!(!small.body.windows(4).any(|window| window == b"Exif" || window == b"home"));
    }
    let page = http::request(b, SITE, "GET", "/package/vim", &[], "").unwrap().text();
    let sent_as = nearside_protocol::digest::Digest::of(&sent).to_string();
    assert!(page.contains(made["url"].as_str().unwrap()) && !page.contains(&sent_as), "what was sent is named nowhere");
}

#[test]
fn what_cannot_be_taken_is_refused_with_its_reason() {
    let site = start(&module("packages"), "", &["a"]);
    let a = site.nodes[0].address;
    for (picture, status, reason) in [
        (sample("bomb.png"), 422, "30000 × 30000: 900.0 megapixels"),
        (png(5_000, 5_001), 422, "25.0 megapixels"),
        (sample("cut-off.jpg"), 422, "is cut off"),
        (sample("moving.png"), 415, "is animated"),
        (sample("old.gif"), 415, "is a GIF"),
        (sample("page.png"), 415, "is not a picture"),
        (vec![0xff; 6_100_000], 413, "has 6.1 MB, and at most 6.0"),
    ] {
        let answer = post(a, "Nothing of this.", &picture);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(reason), "{reason}: {}", answer.text());
        assert!(answer.text().contains("Nothing of this.</textarea>"), "the words are still there");
    }
    // Larger than the route takes: that is the node's own to say.
    assert_eq!(post(a, "Nothing of this.", &vec![0; 17 << 20]).status, 413);
    assert!(reviews(a).is_empty());
}

#[test]
fn the_largest_picture_fits_into_the_memory_of_its_task_and_a_larger_one_ends_its_task_alone() {
    let site = start(&module("packages"), "", &["a"]);
    let a = site.nodes[0].address;
    assert_eq!(post(a, "As large as may be.", &png(5_000, 5_000)).status, 303);
    assert_eq!(thumbnail(a, "As large as may be.")["width"], 640);
    drop(site);

    // With less memory than the limits are made for: the task dies of it, twice, and says so to the author.
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("packages", &folder.path().join("app"));
    app.replace("nearside.toml", "memory_mib = 256", "memory_mib = 32\nbackoff_first_ms = 10\nbackoff_most_ms = 10");
    let site = start(app.path(), "", &["a"]);
    let a = site.nodes[0].address;
    let posted = post(a, "Too large for it.", &png(4_000, 4_000));
    assert_eq!(posted.status, 303);
    let visitor = posted.headers().iter().find(|(_, value)| value.starts_with("visitor=")).unwrap();
    let cookie = ("Cookie", visitor.1.split(';').next().unwrap());
    eventually("its author is told", || {
        let mine = http::request(a, SITE, "GET", "/my/reviews", &[cookie], "").unwrap().text();
        mine.contains("Your picture is not shown. This picture could not be read.").then_some(())
    });
    let log = site.origin.process.log_text();
    assert!(log.matches("it used more than its 32 MiB of memory").count() >= 2, "{log}");
    assert!(log.contains("memory_mib of the task"), "{log}");
    assert_eq!(post(a, "Small enough.", &sample("window.png")).status, 303);
    assert_eq!(thumbnail(a, "Small enough.")["height"], 405);
}

#[test]
fn a_webhook_is_signed_and_keeps_its_id_when_it_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let came = Arc::new(Mutex::new(Vec::new()));
    let notes = came.clone();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().flatten().enumerate() {
            let status = if count < 2 { "503 Service Unavailable" } else { "204 No Content" };
            let signed = receive(stream, status);
            notes.lock().unwrap().push(signed);
        }
    });
    let key = Key::made().unwrap();
    let settings = format!(
        "[apps.packages]\nvariables = {{ WEBHOOK_URL = \"http://{address}/\" }}\nallow_private = [\"{address}\"]\n\
         secrets = {{ WEBHOOK_KEY = \"{}\" }}\n",
        key.secret()
    );
    let site = start(&module("packages"), &settings, &["a"]);
    assert_eq!(post(site.nodes[0].address, "Good.", &sample("window.png")).status, 303);
    eventually("it is sent until it is taken", || (came.lock().unwrap().len() == 3).then_some(()));
    let came = came.lock().unwrap();
    let other = Key::made().unwrap();
    for (signed, body) in came.iter() {
        assert_eq!(signed.id, came[0].0.id);
        assert_eq!(key.verify(signed, body), Ok(()));
        assert!(other.verify(signed, body).is_err() && key.verify(signed, b"{}").is_err());
    }
    assert!(came[0].0.id.starts_with("task-") && String::from_utf8_lossy(&came[0].1).contains("\"rating\":5"));
}

/// One request: what it is signed with, and its body.
fn receive(stream: TcpStream, status: &str) -> (Signed, Vec<u8>) {
    let mut reader = BufReader::new(&stream);
    let (mut signed, mut length, mut line) = (Signed::default(), 0, String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        let (name, value) = line.trim().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "webhook-id" => signed.id = value.to_owned(),
            "webhook-timestamp" => signed.timestamp = value.to_owned(),
            "webhook-signature" => signed.signature = value.to_owned(),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (&stream).write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    (signed, body)
}

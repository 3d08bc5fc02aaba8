//! Static files: two addresses each, encodings, parts, and what does not get at them.

mod support;

use std::io::Read;

use support::{Changed, Node, http::Answer};

const NO_CACHE: &str = "no-cache";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

fn style(color: &str) -> Vec<u8> {
    format!("a {{ color: {color} }}\n").repeat(200).into_bytes()
}

fn site(style: &[u8]) -> (Node, tempfile::TempDir) {
    let files: &[(&str, &[u8])] =
        &[("css/app.css", style), ("logo.png", b"0123456789"), ("a b/\u{fc}.txt", b"name"), ("LICENSE", b"free")];
    Changed::probe().with_static(files).start()
}

fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> Answer {
    node.request("GET", path, headers, "")
}

#[test]
fn a_file_has_an_address_of_its_name_and_one_of_its_content() {
    let (node, _folder) = site(&style("red"));
    let url = node.get("/asset?name=css/app.css");
    assert_eq!(url.cache(), "nearside; fwd=miss; stored", "asking for an address taints nothing");
    let url = url.text();
    assert!(url.starts_with("/static/css/app.") && url.ends_with(".css") && url.len() == 36, "{url}");

    let named = node.get("/static/css/app.css");
    assert_eq!((named.status, named.header("cache-control")), (200, NO_CACHE));
    assert_eq!((&named.body, named.header("content-type")), (&style("red"), "text/css; charset=utf-8"));
    assert_eq!((named.header("x-content-type-options"), named.header("nearside-release")), ("nosniff", "1.1"));
    let hashed = node.get(&url);
    assert_eq!((hashed.status, hashed.header("cache-control")), (200, FOR_EVER));
    assert_eq!((&hashed.body, hashed.header("etag")), (&named.body, named.header("etag")));

    for path in ["/static/css/app.css", &url] {
        let unchanged = get(&node, path, &[("If-None-Match", named.header("etag"))]);
        assert_eq!((unchanged.status, unchanged.body.len(), unchanged.header("etag")), (304, 0, named.header("etag")));
        assert_eq!(unchanged.header("cache-control"), if path == url { FOR_EVER } else { NO_CACHE });
        let head = node.request("HEAD", path, &[], "");
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "3400"));
    }
    assert_eq!(node.get(&node.get("/asset?name=a+b/%C3%BC.txt").text()).text(), "name");
    assert_eq!(node.get(&node.get("/asset?name=LICENSE").text()).header("cache-control"), FOR_EVER);
    for unknown in ["css/none.css", "", "css", url.strip_prefix("/static/").unwrap()] {
        assert_eq!(node.get(&format!("/asset?name={unknown}")).text(), "none", "{unknown}");
    }
}

#[test]
fn a_hash_of_another_version_gets_what_there_is_now() {
    let (before, _folder) = site(&style("red"));
    let (after, _folder) = site(&style("blue"));
    let old = before.get("/asset?name=css/app.css").text();
    let answer = after.get(&old);
    assert_eq!((answer.status, answer.header("cache-control")), (200, NO_CACHE));
    assert_eq!(answer.body, style("blue"));
    let none = old.replace("app", "none");
    assert_eq!(after.get(&none).status, 404);
    let twice = old.replace(".css", ".0123456789abcdef.css");
    assert_eq!(before.get(&twice).status, 404, "a hash is not hashed");
}

#[test]
fn each_client_gets_the_encoding_it_likes() {
    let (node, _folder) = site(&style("red"));
    let path = "/static/css/app.css";
    let ask = |accept| get(&node, path, &[("Accept-Encoding", accept)]);
    let plain = node.get(path);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let mut etags = vec![plain.header("etag").to_owned()];
    for (accept, expected) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.2", "gzip"),
        ("identity;q=0, *;q=0.1", "br"),
        ("br;q=0, gzip;q=0", ""),
        ("identity, br;q=0.5", ""),
    ] {
        let answer = ask(accept);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, expected), "{accept}");
        assert_eq!((answer.header("vary"), answer.header("cache-control")), ("accept-encoding", NO_CACHE));
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        let mut decoded = Vec::new();
        match expected {
            "br" => brotli::Decompressor::new(&answer.body[..], 4_096).read_to_end(&mut decoded),
            "gzip" => flate2::bufread::GzDecoder::new(&answer.body[..]).read_to_end(&mut decoded),
            _ => (&answer.body[..]).read_to_end(&mut decoded),
        }
        .unwrap();
        assert_eq!(decoded, style("red"), "{accept}");
        assert!(expected.is_empty() || answer.body.len() < 200);
        etags.push(answer.header("etag").to_owned());

        let head = node.request("HEAD", path, &[("Accept-Encoding", accept)], "");
        assert_eq!((head.header("content-encoding"), head.body.len()), (expected, 0));
        assert_eq!(head.header("content-length"), answer.header("content-length"));
        let has = [("Accept-Encoding", accept), ("If-None-Match", answer.header("etag"))];
        assert_eq!(get(&node, path, &has).status, 304);
    }
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 3, "an encoding each: {etags:?}");
    let of_another = [("Accept-Encoding", "br"), ("If-None-Match", plain.header("etag"))];
    assert_eq!(get(&node, path, &of_another).status, 200);
    let picture = get(&node, "/static/logo.png", &[("Accept-Encoding", "br")]);
    assert_eq!((picture.header("content-encoding"), picture.header("vary")), ("", ""));
}

#[test]
fn parts_are_sent_of_the_file_as_it_stands() {
    let (node, _folder) = site(&style("red"));
    let path = "/static/logo.png";
    let ask = |range| get(&node, path, &[("Range", range)]);
    assert_eq!(node.get(path).header("accept-ranges"), "bytes");
    for (range, body, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=5-500", "56789", "bytes 5-9/10"),
    ] {
        let part = ask(range);
        assert_eq!((part.status, part.text().as_str()), (206, body), "{range}");
        assert_eq!(
            (part.header("content-range"), part.header("content-length")),
            (content_range, &*body.len().to_string())
        );
        assert_eq!(part.header("etag"), node.get(path).header("etag"));
    }
    let beyond = ask("bytes=10-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    for whole in ["bytes=0-1,3-4", "bytes=4-2", "lines=1-2", "bytes=x"] {
        let answer = ask(whole);
        assert_eq!((answer.status, answer.body.len(), answer.header("content-range")), (200, 10, ""), "{whole}");
    }
    let etag = node.get(path).header("etag").to_owned();
    let same = get(&node, path, &[("Range", "bytes=0-0"), ("If-Range", &etag)]);
    assert_eq!((same.status, same.text().as_str()), (206, "0"));
    for other in ["\"x\"", &format!("W/{etag}"), "Wed, 21 Oct 2015 07:28:00 GMT"] {
        assert_eq!(get(&node, path, &[("Range", "bytes=0-0"), ("If-Range", other)]).status, 200, "{other}");
    }
    assert_eq!(node.request("HEAD", path, &[("Range", "bytes=0-0")], "").status, 200);
    let encoded = get(&node, "/static/css/app.css", &[("Range", "bytes=0-0"), ("Accept-Encoding", "br")]);
    assert_eq!((encoded.status, encoded.header("content-encoding"), encoded.header("accept-ranges")), (200, "br", ""));
    let plain = get(&node, "/static/css/app.css", &[("Range", "bytes=0-0"), ("Accept-Encoding", "identity")]);
    assert_eq!((plain.status, plain.text().as_str()), (206, "a"));
}

#[test]
fn only_the_apps_own_files_are_there_and_only_to_read() {
    let (node, _folder) = site(&style("red"));
    for (path, status) in [
        ("/static/../nearside.toml", 400),
        ("/static/css/../../nearside.toml", 400),
        ("/static/%2e%2e/nearside.toml", 400),
        ("/static/css/%2E%2E/logo.png", 400),
        ("/static/./logo.png", 400),
        ("/static/css%2fapp.css", 400),
        ("/static/css%5capp.css", 400),
        ("/static/css\\app.css", 400),
        ("/static/logo.png%00", 400),
        ("/static//logo.png", 404),
        ("/static/nearside.toml", 404),
        ("/static/", 404),
        ("/static", 404),
        ("/static/css", 404),
        ("/static/css/", 404),
        ("/static/LOGO.png", 404),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    assert_eq!(node.get("/static/%6Cogo.png").text(), "0123456789");
    assert_eq!(node.get("/static/logo.png?v=1").text(), "0123456789");
    assert_eq!(node.get("/static/a%20b/%C3%BC.txt").text(), "name");

    let options = node.request("OPTIONS", "/static/logo.png", &[], "");
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    assert_eq!(node.request("OPTIONS", "/static/none.png", &[], "").status, 404);
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        let answer = node.request(method, "/static/logo.png", &[], "");
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, OPTIONS"), "{method}");
    }
}

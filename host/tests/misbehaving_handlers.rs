//! A handler that misbehaves costs its own request, and nobody else's.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use support::probe;

#[test]
fn each_fault_is_a_clean_5xx_within_its_deadline_and_nobody_else_notices() {
    let (node, _folder) = probe();
    let node = Arc::new(node);
    assert_eq!(node.get("/hello").text(), "hello\n");

    // Meanwhile others read, cached pages and fresh ones.
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let others: Vec<_> = (0..3)
        .map(|reader| {
            let (node, stop, served) = (node.clone(), stop.clone(), served.clone());
            std::thread::spawn(move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    count += 1;
                    let path = format!("/echo-inputs?a={reader}-{count}");
                    for path in ["/hello", "/pair", path.as_str()] {
                        let answer = node.get(path);
                        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();

    for (path, expected) in [
        ("/loop", 504),
        ("/hog", 500),
        ("/trap", 500),
        ("/panic", 500),
        ("/nothing", 500),
        ("/broken-body", 500),
        ("/half", 500),
        ("/slow?ms=60000", 504),
    ] {
        let started = Instant::now();
        let answer = node.get(path);
        assert_eq!(answer.status, expected, "{path}: {}", answer.text());
        assert!(started.elapsed() < Duration::from_secs(6), "{path} took {:?}", started.elapsed());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert!(answer.text().contains("Trace "), "{path}: {}", answer.text());
        assert!(!answer.text().contains("wasm"), "{path} shows its inside: {}", answer.text());
    }
    for path in ["/runaway-sql", "/cross", "/randomblob", "/include-loop"] {
        let started = Instant::now();
        let answer = node.get(path);
        assert!((500..600).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        assert!(started.elapsed() < Duration::from_secs(6), "{path} took {:?}", started.elapsed());
    }

    stop.store(true, Ordering::Relaxed);
    for other in others {
        other.join().expect("another request failed meanwhile");
    }
    assert!(served.load(Ordering::Relaxed) > 100, "the others were held up: {served:?} answers");
    assert_eq!(node.get("/hello").text(), "hello\n");
}

#[test]
fn a_body_over_the_store_cap_streams_whole() {
    let (node, _folder) = probe();
    for bytes in [0, 1, 4_096, 1 << 20, (1 << 20) + 1, 5 << 20] {
        let answer = node.get(&format!("/big?bytes={bytes}"));
        assert_eq!((answer.status, answer.body.len(), answer.broken), (200, bytes, false));
    }
    assert!(node.get("/big?bytes=5000000").cache().contains("too-large"));
    assert_eq!(node.get("/big?bytes=4096").cache(), "nearside; hit");
}

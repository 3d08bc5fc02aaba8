//! What the origin relies on, of every store it is run on: a folder, and whatever speaks S3 at `NEARSIDE_TEST_S3`
//! (`scripts/object-stores` starts one).

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use nearside_host::{engine::Engine, logbook::Logbook};
use nearside_origin::{
    Origin,
    bucket::{Bucket, Created, Name},
    config::{Config, ObjectsConfig},
};
use nearside_protocol::{digest::Digest, release::ReleaseId};
use object_store::GetRange;
use tokio::net::TcpListener;

fn release(seq: u64) -> Name {
    Name::Release(ReleaseId { epoch: 1, seq })
}

async fn conforms(bucket: Bucket) {
    // What is put is read back; again is fine, and missing is no error.
    let base = Name::Base(Digest::of(b"root"));
    assert_eq!(bucket.get(base, 10).await.unwrap(), None);
    assert_eq!(bucket.length(base).await.unwrap(), None);
    bucket.put(base, "0123456789").await.unwrap();
    bucket.put(base, "9876543210").await.unwrap();
    assert_eq!(bucket.get(base, 10).await.unwrap().unwrap(), "9876543210");
    assert_eq!(bucket.length(base).await.unwrap(), Some(10));
    let error = bucket.get(base, 9).await.unwrap_err().to_string();
    assert!(error.contains("bases/") && error.contains("longer than the 9 bytes"), "{error}");

    // Ranges, as a pull that was cut off asks for them.
    for (range, expected) in [
        (GetRange::Bounded(2..5), "765"),
        (GetRange::Offset(7), "210"),
        (GetRange::Suffix(2), "10"),
        (GetRange::Bounded(8..99), "10"),
    ] {
        let object = bucket.open_object(base, Some(range)).await.unwrap().unwrap();
        assert_eq!((object.bytes, object.range.end - object.range.start), (10, expected.len() as u64));
        assert!(object.e_tag.is_some());
        assert_eq!(object.result.bytes().await.unwrap(), expected);
    }
    assert!(bucket.open_object(base, Some(GetRange::Offset(11))).await.is_err());

    // Once is once, whoever is first; even when many try at the same time.
    assert_eq!(bucket.create(release(1), "first").await.unwrap(), Created::New);
    assert_eq!(bucket.create(release(1), "second").await.unwrap(), Created::Taken);
    assert_eq!(bucket.get(release(1), 10).await.unwrap().unwrap(), "first");
    let bucket = Arc::new(bucket);
    let tries = (0..16).map(|number| {
        let bucket = bucket.clone();
        tokio::spawn(async move { (number, bucket.create(release(2), format!("try {number}")).await.unwrap()) })
    });
    let mut won = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        let (number, created) = tried.await.unwrap();
        won.extend((created == Created::New).then_some(number));
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(bucket.get(release(2), 10).await.unwrap().unwrap(), format!("try {}", won[0]));

    // The newest is found from a hint that is old, or missing, without listing anything.
    assert_eq!(bucket.newest(None).await.unwrap(), None, "no hint");
    bucket.put(Name::Head, "1.1").await.unwrap();
    assert_eq!(bucket.newest(None).await.unwrap(), Some(ReleaseId { epoch: 1, seq: 2 }));
    bucket.put(Name::Head, "not a number").await.unwrap();
    let known = ReleaseId { epoch: 1, seq: 1 };
    assert_eq!(bucket.newest(Some(known)).await.unwrap(), Some(ReleaseId { epoch: 1, seq: 2 }));

    // An upload in parts.
    let long: Vec<u8> = (0..65 << 20).map(|at: u32| (at % 251) as u8).collect();
    let delta = Name::Delta { from: Digest::of(b"a"), to: Digest::of(b"b") };
    bucket.put(delta, long.clone()).await.unwrap();
    assert!(bucket.get(delta, 100 << 20).await.unwrap().unwrap() == long);

    // Apps do not see one another's, and what is gone is gone.
    assert_eq!(bucket.of("other").get(base, 10).await.unwrap(), None);
    for name in [base, delta, release(1), release(2), Name::Head] {
        bucket.delete(name).await.unwrap();
        assert_eq!(bucket.length(name).await.unwrap(), None);
        bucket.delete(name).await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/made/here", folder.path().display());
    let config = ObjectsConfig { url, endpoint: None, region: None, allow_http: false };
    conforms(Bucket::open(&config).unwrap().of("shop")).await;
}

#[tokio::test]
async fn a_service_that_speaks_s3_conforms() {
    let Ok(endpoint) = std::env::var("NEARSIDE_TEST_S3") else {
        eprintln!("SKIPPED: NEARSIDE_TEST_S3 names no endpoint; scripts/object-stores runs this");
        return;
    };
    let config = ObjectsConfig {
        url: "s3://nearside/some/prefix".into(),
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        allow_http: true,
    };
    conforms(Bucket::open(&config).unwrap().of(&format!("shop-{}", std::process::id()))).await;
}

/// What S3 was before it took conditions, and some of what speaks it still is: whatever is put is there.
async fn overwriting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = |request: Request<Incoming>, _| async move {
        let _ = request.into_body().collect().await;
        Response::builder().header("etag", "\"1\"").body(Full::new(Bytes::new())).unwrap()
    };
    tokio::spawn(nearside_host::serve::accept(listener, answer, std::future::pending()));
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_overwrites_gets_no_release_and_no_origin() {
    let given = std::env::var("NEARSIDE_TEST_S3_OVERWRITES").ok();
    let endpoint = match &given {
        Some(endpoint) => endpoint.clone(),
        None => overwriting().await,
    };
    let folder = tempfile::tempdir().unwrap();
    let config = ObjectsConfig {
        url: "s3://nearside/some/prefix".into(),
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        allow_http: true,
    };
    // Without keys in the environment it would look for those of a machine in a cloud.
    if given.is_none() && std::env::var("AWS_ACCESS_KEY_ID").is_err() {
        eprintln!("SKIPPED: no AWS_ACCESS_KEY_ID; scripts/object-stores runs this");
        return;
    }
    let said = "overwrites what it is told to create (`If-None-Match: *`)";
    let bucket = Bucket::open(&config).unwrap().of("shop");
    let error = bucket.create(release(1), "first").await.unwrap_err().to_string();
    assert!(error.contains("s3://nearside/some/prefix") && error.contains(said), "{error}");
    if given.is_some() {
        assert_eq!(bucket.get(release(1), 10).await.unwrap(), None, "nothing was put");
    }

    let engine = Engine::start(&folder.path().join("compiled")).unwrap();
    let origin =
        Config { objects: Some(config), ..Config::new(([127, 0, 0, 1], 0).into(), folder.path().join("data")) };
    let Err(error) = Origin::open(origin, engine, Logbook::new()).await else { panic!("it starts") };
    assert!(error.to_string().contains(said), "{error}");
}

#[tokio::test]
async fn what_fails_says_where() {
    let config = |url: &str, endpoint: Option<&str>| ObjectsConfig {
        url: url.into(),
        endpoint: endpoint.map(str::to_owned),
        region: None,
        allow_http: false,
    };
    for (config, expected) in [
        (config("ftp://x", None), "ftp://x: `file:///folder` or `s3://bucket/prefix` expected"),
        (config("s3:///x", None), "names no bucket"),
        (config("s3://x", Some("http://127.0.0.1:1")), "http://127.0.0.1:1 is not encrypted"),
    ] {
        let Err(error) = Bucket::open(&config) else { panic!("{config:?}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::folder(folder.path()).unwrap().of("shop");
    std::fs::write(folder.path().join("shop"), "a file where a folder is to be").unwrap();
    let error = bucket.put(Name::Head, "1.1").await.unwrap_err().to_string();
    assert!(error.contains(&format!("file://{}", folder.path().display())) && error.contains("shop/head"), "{error}");
}

//! Visitors over TLS: the same answers, the certificate of the name that was asked for, and another one without a restart.

mod support;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nearside_host::{
    certificates::Certificates,
    client_authorities::ClientAuthorities,
    client_certificate::ClientCertificate,
    door::Door,
    redirect, serve,
    tls::{self, Believes},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, pki_types::ServerName};
use support::{Node, probe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

/// An authority of the test's own, and what it has signed.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name would be taken for one another, until a signature is looked at.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {} of a test", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        fs::write(folder.path().join("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::create_dir(folder.path().join("shown")).unwrap();
        Authority { issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("authority.pem")
    }

    fn shown(&self) -> std::path::PathBuf {
        self.folder.path().join("shown")
    }

    /// Puts a new pair for a name into the folder.
    fn sign(&self, name: &str) {
        self.sign_into(&self.shown(), name, |_| {});
    }

    fn sign_into(&self, folder: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(folder.join(format!("{name}.crt")), signed.pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A node that is asked over TLS, on a runtime of the test's.
async fn door(node: &Node, certificates: &Arc<Certificates>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door::showing(listener, Some(certificates)).unwrap();
    tokio::spawn(serve::serve(node.host.clone(), door, std::future::pending()));
    address
}

/// The certificate that is shown for a name, or why there is no handshake.
async fn shown(address: SocketAddr, name: &str, authority: &Path) -> Result<Vec<u8>, String> {
    let config = tls::believing(&Believes { authorities: Some(authority.to_owned()), certificate: None }).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())?;
    Ok(shaken.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

/// Runs a part of a test that waits.
fn run<T>(part: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(part)
}

/// A visitor who speaks one version of HTTP: the status, the version that was spoken, the body.
async fn get(address: SocketAddr, path: &str, version: Version, authority: &Path) -> (u16, Version, Bytes) {
    let mut config = tls::believing(&Believes { authorities: Some(authority.to_owned()), certificate: None }).unwrap();
    let is_2 = version == Version::HTTP_2;
    config.alpn_protocols = vec![if is_2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("probe.localhost").unwrap();
    let stream = TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap());
    let request = Request::get(format!("https://probe.localhost{path}"))
        .header("host", "probe.localhost")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = if is_2 {
        let (mut send, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        send.send_request(request).await.unwrap()
    } else {
        let (mut send, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        send.send_request(request).await.unwrap()
    };
    let (status, version) = (answer.status().as_u16(), answer.version());
    (status, version, answer.into_body().collect().await.unwrap().to_bytes())
}

#[test]
fn visitors_get_the_same_over_tls_by_http_1_and_2() {
    let (node, _folder) = probe();
    let plain = node.get("/hello");
    run(the_same_over_tls(&node, &plain.body));
}

async fn the_same_over_tls(node: &Node, plain: &[u8]) {
    let authority = Authority::new();
    authority.sign("probe.localhost");
    let certificates = Certificates::read(&authority.shown()).unwrap();
    let address = door(node, &certificates).await;

    for version in [Version::HTTP_2, Version::HTTP_11] {
        let (status, spoken, body) = get(address, "/hello", version, &authority.file()).await;
        assert_eq!((status, spoken, &body[..]), (200, version, plain));
    }
    // Who does not speak TLS gets nothing, and is no trouble.
    let site = node.site.clone();
    let wrong = tokio::task::spawn_blocking(move || support::http::request(address, &site, "GET", "/hello", &[], ""));
    assert!(wrong.await.unwrap().map_or(true, |answer| answer.status != 200));
    assert!(shown(address, "probe.localhost", &authority.file()).await.is_ok());
}

#[test]
fn each_name_has_its_certificate_and_a_renewed_one_needs_no_restart() {
    let (node, _folder) = probe();
    run(by_name(&node));
}

async fn by_name(node: &Node) {
    let authority = Authority::new();
    authority.sign("one.example");
    authority.sign("two.example");
    let certificates = Certificates::read(&authority.shown()).unwrap();
    let address = door(node, &certificates).await;
    let first = shown(address, "one.example", &authority.file()).await.unwrap();
    assert_ne!(shown(address, "two.example", &authority.file()).await.unwrap(), first);
    // One of several is no answer to a name that none of them has.
    let refused = shown(address, "three.example", &authority.file()).await.unwrap_err();
    assert!(refused.contains("alert"), "{refused}");
    let stranger = shown(address, "one.example", &Authority::new().file()).await.unwrap_err();
    assert!(stranger.contains("invalid peer certificate"), "{stranger}");

    let following = tokio::spawn(certificates.clone().follow());
    authority.sign("one.example");
    authority.sign("three.example");
    let mut renewed = first.clone();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        renewed = shown(address, "one.example", &authority.file()).await.unwrap();
        if renewed != first {
            break;
        }
    }
    assert_ne!(renewed, first);
    assert!(shown(address, "three.example", &authority.file()).await.is_ok());
    following.abort();
}

#[test]
fn who_comes_without_is_sent_on() {
    let (node, _folder) = probe();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(redirect::serve(node.host.clone(), listener, 8443, std::future::pending()));
    let ask = |method: &str, site: &str| support::http::request(address, site, method, "/a%20b?c=d", &[], "").unwrap();
    let sent_on = ask("GET", "probe.localhost");
    assert_eq!((sent_on.status, sent_on.header("location")), (308, "https://probe.localhost:8443/a%20b?c=d"));
    assert_eq!(ask("POST", "probe.localhost").status, 403, "what was typed in is not sent twice");
    for elsewhere in ["shop.example", "probe.localhost.example", "probe.localhost\\@evil", "evil"] {
        let answer = ask("GET", elsewhere);
        assert_eq!((answer.status, answer.header("location")), (404, ""), "{elsewhere}");
    }
}

#[test]
fn who_shows_no_certificate_of_these_authorities_is_refused_at_the_handshake() {
    let (node, _folder) = probe();
    run(asked_for_certificates(&node));
}

/// Whether somebody is let in, and answered.
async fn let_in(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("probe.localhost").unwrap();
    let mut stream = TlsConnector::from(config.clone()).connect(name, stream).await.map_err(told)?;
    // The client is done with its part of a handshake before the server has looked at its certificate.
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n\r\n")
        .await
        .map_err(told)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(told)?;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

async fn asked_for_certificates(node: &Node) {
    let (own, nodes, others) = (Authority::new(), Authority::new(), Authority::new());
    own.sign("probe.localhost");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::copy(nodes.file(), path("nodes.pem")).unwrap();
    let certificates = Certificates::read(&own.shown()).unwrap();
    let clients = ClientAuthorities::read(&path("nodes.pem")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door::asking(listener, Some(&certificates), Some(&clients)).unwrap();
    tokio::spawn(serve::serve(node.host.clone(), door, std::future::pending()));

    let config = |certificate| {
        let believes = Believes { authorities: Some(own.file()), certificate };
        Arc::new(tls::believing(&believes).unwrap())
    };
    let read = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
        ClientCertificate::read(&certificate, &key).unwrap()
    };
    let signed = |authority: &Authority, name: &str, years: std::ops::Range<i32>| {
        authority.sign_into(folder.path(), name, |params| {
            params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        });
        read(name)
    };
    let refused = async |config: &Arc<ClientConfig>, why: &str| {
        let error = let_in(address, config).await.unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused(&config(None), "CertificateRequired").await;
    refused(&config(Some(signed(&others, "stranger", 2020..2100))), "UnknownCA").await;
    refused(&config(Some(signed(&nodes, "over", 2020..2021))), "CertificateExpired").await;
    refused(&config(Some(signed(&nodes, "early", 2090..2100))), "alert").await;
    let shown = signed(&nodes, "node", 2020..2100);
    assert_eq!(shown.ends().at_s, 4_102_444_800);
    let node = config(Some(shown.clone()));
    let_in(address, &node).await.unwrap();
    let_in(address, &node).await.unwrap();

    // Another authority, and a certificate of it, without a restart; who has been here before is asked again.
    let following = [tokio::spawn(clients.clone().follow()), tokio::spawn(shown.clone().follow())];
    let before = config(Some(read("node")));
    let_in(address, &before).await.unwrap();
    fs::copy(others.file(), path("nodes.pem")).unwrap();
    others.sign_into(folder.path(), "node", |_| {});
    let mut outcome = Ok(());
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        outcome =
            let_in(address, &node).await.and(let_in(address, &before).await.err().map(drop).ok_or("let in".into()));
        if outcome.is_ok() {
            break;
        }
    }
    outcome.unwrap();
    refused(&before, "UnknownCA").await;
    following.iter().for_each(tokio::task::JoinHandle::abort);

    // What cannot be used is told, and what was before is believed.
    fs::write(path("nodes.pem"), "nonsense").unwrap();
    assert!(clients.read_again().unwrap_err().to_string().contains("no certificate of an authority"));
    let_in(address, &node).await.unwrap();
    assert!(ClientAuthorities::read(&path("nodes.pem")).is_err() && ClientAuthorities::read(&path("none")).is_err());
    fs::copy(path("stranger.key"), path("node.key")).unwrap();
    assert!(shown.read_again().unwrap_err().to_string().contains("not the key of"));
    let_in(address, &node).await.unwrap();
}

//! Visitors over TLS: the same answers, the certificate of the name that was asked for, and another one without a restart.

mod support;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nearside_host::{certificates::Certificates, door::Door, redirect, serve, tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use support::{Node, probe};
use tokio::net::{TcpListener, TcpStream};
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
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
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
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.shown().join(format!("{name}.crt")), signed.pem()).unwrap();
        fs::write(self.shown().join(format!("{name}.key")), key.serialize_pem()).unwrap();
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
    let config = tls::believing(Some(authority)).unwrap();
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
    let mut config = tls::believing(Some(authority)).unwrap();
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

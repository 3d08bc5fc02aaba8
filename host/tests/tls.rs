//! Visitors over TLS: the same answers, the certificate of the name that was asked for, and another one without a restart.

mod support;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
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

    for both in [true, false] {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let config = tls::believing(Some(&authority.file())).unwrap();
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
        let https = match both {
            true => https.enable_all_versions().wrap_connector(tcp),
            false => https.enable_http1().wrap_connector(tcp),
        };
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
        // `*.localhost` is this machine.
        for _ in 0..2 {
            let uri = format!("https://probe.localhost:{}/hello", address.port()).parse().unwrap();
            let answer = client.get(uri).await.unwrap();
            let expected = if both { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
            assert_eq!((answer.status().as_u16(), answer.version()), (200, expected));
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), plain);
        }
    }
    // Who does not speak TLS gets nothing, and is no trouble.
    let site = node.site.clone();
    let wrong = tokio::task::spawn_blocking(move || support::http::request(address, &site, "GET", "/hello", &[], ""));
    assert!(wrong.await.unwrap().is_err());
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
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");

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

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_without_is_sent_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(redirect::serve(listener, 8443, std::future::pending()));
    let ask = move |method: &'static str, host: &'static str| {
        tokio::task::block_in_place(|| support::http::request(address, host, method, "/a%20b?c=d", &[], "").unwrap())
    };
    let sent_on = ask("GET", "shop.example");
    assert_eq!((sent_on.status, sent_on.header("location")), (308, "https://shop.example:8443/a%20b?c=d"));
    assert_eq!(ask("POST", "shop.example").status, 403, "what was typed in is not sent twice");
    assert_eq!(ask("GET", "shop.example\\@evil").status, 400);
}

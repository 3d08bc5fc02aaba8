//! Everything between visitor, node and origin over TLS: pushing, pulling, reading, writing, with an authority of one's own.

mod support;

use std::{fs, path::Path, process::Command};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use support::{
    Node, eventually, module,
    process::{Process, run, text},
};

/// Makes an authority, `authority.pem`, and a pair for these names in a folder `shown`.
fn certificates(folder: &Path, names: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("the authority of {}", folder.display()));
    fs::write(folder.join("authority.pem"), params.self_signed(&authority).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    fs::create_dir(folder.join("shown")).unwrap();
    fs::write(folder.join("shown/one.crt"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(folder.join("shown/one.key"), key.serialize_pem()).unwrap();
}

#[test]
fn a_site_over_tls_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    certificates(folder.path(), &["127.0.0.1", "probe.localhost"]);
    let (shown, authority, data) = (path("shown"), path("authority.pem"), path("origin"));
    let listening = ["origin", "--listen", "127.0.0.1:0", "--data", text(&data), "--certificates", text(&shown)];
    let mut origin = Process::start(&path("origin.log"), &listening);
    let url = format!("https://{}", origin.address().expect("the origin starts"));
    let token = path("origin/token");
    let access = ["--origin", &url, "--token-file", text(&token), "--origin-ca", text(&authority)];

    let app = module("probe");
    let unbelieved = run(&["push", text(&app), "--origin", &url, "--token-file", text(&token)]);
    assert!(unbelieved.err.contains("UnknownIssuer") || unbelieved.err.contains("certificate"), "{}", unbelieved.err);
    run(&[&["push", text(&app)], &access[..]].concat()).went_well();

    let more = [&access[..], &["--certificates", text(&shown), "--redirect", "127.0.0.1:0"]].concat();
    let node = Node::start_with(folder.path(), "a", &more);
    node.wait_for_apps(1);
    assert_eq!(node.status()["certificates"][0]["name"], "probe.localhost");

    // A visitor of today: HTTP/2, and a write that shows at once.
    let ask = |arguments: &[&str]| {
        let site = format!("probe.localhost:{}:127.0.0.1", node.address.port());
        let at = format!("https://probe.localhost:{}", node.address.port());
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "--cacert", text(&authority), "--resolve", &site]);
        let arguments: Vec<String> = arguments.iter().map(|one| one.replace("SITE", &at)).collect();
        let done = curl.args(arguments).output().expect("curl is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(ask(&["-o", "/dev/null", "-w", "%{http_version} %{http_code}", "SITE/hello"]), "2 200");
    let before = ask(&["SITE/pair"]);
    let jar = path("cookies");
    let jar = text(&jar);
    assert!(ask(&["-X", "POST", "-c", jar, "SITE/bump"]).starts_with("applied "));
    assert_ne!(ask(&["-b", jar, "SITE/pair"]), before, "whoever wrote sees it");
    let heard = || node.status()["origin"]["heard_ms_ago"].as_u64().filter(|ago| *ago < 5_000);
    eventually("the origin is heard over TLS", heard);
}

#[test]
fn an_origin_that_asks_for_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    certificates(&path("origins"), &["127.0.0.1"]);
    certificates(&path("nodes"), &["a-node"]);
    let (shown, authority, nodes) = (path("origins/shown"), path("origins/authority.pem"), path("nodes/authority.pem"));
    let data = path("origin");
    let listening = ["origin", "--listen", "127.0.0.1:0", "--data", text(&data), "--client-ca", text(&nodes)];
    run(&listening).failed_with(&["client_ca asks for certificates", "it takes `certificates` as well"]);
    let mut origin = Process::start(&path("origin.log"), &[&listening[..], &["--certificates", text(&shown)]].concat());
    let url = format!("https://{}", origin.address().expect("the origin starts"));
    let token = path("origin/token");
    let access = ["--origin", &url, "--token-file", text(&token), "--origin-ca", text(&authority)];
    let (certificate, key, other) =
        (path("nodes/shown/one.crt"), path("nodes/shown/one.key"), path("origins/shown/one.crt"));
    let by = ["--origin-certificate", text(&certificate), "--origin-key", text(&key)];

    let app = module("probe");
    let push = |more: &[&str]| run(&[&["push", text(&app)], &access[..], more].concat());
    // The alert, if the connection's end does not come before it.
    let is_refused = |why: &str, alert: &str| why.contains(alert) || why.contains("asks for a certificate");
    let none = push(&[]);
    assert!(none.code == Some(1) && is_refused(&none.err, "CertificateRequired"), "{none:?}");
    // Its key is found beside it; its authority is not believed.
    let stranger = push(&["--origin-certificate", text(&other)]);
    assert!(stranger.code == Some(1) && is_refused(&stranger.err, "UnknownCA"), "{stranger:?}");
    push(&["--origin-key", text(&key)]).failed_with(&["is the key of no certificate"]);
    push(&by).went_well();
    run(&[&["token", "list"], &access[..], &by].concat()).went_well();

    let node = Node::start_with(folder.path(), "a", &[&access[..], &by].concat());
    node.wait_for_apps(1);
    assert_eq!(node.status()["certificates"][0]["name"], "shown to the origin");
    let without = Node::start_with(folder.path(), "b", &access);
    let told = |node: &Node| node.status()["origin"]["last_error"].as_str().map(str::to_owned);
    let why = eventually("the origin does not talk to one without", || told(&without));
    assert!(is_refused(&why, "CertificateRequired"), "{why}");
    assert_eq!(without.status()["apps"], serde_json::json!({}));
}

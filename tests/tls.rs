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
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority of a test");
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

use super::*;

fn key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn manifest() -> Manifest {
    let app_digest = Digest::of(b"app");
    Manifest {
        format: FORMAT,
        app: "packages".into(),
        database: DatabaseId("d".into()),
        release: ReleaseId { epoch: 1, seq: 2 },
        parent: Some(ReleaseId { epoch: 1, seq: 1 }),
        created_at_ms: 1,
        applied_commit: 3,
        page_count: 4,
        root: Digest::of(b"root"),
        rolled_back_to: None,
        candidate: None,
        deltas: vec![DeltaOffer {
            from_release: ReleaseId { epoch: 1, seq: 1 },
            from: Digest::of(b"before"),
            pages: 2,
            bytes: 100,
        }],
        base: Some(BaseOffer {
            release: ReleaseId { epoch: 1, seq: 1 },
            root: Digest::of(b"before"),
            page_count: 4,
            bytes: 900,
        }),
        app_digest,
        app_archive_bytes: 5,
        app_vouched: AppVoucher::sign("packages", &app_digest, &key()),
        variables: BTreeMap::new(),
        secrets: None,
        fingerprint: Digest::of(b"fingerprint"),
    }
}

fn candidate(nodes: &[&str]) -> Manifest {
    let nodes = nodes.iter().map(|&node| node.to_owned()).collect();
    Manifest { format: FORMAT_OF_CANDIDATES, candidate: Some(Candidacy { since_ms: 7, nodes }), ..manifest() }
}

fn trusted(key: &SecretKey, roles: Roles) -> TrustedKey {
    TrustedKey { key: key.public(), roles }
}

#[test]
fn only_a_trusted_and_untouched_manifest_is_read() {
    let (key, stranger) = (key(), SecretKey::from_seed([2; 32]));
    let both = [trusted(&key, Roles::Both)];
    let signed = SignedManifest::sign(&manifest(), &key);
    assert_eq!(signed.verify(&both).unwrap(), manifest());
    assert_eq!(signed.own(&key.public()).unwrap(), manifest());

    let foreign = SignedManifest::sign(&manifest(), &stranger);
    assert_eq!(foreign.verify(&both), Err(Untrusted::UnknownKey(stranger.public().id())));

    let mut touched = signed.clone();
    touched.manifest = touched.manifest.replace("\"page_count\":4", "\"page_count\":5");
    assert_eq!(touched.verify(&both), Err(Untrusted::WrongSignature));

    for (format, name) in [(9, "future_format"), (1, "past_format")] {
        let other = SignedManifest::sign(&Manifest { format, ..manifest() }, &key);
        assert_eq!(other.verify(&both).unwrap_err().name(), name);
    }
    let offer = manifest().deltas.remove(0);
    for absurd in [
        Manifest { page_count: 0, ..manifest() },
        Manifest { page_count: 1 << 32, ..manifest() },
        Manifest { app: "../up".into(), ..manifest() },
        Manifest { deltas: vec![offer; limits::DELTA_OFFERS + 1], ..manifest() },
        Manifest { format: FORMAT_OF_CANDIDATES, ..manifest() },
        Manifest { format: FORMAT, ..candidate(&["a"]) },
        candidate(&[]),
        candidate(&["a", "b\n"]),
    ] {
        assert_eq!(SignedManifest::sign(&absurd, &key).verify(&both).unwrap_err().name(), "malformed");
    }
}

#[test]
fn each_signature_needs_a_key_of_its_role() {
    let (origin, developer) = (key(), SecretKey::from_seed([2; 32]));
    let vouched = AppVoucher::sign("packages", &Digest::of(b"app"), &developer);
    let signed = SignedManifest::sign(&Manifest { app_vouched: vouched, ..manifest() }, &origin);
    let verify = |origin_has, developer_has| {
        let trusted = [trusted(&origin, origin_has), trusted(&developer, developer_has)];
        signed.verify(&trusted).map(drop).map_err(|why| why.name())
    };
    assert_eq!(verify(Roles::Data, Roles::App), Ok(()));
    assert_eq!(verify(Roles::Both, Roles::Both), Ok(()));
    assert_eq!(verify(Roles::App, Roles::App), Err("key_without_role"));
    assert_eq!(verify(Roles::Data, Roles::Data), Err("app_key_without_role"));
    assert_eq!(signed.verify(&[trusted(&origin, Roles::Both)]).unwrap_err().name(), "unknown_app_key");

    // Whoever has the origin's key and not the developer's cannot bring in other code.
    let other = Manifest { app_digest: Digest::of(b"other"), ..serde_json::from_str(&signed.manifest).unwrap() };
    let nodes = [trusted(&origin, Roles::Data), trusted(&developer, Roles::App)];
    let forged = SignedManifest::sign(&other, &origin);
    assert_eq!(forged.verify(&nodes), Err(Untrusted::WrongAppSignature));
    let own = AppVoucher::sign("packages", &other.app_digest, &origin);
    let forged = SignedManifest::sign(&Manifest { app_vouched: own, ..other }, &origin);
    assert_eq!(forged.verify(&nodes).unwrap_err().name(), "app_key_without_role");

    // A key listed twice, once for each role, has both.
    let twice = [trusted(&origin, Roles::App), trusted(&origin, Roles::Data), trusted(&developer, Roles::App)];
    assert!(signed.verify(&twice).is_ok());
}

/// One bit wrong anywhere in what is sent, and it is not taken.
#[test]
fn no_touched_byte_is_believed() {
    let trusted = [trusted(&key(), Roles::Both)];
    let sent = serde_json::to_vec(&SignedManifest::sign(&manifest(), &key())).unwrap();
    for at in 0..sent.len() {
        for bit in 0..8 {
            let mut touched = sent.clone();
            touched[at] ^= 1 << bit;
            let taken =
                serde_json::from_slice::<SignedManifest>(&touched).ok().and_then(|signed| signed.verify(&trusted).ok());
            assert_eq!(taken, None, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn releases_are_ordered_by_epoch_first() {
    let id = |text: &str| text.parse::<ReleaseId>().unwrap();
    assert!(id("1.9") < id("1.10") && id("1.10") < id("2.0"));
    for nonsense in ["", "1", "1.", ".1", "1.2.3", "a.b", "-1.2", "+1.2", "01.2"] {
        assert!(nonsense.parse::<ReleaseId>().is_err(), "{nonsense}");
    }
}

#[test]
fn a_candidate_is_for_the_nodes_it_names_and_says_so_in_what_is_signed() {
    let key = key();
    let both = [trusted(&key, Roles::Both)];
    let signed = SignedManifest::sign(&candidate(&["a", "b"]), &key);
    let read = signed.verify(&both).unwrap();
    assert_eq!(read, candidate(&["a", "b"]));
    assert!(read.is_for("a") && read.is_for("b") && !read.is_for("c"));
    assert!(manifest().is_for("c"));
    // A release for everyone reads as it always did, so that older nodes go on.
    assert!(!SignedManifest::sign(&manifest(), &key).manifest.contains("candidate"));
    let forged = SignedManifest { manifest: signed.manifest.replace("\"b\"", "\"c\""), ..signed };
    assert_eq!(forged.verify(&both), Err(Untrusted::WrongSignature));
}

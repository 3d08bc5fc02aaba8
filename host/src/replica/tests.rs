use super::*;
use nearside_protocol::{
    key::SecretKey, limits::PAGE_BYTES, release::DatabaseId, trust::TrustedKey, voucher::AppVoucher,
};

struct Fixture {
    folder: tempfile::TempDir,
    key: SecretKey,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture { folder: tempfile::tempdir().unwrap(), key: SecretKey::from_seed([3; 32]) }
    }

    fn app(&self) -> AppReplica {
        Replica::open(self.folder.path()).unwrap().app("a").unwrap()
    }

    fn install(&self, app: &AppReplica, seq: u64) -> Manifest {
        let newest = app.pages().newest();
        let mut draft = app.pages().draft(newest.as_ref().map(|kept| &kept.table));
        for number in 0..3 {
            draft.put(number, &[seq as u8; PAGE_BYTES]).unwrap();
        }
        let archive = format!("archive {seq}").into_bytes();
        let app_digest = Digest::of(&archive);
        let manifest = Manifest {
            format: nearside_protocol::release::FORMAT,
            app: "a".into(),
            database: DatabaseId("d".into()),
            release: ReleaseId { epoch: 1, seq },
            parent: None,
            created_at_ms: 0,
            applied_commit: seq,
            page_count: 3,
            root: draft.root(),
            rolled_back_to: None,
            candidate: None,
            deltas: vec![],
            base: None,
            app_digest,
            app_archive_bytes: archive.len() as u64,
            app_vouched: AppVoucher::sign("a", &app_digest, &self.key),
            variables: Default::default(),
            secrets: None,
            fingerprint: Digest::of(b""),
        };
        app.put_archive(&app_digest, &archive).unwrap();
        app.commit(draft, manifest.release, SignedManifest::sign(&manifest, &self.key)).unwrap();
        app.retire();
        manifest
    }
}

#[test]
fn the_newest_two_releases_are_kept_with_what_they_are_made_of() {
    let fixture = Fixture::new();
    let app = fixture.app();
    let manifests: Vec<_> = (1..=3).map(|seq| fixture.install(&app, seq)).collect();
    drop(app);
    // Opened anew, as after a start.
    let app = fixture.app();
    let kept: Vec<ReleaseId> = app.pages().kept().iter().map(|kept| kept.release).collect();
    assert_eq!(kept, [manifests[1].release, manifests[2].release]);
    let trusted = [TrustedKey::with_both(fixture.key.public())];
    let verified: Vec<Manifest> = app.pages().kept().iter().map(|kept| kept.signed.verify(&trusted).unwrap()).collect();
    assert_eq!(verified, manifests[1..]);
    assert!(app.archive(&manifests[0].app_digest).is_err() && app.archive(&manifests[1].app_digest).is_ok());
}

#[test]
fn a_damaged_archive_is_told() {
    let fixture = Fixture::new();
    let app = fixture.app();
    let manifest = fixture.install(&app, 1);
    fs::write(app.archive_path(&manifest.app_digest), b"other").unwrap();
    assert!(matches!(app.archive(&manifest.app_digest), Err(ReplicaError::Damaged(_))));
    assert!(matches!(app.put_archive(&manifest.app_digest, b"other"), Err(ReplicaError::Damaged(_))));
}

#[test]
fn what_an_earlier_version_left_goes_with_the_first_release() {
    let fixture = Fixture::new();
    let app = fixture.app();
    for file in ["snapshots/abc.db", "releases/1.1.json", "CURRENT"] {
        let path = app.folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"old").unwrap();
    }
    fixture.install(&app, 1);
    let there = |name: &str| app.folder.join(name).exists();
    assert!(!there("snapshots") && !there("releases") && !there("CURRENT") && there("archives"));
}

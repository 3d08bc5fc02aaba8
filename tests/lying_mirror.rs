//! Whoever stands between a node and its origin can keep news from it, and nothing else: each lie is refused by its name,
//! counted, and what was served before is served on.

mod support;

use std::sync::{Arc, Mutex};

use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    release::{DatabaseId, Manifest, ReleaseId, SignedManifest},
};
use support::{Node, Origin, app::module, eventually, http::Answer, mirror::Mirror, node::Release, probe};

struct Between {
    origin: Origin,
    mirror: Mirror,
    node: Node,
    key: SecretKey,
    _folder: tempfile::TempDir,
}

impl Between {
    fn start() -> Between {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::start(folder.path(), "");
        origin.push(&module("probe")).went_well();
        let mirror = Mirror::of(origin.address);
        let node = Node::start_at(folder.path(), "a", &format!("http://{}", mirror.address), &origin.token_file());
        node.wait_for_apps(1);
        let key = std::fs::read_to_string(origin.data().join("signing.key")).unwrap().parse().unwrap();
        Between { origin, mirror, node, key, _folder: folder }
    }

    fn refusals(&self, reason: &str) -> u64 {
        self.node.status()["refusals"][reason].as_u64().unwrap_or(0)
    }

    /// Lies about the next release, which must be refused by one of these names; then it is told the truth about one more.
    fn refused(
        &self,
        what: &str,
        reasons: &[&str],
        lie: impl FnMut(&str, &Answer) -> Option<Vec<u8>> + Send + 'static,
    ) {
        let count = || reasons.iter().map(|reason| self.refusals(reason)).sum::<u64>();
        let key = |word: &str| format!("{}-{word}", what.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
        let (before, served) = (count(), self.node.release("probe").unwrap());
        self.mirror.lies(lie);
        let lied_about = probe::bump_once(self.node.address, &key("lie")).n;
        eventually(&format!("{what}: refused as one of {reasons:?}; {}", self.node.status()["refusals"]), || {
            (count() > before).then_some(())
        });
        assert_eq!(self.node.release("probe"), Some(served), "{what}");
        let shown = probe::pair(&probe::get(self.node.address, "/pair"));
        assert!(shown < lied_about, "{what}: {shown} is shown");

        self.mirror.tells_the_truth();
        let told = probe::bump_once(self.node.address, &key("truth")).n;
        eventually(&format!("{what}: the truth is served after it"), || {
            (probe::pair(&probe::get(self.node.address, "/pair")) == told).then_some(())
        });
    }

    /// The manifest that is signed there, changed, and signed again by the origin's own key.
    fn forged<C: Fn(&mut Manifest) + Send + 'static>(
        &self,
        change: C,
    ) -> impl FnMut(&str, &Answer) -> Option<Vec<u8>> + Send + use<C> {
        let key = self.key.clone();
        move |path, answer| {
            if !path.contains("/releases/") {
                return None;
            }
            let signed: SignedManifest = serde_json::from_slice(&answer.body).unwrap();
            let mut manifest: Manifest = serde_json::from_str(&signed.manifest).unwrap();
            change(&mut manifest);
            Some(serde_json::to_vec(&SignedManifest::sign(&manifest, &key)).unwrap())
        }
    }
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    bytes
}

fn is_object(path: &str) -> bool {
    path.contains("/deltas/") || path.contains("/bases/")
}

#[test]
fn every_lie_is_refused_by_its_name() {
    let between = Between::start();
    for part in 0..8 {
        let names = ["wrong_signature", "malformed", "unknown_key"];
        between.refused(&format!("manifest, part {part}"), &names, move |path, answer| {
            let at = answer.body.len() * part / 8 + 3;
            path.contains("/releases/").then(|| flipped(&answer.body, at))
        });
    }
    for part in 0..8 {
        between.refused(&format!("object, part {part}"), &["broken_object", "wrong_hash"], move |path, answer| {
            is_object(path).then(|| flipped(&answer.body, answer.body.len() * part / 8 + 5))
        });
    }
    between.refused("an object cut short", &["broken_object"], |path, answer| {
        is_object(path).then(|| answer.body[..answer.body.len() - 9].to_vec())
    });
    between.refused("an object that goes on", &["oversized"], |path, answer| {
        is_object(path).then(|| [&answer.body[..], &[0; 99]].concat())
    });
    between.refused("a format of the future", &["future_format"], between.forged(|manifest| manifest.format = 99));
    between.refused(
        "another database",
        &["other_database"],
        between.forged(|manifest| manifest.database = DatabaseId("another".into())),
    );
    between.refused(
        "another root",
        &["broken_object", "wrong_hash", "no_way"],
        between.forged(|manifest| {
            manifest.root = Digest::of(b"another");
            manifest.deltas.clear();
        }),
    );
    between.refused(
        "another release's manifest",
        &["other_release"],
        between.forged(|manifest| {
            manifest.release = ReleaseId { seq: manifest.release.seq + 1, ..manifest.release };
        }),
    );
    between.refused(
        "code nobody vouches for",
        &["wrong_app_signature"],
        between.forged(|manifest| {
            manifest.app_digest = Digest::of(b"other code");
        }),
    );
    let stranger = SecretKey::from_seed([9; 32]);
    between.refused("a stranger's signature", &["unknown_key"], move |path, answer| {
        let signed: SignedManifest =
            path.contains("/releases/").then(|| serde_json::from_slice(&answer.body).unwrap())?;
        let manifest: Manifest = serde_json::from_str(&signed.manifest).unwrap();
        Some(serde_json::to_vec(&SignedManifest::sign(&manifest, &stranger)).unwrap())
    });
    let status = between.node.status();
    println!("refused: {}", status["refusals"]);
}

#[test]
fn an_old_answer_is_no_news_and_does_not_make_a_node_fresh() {
    let between = Between::start();
    let heard: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let listens = heard.clone();
    between.mirror.lies(move |path, answer| {
        if path.contains("/heads") {
            *listens.lock().unwrap() = Some(answer.body.clone());
        }
        None
    });
    let old = eventually("heads are answered", || heard.lock().unwrap().clone());
    between.refused("old heads", &["wrong_nonce"], move |path, _| path.contains("/heads").then(|| old.clone()));
    between.refused(
        "heads with a wrong signature",
        &["wrong_signature", "malformed", "unknown_key"],
        |path, answer| {
            path.contains("/heads").then(|| {
                let name = b"\"signature\":\"";
                let at = answer.body.windows(name.len()).position(|part| part == name).unwrap();
                flipped(&answer.body, at + name.len())
            })
        },
    );
    let behind = || between.node.status()["apps"]["probe"]["behind_at_most_ms"].as_u64();
    eventually("the node is fresh", || behind().filter(|behind| *behind < 10_000));
    assert!(between.node.release("probe") > Some(Release(1, 1)));
    assert!(between.origin.status()["apps"]["probe"]["release"].is_string());
}

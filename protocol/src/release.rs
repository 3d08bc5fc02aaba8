//! Releases: one app version and one snapshot, named together by one signed manifest.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    digest::{Digest, PartsHasher},
    key::{KeyId, PublicKey, SecretKey},
};

/// The only manifest format there is so far.
pub const FORMAT: u32 = 1;

/// Signed text begins with this, so that a signature over a manifest can stand for nothing else.
const SIGNING_CONTEXT: &[u8] = b"nearside release manifest v1\n";

/// `epoch.seq`: a node never goes to a lower one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReleaseId {
    pub epoch: u64,
    pub seq: u64,
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a release: `epoch.seq` expected, like `1.42`")]
pub struct NotARelease(String);

impl FromStr for ReleaseId {
    type Err = NotARelease;

    fn from_str(text: &str) -> Result<ReleaseId, NotARelease> {
        let id = || {
            let (epoch, seq) = text.split_once('.')?;
            Some(ReleaseId { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
        };
        id().ok_or_else(|| NotARelease(text.to_owned()))
    }
}

impl Serialize for ReleaseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReleaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ReleaseId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which database this is: made once, with the write store. Another database's releases are refused.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DatabaseId(pub String);

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a release is made of.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub app: String,
    pub database: DatabaseId,
    pub release: ReleaseId,
    pub parent: Option<ReleaseId>,
    /// Unix time, milliseconds.
    pub created_at_ms: u64,
    /// The last commit of the write store that this snapshot contains.
    pub applied_commit: u64,
    pub page_count: u64,
    /// Root of the [`crate::digest::PageTree`] over the snapshot's pages; also the snapshot's object name.
    pub root: Digest,
    /// Digest of the app's archive; also its object name.
    pub app_digest: Digest,
    pub app_archive_bytes: u64,
    pub variables: BTreeMap<String, String>,
    /// Digest of the app's [`crate::secrets::Secrets`], which travel apart; absent when it declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Digest>,
    /// Everything but the pages that a response depends on.
    pub fingerprint: Digest,
}

impl Manifest {
    pub fn database_bytes(&self) -> u64 {
        self.page_count * crate::limits::PAGE_BYTES as u64
    }
}

/// The digest of all a response depends on besides the pages it read.
pub fn fingerprint(
    app_digest: &Digest,
    variables: &BTreeMap<String, String>,
    secrets: Option<&Digest>,
    read_schema: &str,
    sqlite: &str,
) -> Digest {
    let mut parts =
        PartsHasher::default().part(app_digest.as_bytes()).part(read_schema.as_bytes()).part(sqlite.as_bytes());
    for (name, value) in variables {
        parts = parts.part(name.as_bytes()).part(value.as_bytes());
    }
    if let Some(digest) = secrets {
        parts = parts.part(b"secrets").part(digest.as_bytes());
    }
    parts.finish()
}

/// A manifest's exact text with its signature.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedManifest {
    pub key: KeyId,
    pub signature: String,
    /// The manifest as JSON text: the signature is over these very bytes.
    pub manifest: String,
}

/// Why a node does not take a manifest.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Untrusted {
    #[error("it is signed by key {0}, which is not trusted here")]
    UnknownKey(KeyId),
    #[error("its signature does not fit its text")]
    WrongSignature,
    #[error("its format is {0}; this node reads {FORMAT}: upgrade the node")]
    FutureFormat(u32),
    #[error("it cannot be read: {0}")]
    Malformed(String),
}

impl SignedManifest {
    pub fn sign(manifest: &Manifest, key: &SecretKey) -> SignedManifest {
        let text = serde_json::to_string(manifest).expect("BUG: a manifest is plain data");
        SignedManifest { key: key.public().id(), signature: key.sign(&signed_bytes(&text)), manifest: text }
    }

    /// The manifest, if a trusted key signed it and this version of the software can read it.
    pub fn verify(&self, trusted: &[PublicKey]) -> Result<Manifest, Untrusted> {
        #[derive(Deserialize)]
        struct FormatOnly {
            format: u32,
        }

        let key =
            trusted.iter().find(|key| key.id() == self.key).ok_or_else(|| Untrusted::UnknownKey(self.key.clone()))?;
        if !key.verifies(&signed_bytes(&self.manifest), &self.signature) {
            return Err(Untrusted::WrongSignature);
        }
        let malformed = |error: serde_json::Error| Untrusted::Malformed(error.to_string());
        let FormatOnly { format } = serde_json::from_str(&self.manifest).map_err(malformed)?;
        if format != FORMAT {
            return Err(Untrusted::FutureFormat(format));
        }
        serde_json::from_str(&self.manifest).map_err(malformed)
    }
}

fn signed_bytes(text: &str) -> Vec<u8> {
    [SIGNING_CONTEXT, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
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
            app_digest: Digest::of(b"app"),
            app_archive_bytes: 5,
            variables: BTreeMap::new(),
            secrets: None,
            fingerprint: Digest::of(b"fingerprint"),
        }
    }

    #[test]
    fn only_a_trusted_and_untouched_manifest_is_read() {
        let key = SecretKey::from_seed([1; 32]);
        let stranger = SecretKey::from_seed([2; 32]);
        let trusted = [key.public()];

        let signed = SignedManifest::sign(&manifest(), &key);
        assert_eq!(signed.verify(&trusted).unwrap(), manifest());

        let foreign = SignedManifest::sign(&manifest(), &stranger);
        assert_eq!(foreign.verify(&trusted), Err(Untrusted::UnknownKey(stranger.public().id())));

        let mut touched = signed.clone();
        touched.manifest = touched.manifest.replace("\"page_count\":4", "\"page_count\":5");
        assert_eq!(touched.verify(&trusted), Err(Untrusted::WrongSignature));

        let future = SignedManifest::sign(&Manifest { format: 9, ..manifest() }, &key);
        assert_eq!(future.verify(&trusted), Err(Untrusted::FutureFormat(9)));
    }

    #[test]
    fn releases_are_ordered_by_epoch_first() {
        let id = |text: &str| text.parse::<ReleaseId>().unwrap();
        assert!(id("1.9") < id("1.10") && id("1.10") < id("2.0"));
        for nonsense in ["", "1", "1.", ".1", "1.2.3", "a.b", "-1.2"] {
            assert!(nonsense.parse::<ReleaseId>().is_err(), "{nonsense}");
        }
    }
}

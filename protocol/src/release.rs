//! Releases: one app version and one snapshot, named together by one signed manifest.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    app,
    canary::Candidacy,
    digest::{Digest, PartsHasher},
    key::{KeyId, PublicKey, SecretKey},
    limits,
    trust::{self, Role, Roles, TrustedKey, Unsigned, Untrusted},
    voucher::AppVoucher,
};

/// The manifest format of a release for everyone.
pub const FORMAT: u32 = 2;
/// That of a candidate, which is for some nodes: an older version refuses it by its number.
pub const FORMAT_OF_CANDIDATES: u32 = 3;

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
        // One way to write each: names of files and paths are made of these.
        id().filter(|id: &ReleaseId| id.to_string() == text).ok_or_else(|| NotARelease(text.to_owned()))
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

/// An object that makes the release's pages out of those of another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeltaOffer {
    pub from_release: ReleaseId,
    pub from: Digest,
    /// Pages it holds.
    pub pages: u32,
    pub bytes: u64,
}

/// An object that makes a release's pages out of nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseOffer {
    /// May be an older one: deltas lead on from there.
    pub release: ReleaseId,
    pub root: Digest,
    pub page_count: u64,
    pub bytes: u64,
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
    /// Root of the [`crate::digest::PageTree`] over the snapshot's pages.
    pub root: Digest,
    /// The release whose content this one publishes again; absent unless it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<ReleaseId>,
    /// For whom it is, when it is not for everyone yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidacy>,
    /// Objects that make this root out of another: what a node that has one of those may pull.
    pub deltas: Vec<DeltaOffer>,
    /// The newest whole copy there was when this was signed; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseOffer>,
    /// Digest of the app's archive; also its object name.
    pub app_digest: Digest,
    pub app_archive_bytes: u64,
    /// Who vouches for the app's code.
    pub app_vouched: AppVoucher,
    pub variables: BTreeMap<String, String>,
    /// Digest of the app's [`crate::secrets::Secrets`], which travel apart; absent when it declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Digest>,
    /// Everything but the pages that a response depends on.
    pub fingerprint: Digest,
}

impl Manifest {
    pub fn database_bytes(&self) -> u64 {
        self.page_count.saturating_mul(limits::PAGE_BYTES as u64)
    }

    /// Whether this node may serve it.
    pub fn is_for(&self, node: &str) -> bool {
        self.candidate.as_ref().is_none_or(|candidate| candidate.is_for(node))
    }

    /// What no manifest can say, whoever signs it.
    fn fault(&self) -> Option<&'static str> {
        let pages = 1..=u64::from(u32::MAX);
        let base_fits = self.base.as_ref().is_none_or(|base| pages.contains(&base.page_count));
        if !app::is_name(&self.app) {
            Some("its `app` is not an app's name")
        } else if !pages.contains(&self.page_count) || !base_fits {
            Some("a database has 1 to 4294967295 pages")
        } else if self.deltas.len() > limits::DELTA_OFFERS {
            Some("it offers too many deltas")
        } else if self.candidate.is_some() != (self.format == FORMAT_OF_CANDIDATES) {
            Some("its format is that of candidates, and it is none; or the other way round")
        } else {
            self.candidate.as_ref().and_then(Candidacy::fault)
        }
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

impl SignedManifest {
    pub fn sign(manifest: &Manifest, key: &SecretKey) -> SignedManifest {
        let text = serde_json::to_string(manifest).expect("BUG: a manifest is plain data");
        SignedManifest::sign_text(text, key)
    }

    /// Signs a text that may be anything: for tests of what reads it.
    pub fn sign_text(text: String, key: &SecretKey) -> SignedManifest {
        SignedManifest { key: key.public().id(), signature: key.sign(&signed_bytes(&text)), manifest: text }
    }

    /// The manifest, if a key that is trusted for data signed it, this version of the software can read it, and a key that
    /// is trusted for apps vouches for its code.
    pub fn verify(&self, trusted: &[TrustedKey]) -> Result<Manifest, Untrusted> {
        let manifest = self.signed_by(trusted)?;
        manifest.app_vouched.verify(&manifest.app, &manifest.app_digest, trusted)?;
        Ok(manifest)
    }

    /// The manifest, if this key signed it. Who vouches for the app's code is not looked at: for whoever signed it.
    pub fn own(&self, key: &PublicKey) -> Result<Manifest, Untrusted> {
        self.signed_by(&[TrustedKey { key: key.clone(), roles: Roles::Data }])
    }

    fn signed_by(&self, trusted: &[TrustedKey]) -> Result<Manifest, Untrusted> {
        #[derive(Deserialize)]
        struct FormatOnly {
            format: u32,
        }

        let message = signed_bytes(&self.manifest);
        trust::check(trusted, &self.key, Role::Data, &message, &self.signature).map_err(|why| match why {
            Unsigned::UnknownKey => Untrusted::UnknownKey(self.key.clone()),
            Unsigned::KeyWithoutRole => Untrusted::KeyWithoutRole(self.key.clone()),
            Unsigned::WrongSignature => Untrusted::WrongSignature,
        })?;
        let malformed = |error: serde_json::Error| Untrusted::Malformed(error.to_string());
        let FormatOnly { format } = serde_json::from_str(&self.manifest).map_err(malformed)?;
        if format > FORMAT_OF_CANDIDATES {
            return Err(Untrusted::FutureFormat(format));
        }
        if format < FORMAT {
            return Err(Untrusted::PastFormat(format));
        }
        let manifest: Manifest = serde_json::from_str(&self.manifest).map_err(malformed)?;
        match manifest.fault() {
            None => Ok(manifest),
            Some(fault) => Err(Untrusted::Malformed(fault.to_owned())),
        }
    }
}

fn signed_bytes(text: &str) -> Vec<u8> {
    [SIGNING_CONTEXT, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests;

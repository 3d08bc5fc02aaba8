//! One version of an app as the origin serves it: its archive, and the variables as the operator set them.

use std::{collections::BTreeMap, sync::Arc};

use nearside_host::archive::{Archive, ArchiveError};
use nearside_protocol::{digest::Digest, release::Manifest};

use crate::{
    objects::{ObjectError, Objects, Pin},
    read_database::Shape,
};

#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
}

pub struct AppVersion {
    pub archive: Arc<Archive>,
    pub digest: Digest,
    pub archive_bytes: u64,
    pub variables: BTreeMap<String, String>,
    pub shape: Shape,
    /// While this version may still be published, its archive stays.
    _pin: Pin,
}

impl AppVersion {
    /// A version that was pushed: its archive is stored from here on.
    pub fn pushed(
        objects: &Objects,
        packed: &[u8],
        archive: Arc<Archive>,
        overrides: &BTreeMap<String, String>,
    ) -> Result<AppVersion, VersionError> {
        let (digest, pin) = objects.put_archive(packed)?;
        AppVersion::new(archive, digest, packed.len() as u64, overrides, pin)
    }

    /// The version of a release that was published before.
    pub fn released(
        objects: &Objects,
        manifest: &Manifest,
        overrides: &BTreeMap<String, String>,
    ) -> Result<AppVersion, VersionError> {
        let pin = objects.pin(manifest.app_digest);
        let archive = Archive::unpack(&objects.read_archive(&manifest.app_digest)?)?;
        AppVersion::new(Arc::new(archive), manifest.app_digest, manifest.app_archive_bytes, overrides, pin)
    }

    fn new(
        archive: Arc<Archive>,
        digest: Digest,
        archive_bytes: u64,
        overrides: &BTreeMap<String, String>,
        pin: Pin,
    ) -> Result<AppVersion, VersionError> {
        let variables = set_by_operator(&archive.app.variables, overrides);
        let shape = Shape::of(&archive)?;
        Ok(AppVersion { archive, digest, archive_bytes, variables, shape, _pin: pin })
    }
}

/// The manifest says which variables there are; the operator says what they are, where the manifest's value is not it.
fn set_by_operator(
    declared: &BTreeMap<String, String>,
    overrides: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    declared.iter().map(|(name, value)| (name.clone(), overrides.get(name).unwrap_or(value).clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_sets_variables_the_manifest_declares() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let declared: BTreeMap<_, _> = map(&[("A", "1"), ("B", "2")]);
        assert_eq!(set_by_operator(&declared, &map(&[("B", "3"), ("C", "4")])), map(&[("A", "1"), ("B", "3")]));
    }
}

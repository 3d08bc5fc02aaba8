//! One version of an app as the origin serves it: its archive, and the variables and secrets as the operator set
//! them.

use std::{collections::BTreeMap, sync::Arc};

use nearside_host::archive::{Archive, ArchiveError};
use nearside_protocol::{digest::Digest, secrets::Secrets};

use crate::{
    app_secrets::{self, AppSecretsError},
    config::AppConfig,
    hold::RunningVersion,
    objects::{ObjectError, Objects, Pin},
    read_database::Shape,
};

#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error(transparent)]
    Secrets(#[from] AppSecretsError),
}

pub struct AppVersion {
    pub archive: Arc<Archive>,
    pub digest: Digest,
    pub archive_bytes: u64,
    pub variables: BTreeMap<String, String>,
    secrets: Option<StoredSecrets>,
    pub shape: Shape,
    /// While this version may still be published, its archive stays.
    _pin: Pin,
}

struct StoredSecrets {
    secrets: Secrets,
    digest: Digest,
    _pin: Pin,
}

impl AppVersion {
    /// A version that was pushed: its archive is stored from here on.
    pub fn pushed(
        objects: &Objects,
        packed: &[u8],
        archive: Arc<Archive>,
        settings: &AppConfig,
    ) -> Result<AppVersion, VersionError> {
        let (digest, pin) = objects.put_archive(packed)?;
        AppVersion::new(objects, archive, digest, packed.len() as u64, settings, pin)
    }

    /// A version that was pushed before.
    pub fn stored(objects: &Objects, of: &RunningVersion, settings: &AppConfig) -> Result<AppVersion, VersionError> {
        let pin = objects.pin(of.app_digest);
        let archive = Archive::unpack(&objects.read_archive(&of.app_digest)?)?;
        AppVersion::new(objects, Arc::new(archive), of.app_digest, of.app_archive_bytes, settings, pin)
    }

    fn new(
        objects: &Objects,
        archive: Arc<Archive>,
        digest: Digest,
        archive_bytes: u64,
        settings: &AppConfig,
        pin: Pin,
    ) -> Result<AppVersion, VersionError> {
        let variables = set_by_operator(&archive.app.variables, &settings.variables);
        let secrets = app_secrets::load(objects.folder(), objects.disk(), &archive.app.secrets, &settings.secrets)?;
        let stored = |secrets: Secrets| {
            let (digest, pin) = objects.put_secrets(&secrets)?;
            Ok::<_, ObjectError>(StoredSecrets { secrets, digest, _pin: pin })
        };
        let secrets = secrets.map(stored).transpose()?;
        let shape = Shape::of(&archive)?;
        Ok(AppVersion { archive, digest, archive_bytes, variables, secrets, shape, _pin: pin })
    }

    pub fn secrets(&self) -> Option<&Secrets> {
        self.secrets.as_ref().map(|stored| &stored.secrets)
    }

    pub fn secrets_digest(&self) -> Option<Digest> {
        self.secrets.as_ref().map(|stored| stored.digest)
    }

    /// Variables and secrets together, as components get them.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let secrets = self.secrets().into_iter().flat_map(|secrets| secrets.values.clone());
        self.variables.clone().into_iter().chain(secrets).collect()
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

//! An app's secrets, as they travel from the origin to its nodes: never in a manifest, which anyone may mirror, but in an
//! object of their own that the manifest names by its digest.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Names and values. The salt makes the digest say nothing about values that could be guessed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub salt: String,
    pub values: BTreeMap<String, String>,
}

/// Names only: values belong in no log.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Secrets {
    /// The object's exact bytes, which its digest is of.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: names and values are plain data")
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Reads an object, if it is the one of this digest.
    pub fn read(bytes: &[u8], digest: &Digest) -> Option<Secrets> {
        (Digest::of(bytes) == *digest).then(|| serde_json::from_slice(bytes).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_by_its_digest_and_does_not_show_its_values() {
        let secrets = Secrets { salt: "s".into(), values: [("KEY".into(), "hunter2".into())].into() };
        assert_eq!(Secrets::read(&secrets.to_bytes(), &secrets.digest()), Some(secrets.clone()));
        assert_eq!(Secrets::read(b"{}", &secrets.digest()), None);
        assert_eq!(format!("{secrets:?}"), "{\"KEY\"}");
        let salted = Secrets { salt: "t".into(), ..secrets.clone() };
        assert_ne!(salted.digest(), secrets.digest());
    }
}

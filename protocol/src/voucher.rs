//! Who vouches for an app's code. Apart from the manifest's signature, so that a stolen origin key cannot bring in code.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    key::{KeyId, PublicKey, SecretKey},
    trust::{self, Role, TrustedKey, Unsigned, Untrusted},
};

/// Signed text begins with this, so that a signature over an app can stand for nothing else.
const SIGNING_CONTEXT: &str = "nearside app v1\n";

/// A signature over an app's name and the digest of its archive.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppVoucher {
    pub key: KeyId,
    pub signature: String,
}

impl AppVoucher {
    pub fn sign(app: &str, digest: &Digest, key: &SecretKey) -> AppVoucher {
        AppVoucher { key: key.public().id(), signature: key.sign(signed_text(app, digest).as_bytes()) }
    }

    /// As it travels with a push: with the key itself, so that the origin can hold the one against the other.
    pub fn to_header(&self, key: &PublicKey) -> String {
        format!("{key} {}", self.signature)
    }

    /// Reads what came with a push of this app. The key may be anyone's: nodes decide whom they trust.
    pub fn from_header(text: &str, app: &str, digest: &Digest) -> Result<AppVoucher, BadVoucher> {
        let (key, signature) = text.split_once(' ').ok_or(BadVoucher::Malformed)?;
        let key: PublicKey = key.parse().map_err(|_| BadVoucher::Malformed)?;
        if !key.verifies(signed_text(app, digest).as_bytes(), signature) {
            return Err(BadVoucher::OtherApp);
        }
        Ok(AppVoucher { key: key.id(), signature: signature.to_owned() })
    }

    /// Whether a key that is trusted for apps vouches for this very code.
    pub fn verify(&self, app: &str, digest: &Digest, trusted: &[TrustedKey]) -> Result<(), Untrusted> {
        let message = signed_text(app, digest);
        trust::check(trusted, &self.key, Role::App, message.as_bytes(), &self.signature).map_err(|why| match why {
            Unsigned::UnknownKey => Untrusted::UnknownAppKey(self.key.clone()),
            Unsigned::KeyWithoutRole => Untrusted::AppKeyWithoutRole(self.key.clone()),
            Unsigned::WrongSignature => Untrusted::WrongAppSignature,
        })
    }
}

/// Why the origin does not take a voucher.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BadVoucher {
    #[error("a voucher is a public key and a signature, 64 and 128 hexadecimal digits")]
    Malformed,
    #[error("the voucher is of another app, or of other code, than was pushed")]
    OtherApp,
}

/// The digest has one length, so no other name and digest make the same text.
fn signed_text(app: &str, digest: &Digest) -> String {
    format!("{SIGNING_CONTEXT}{app}\n{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Roles;

    #[test]
    fn a_voucher_is_for_one_app_and_one_code() {
        let key = SecretKey::from_seed([1; 32]);
        let code = Digest::of(b"code");
        let voucher = AppVoucher::sign("shop", &code, &key);
        let trusted = |roles| [TrustedKey { key: key.public(), roles }];
        assert_eq!(voucher.verify("shop", &code, &trusted(Roles::App)), Ok(()));
        assert_eq!(voucher.verify("shop", &code, &trusted(Roles::Both)), Ok(()));

        let refused = |app: &str, code: &Digest, roles| voucher.verify(app, code, &trusted(roles)).unwrap_err().name();
        assert_eq!(refused("shop", &code, Roles::Data), "app_key_without_role");
        assert_eq!(refused("shoq", &code, Roles::App), "wrong_app_signature");
        assert_eq!(refused("shop", &Digest::of(b"other"), Roles::App), "wrong_app_signature");
        assert_eq!(voucher.verify("shop", &code, &[]).unwrap_err().name(), "unknown_app_key");

        let sent = voucher.to_header(&key.public());
        assert_eq!(AppVoucher::from_header(&sent, "shop", &code), Ok(voucher));
        assert_eq!(AppVoucher::from_header(&sent, "other", &code), Err(BadVoucher::OtherApp));
        assert_eq!(AppVoucher::from_header(&sent[1..], "shop", &code), Err(BadVoucher::Malformed));
    }
}

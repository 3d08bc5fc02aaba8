//! Whose word counts for what: keys with roles, and every reason for not believing something signed.

use std::{fmt, str::FromStr};

use crate::{
    key::{KeyId, PublicKey},
    release,
};

/// What a key may say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Which code an app is.
    App,
    /// What a release is: its pages, its number, its settings; and which release is the newest.
    Data,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::App => "app",
            Role::Data => "data",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is not a role: `app`, `data` or `app,data` expected")]
pub struct NotARole(pub String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Role, NotARole> {
        [Role::App, Role::Data].into_iter().find(|role| role.name() == text).ok_or_else(|| NotARole(text.to_owned()))
    }
}

/// At least one role; written as `app,data`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Roles {
    App,
    Data,
    Both,
}

impl Roles {
    pub fn has(self, role: Role) -> bool {
        self == Roles::Both || self == Roles::from(role)
    }

    pub fn with(self, role: Role) -> Roles {
        if self.has(role) { self } else { Roles::Both }
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Roles {
        match role {
            Role::App => Roles::App,
            Role::Data => Roles::Data,
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Roles::App => "app",
            Roles::Data => "data",
            Roles::Both => "app,data",
        })
    }
}

impl FromStr for Roles {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Roles, NotARole> {
        let mut named = text.split(',').map(str::parse::<Role>);
        let first = Roles::from(named.next().ok_or_else(|| NotARole(text.to_owned()))??);
        named.try_fold(first, |roles, role| Ok(roles.with(role?)))
    }
}

/// A key that somebody trusts, and for what.
#[derive(Clone, PartialEq, Debug)]
pub struct TrustedKey {
    pub key: PublicKey,
    pub roles: Roles,
}

impl TrustedKey {
    pub fn with_both(key: PublicKey) -> TrustedKey {
        TrustedKey { key, roles: Roles::Both }
    }
}

/// Why something signed is not believed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Untrusted {
    #[error("it is signed by key {0}, which is not trusted here: if it should be, `nearside key add`")]
    UnknownKey(KeyId),
    #[error("it is signed by key {0}, which is trusted here, but not for data")]
    KeyWithoutRole(KeyId),
    #[error("its signature does not fit its text")]
    WrongSignature,
    #[error("its format is {0}; this version reads {format}: upgrade", format = release::FORMAT)]
    FutureFormat(u32),
    #[error("its format is {0}; this version reads {format} only: the origin publishes anew once it is upgraded", format = release::FORMAT)]
    PastFormat(u32),
    #[error("it cannot be read: {0}")]
    Malformed(String),
    #[error("its app's code is vouched for by key {0}, which is not trusted here: if it should be, `nearside key add`")]
    UnknownAppKey(KeyId),
    #[error("its app's code is vouched for by key {0}, which is trusted here, but not for apps")]
    AppKeyWithoutRole(KeyId),
    #[error("the signature that vouches for its app's code is of other code, or of another app")]
    WrongAppSignature,
    #[error("it answers another question than the one that was asked: an old answer, sent again")]
    WrongNonce,
}

impl Untrusted {
    /// For counters: these names stay.
    pub fn name(&self) -> &'static str {
        match self {
            Untrusted::UnknownKey(_) => "unknown_key",
            Untrusted::KeyWithoutRole(_) => "key_without_role",
            Untrusted::WrongSignature => "wrong_signature",
            Untrusted::FutureFormat(_) => "future_format",
            Untrusted::PastFormat(_) => "past_format",
            Untrusted::Malformed(_) => "malformed",
            Untrusted::UnknownAppKey(_) => "unknown_app_key",
            Untrusted::AppKeyWithoutRole(_) => "app_key_without_role",
            Untrusted::WrongAppSignature => "wrong_app_signature",
            Untrusted::WrongNonce => "wrong_nonce",
        }
    }
}

/// Why no trusted key of the right role stands behind a signature.
pub(crate) enum Unsigned {
    UnknownKey,
    KeyWithoutRole,
    WrongSignature,
}

/// Looks for the key among those trusted, and holds its signature against the message.
pub(crate) fn check(
    trusted: &[TrustedKey],
    id: &KeyId,
    role: Role,
    message: &[u8],
    signature: &str,
) -> Result<(), Unsigned> {
    let known: Vec<&TrustedKey> = trusted.iter().filter(|trusted| trusted.key.id() == *id).collect();
    if known.is_empty() {
        return Err(Unsigned::UnknownKey);
    }
    // A list may name a key twice, once for each role.
    let key = known.iter().find(|known| known.roles.has(role)).ok_or(Unsigned::KeyWithoutRole)?;
    if key.key.verifies(message, signature) { Ok(()) } else { Err(Unsigned::WrongSignature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        for roles in [Roles::App, Roles::Data, Roles::Both] {
            assert_eq!(roles.to_string().parse(), Ok(roles));
        }
        assert_eq!("data,app".parse(), Ok(Roles::Both));
        assert_eq!("data,data".parse(), Ok(Roles::Data));
        for nonsense in ["", ",", "app,", "App", "all", "app data"] {
            assert!(nonsense.parse::<Roles>().is_err(), "{nonsense}");
        }
    }
}

//! Tokens: by what the origin knows who asks, and what they may do.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/tokens` | | [`Tokens`] |
//! | `POST /v1/tokens` | [`Adding`] | [`Token`] |
//! | `DELETE /v1/tokens/{id}` | | [`Token`], which opens nothing from then on |
//!
//! A token is 256 random bits, made where it is asked for. The origin is told its digest and keeps nothing else of it: so much
//! chance is not found by trying, and needs no slow hash.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What tokens begin with, so that those who look for secrets in files know one.
pub const PREFIX: &str = "nearside_";
/// A token's id: so many digits of its digest's own digest.
const ID_DIGITS: usize = 12;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks: status, metrics, the fleet page.
    Reader,
    /// A node: takes releases, hands writes on, tells how it is.
    Node,
    /// Pushes apps and data, promotes, rolls back.
    Publisher,
    /// Everything.
    Operator,
}

/// What is asked of the origin, by who may ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// To be told how things are.
    Look,
    /// To be given releases, which are all of an app's data.
    Pull,
    /// What nodes do for visitors, with an app's secrets.
    Serve,
    /// To change what is released.
    Publish,
    Operate,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Reader, Role::Node, Role::Publisher, Role::Operator];

    pub fn may(self, duty: Duty) -> bool {
        match self {
            Role::Reader => duty == Duty::Look,
            Role::Node => matches!(duty, Duty::Look | Duty::Pull | Duty::Serve),
            Role::Publisher => matches!(duty, Duty::Look | Duty::Pull | Duty::Publish),
            Role::Operator => true,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Node => "node",
            Role::Publisher => "publisher",
            Role::Operator => "operator",
        }
    }

    pub fn with_article(self) -> &'static str {
        match self {
            Role::Reader => "a reader",
            Role::Node => "a node",
            Role::Publisher => "a publisher",
            Role::Operator => "an operator",
        }
    }
}

impl Duty {
    pub const ALL: [Duty; 5] = [Duty::Look, Duty::Pull, Duty::Serve, Duty::Publish, Duty::Operate];

    /// Who may, the least of them first.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.may(self))
    }

    /// `a node, a publisher or an operator`
    pub fn roles_in_words(self) -> String {
        let names: Vec<_> = self.roles().map(Role::with_article).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is no role: reader, node, publisher or operator expected")]
pub struct NoRole(String);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Role, NoRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| NoRole(text.to_owned()))
    }
}

/// Out of 256 random bits.
pub fn text(chance: [u8; 32]) -> String {
    format!("{PREFIX}{}", Digest::from_bytes(chance))
}

/// How people name one of several tokens; it says nothing of the token.
pub fn id(digest: &Digest) -> String {
    Digest::of(digest.as_bytes()).to_string()[..ID_DIGITS].to_owned()
}

/// A token to be kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adding {
    /// As apps' names are. Several tokens may have it, of one role: so one is exchanged for another.
    pub name: String,
    pub role: Role,
    pub digest: Digest,
    /// Unix time, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

/// What is told of a token.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Unix time, milliseconds.
    pub added_at_ms: u64,
    pub expires_at_ms: Option<u64>,
    /// When it was last shown, since the origin started.
    pub used_at_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// By name, old to new.
    pub tokens: Vec<Token>,
}

/// Why a call is refused: by this it is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Refused {
    /// None was shown.
    NoToken,
    /// None that is known here.
    UnknownToken,
    Expired,
    /// It is known, and of another role.
    OtherRole,
}

impl Refused {
    pub const ALL: [Refused; 4] = [Refused::NoToken, Refused::UnknownToken, Refused::Expired, Refused::OtherRole];

    pub fn name(self) -> &'static str {
        match self {
            Refused::NoToken => "no_token",
            Refused::UnknownToken => "unknown_token",
            Refused::Expired => "expired",
            Refused::OtherRole => "other_role",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_do_what() {
        let table: Vec<String> = Duty::ALL
            .into_iter()
            .map(|duty| format!("{duty:?}: {}", duty.roles().map(Role::name).collect::<Vec<_>>().join(" ")))
            .collect();
        assert_eq!(
            table,
            [
                "Look: reader node publisher operator",
                "Pull: node publisher operator",
                "Serve: node operator",
                "Publish: publisher operator",
                "Operate: operator",
            ]
        );
        assert_eq!(Duty::Pull.roles_in_words(), "a node, a publisher or an operator");
        assert_eq!(Duty::Operate.roles_in_words(), "an operator");
    }

    #[test]
    fn roles_have_one_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("admin".parse::<Role>().is_err());
    }

    #[test]
    fn a_token_is_known_and_its_id_is_none_of_its_digits() {
        let text = text([7; 32]);
        assert_eq!(text, format!("nearside_{}", "07".repeat(32)));
        let digest = Digest::of(text.as_bytes());
        assert_eq!(id(&digest).len(), ID_DIGITS);
        assert!(!digest.to_string().contains(&id(&digest)));
    }
}

//! Who may ask: tokens by their digests, in `tokens.json` of the origin's folder; and the first one, an operator's, in a file of
//! its own. What nodes know each other by is made here, too, because it ends when one of them is let in no more.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use nearside_host::disk::Disk;
use nearside_protocol::{
    app,
    digest::Digest,
    heartbeat::SiblingSecret,
    limits,
    token::{self, Adding, Refused, Role, Token},
    unix_time::now_ms,
};
use serde::{Deserialize, Serialize};

use crate::{secrets, state_file};

pub(crate) const FILE: &str = "tokens.json";
/// What the first token is called: no other one can be.
const FIRST: &str = "token file";

/// Who asks, by the token they showed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// None of the first token.
    pub(crate) id: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdded {
    #[error("`{0}` is not a name: 1 to 64 of a-z, 0-9 and `-`, beginning with a letter")]
    Name(String),
    #[error("`{name}` is the name of a token for {}: another role needs another name", .role.with_article())]
    OtherRole { name: String, role: Role },
    #[error("{most} tokens are here already; that is the most: remove those that are not used", most = limits::TOKENS)]
    TooMany,
    #[error("it ends before it begins")]
    Ends,
    #[error("it is here already")]
    Known,
    #[error("it cannot be written down: {0}")]
    Disk(#[from] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRemoved {
    #[error("there is no token {0}")]
    Unknown(String),
    #[error("it cannot be written down: {0}")]
    Disk(#[from] io::Error),
}

#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    name: String,
    role: Role,
    digest: Digest,
    /// Unix time, milliseconds.
    added_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
}

struct Entry {
    kept: Kept,
    /// Unix time, milliseconds; 0 before it is shown.
    used_at_ms: AtomicU64,
}

impl Entry {
    fn is_over(&self) -> bool {
        self.kept.expires_at_ms.is_some_and(|end| now_ms() >= end)
    }

    fn holder(&self) -> Holder {
        let Kept { name, role, digest, .. } = &self.kept;
        Holder { name: name.clone(), role: *role, id: Some(token::id(digest)) }
    }

    fn told(&self) -> Token {
        let Kept { name, role, digest, added_at_ms, expires_at_ms } = self.kept.clone();
        let used_at_ms = Some(self.used_at_ms.load(Ordering::Relaxed)).filter(|at| *at > 0);
        Token { id: token::id(&digest), name, role, added_at_ms, expires_at_ms, used_at_ms }
    }
}

pub(crate) struct Tokens {
    first: secrets::Token,
    folder: PathBuf,
    entries: RwLock<Vec<Arc<Entry>>>,
    /// One change at a time: what is on disk is what is taken.
    changing: Mutex<()>,
    secret: Mutex<(SiblingSecret, Instant)>,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl Tokens {
    pub(crate) fn open(folder: &Path, first: secrets::Token) -> io::Result<Tokens> {
        let kept: Vec<Kept> = state_file::load(folder, FILE)?.unwrap_or_default();
        let entry = |kept| Arc::new(Entry { kept, used_at_ms: AtomicU64::new(0) });
        Ok(Tokens {
            first,
            folder: folder.to_owned(),
            entries: RwLock::new(kept.into_iter().map(entry).collect()),
            changing: Mutex::new(()),
            secret: Mutex::new((new_secret()?, Instant::now())),
            refused: Default::default(),
        })
    }

    /// What an operator shows first.
    pub(crate) fn first(&self) -> &str {
        self.first.text()
    }

    /// Who shows this.
    pub(crate) fn holder(&self, shown: Option<&str>) -> Result<Holder, Refused> {
        let shown = shown.filter(|shown| !shown.is_empty()).ok_or(Refused::NoToken)?;
        if self.first.is(shown) {
            return Ok(first());
        }
        let digest = blake3::hash(shown.as_bytes());
        let entries = self.entries.read().expect("BUG: nothing panics while holding the tokens");
        // `blake3::Hash` compares in constant time, and all are compared.
        let is_it = |entry: &Arc<Entry>| blake3::Hash::from_bytes(*entry.kept.digest.as_bytes()) == digest;
        let found = entries.iter().filter(|entry| is_it(entry)).fold(None, |_, entry| Some(entry.clone()));
        let entry = found.ok_or(Refused::UnknownToken)?;
        if entry.is_over() {
            return Err(Refused::Expired);
        }
        entry.used_at_ms.store(now_ms(), Ordering::Relaxed);
        Ok(entry.holder())
    }

    /// Who has this token, if it still opens anything; none is the first one.
    pub(crate) fn by_id(&self, id: Option<&str>) -> Option<Holder> {
        let Some(id) = id else { return Some(first()) };
        let entries = self.entries.read().expect("BUG: nothing panics while holding the tokens");
        let mut holders = entries.iter().filter(|entry| !entry.is_over()).map(|entry| entry.holder());
        holders.find(|holder| holder.id.as_deref() == Some(id))
    }

    pub(crate) fn list(&self) -> Vec<Token> {
        let entries = self.entries.read().expect("BUG: nothing panics while holding the tokens");
        let mut tokens: Vec<Token> = entries.iter().map(|entry| entry.told()).collect();
        tokens.sort_by(|one, other| (&one.name, one.added_at_ms).cmp(&(&other.name, other.added_at_ms)));
        tokens
    }

    /// Durable when it returns. Blocks.
    pub(crate) fn add(&self, adding: Adding) -> Result<Token, NotAdded> {
        let Adding { name, role, digest, expires_at_ms } = adding;
        if !app::is_name(&name) {
            return Err(NotAdded::Name(name));
        }
        let added_at_ms = now_ms();
        if expires_at_ms.is_some_and(|end| end <= added_at_ms) {
            return Err(NotAdded::Ends);
        }
        let _one = self.changing.lock().expect("BUG: nothing panics while changing the tokens");
        let mut entries = self.all();
        if let Some(other) = entries.iter().find(|entry| entry.kept.name == name && entry.kept.role != role) {
            return Err(NotAdded::OtherRole { role: other.kept.role, name });
        }
        if entries.iter().any(|entry| entry.kept.digest == digest) || digest == Digest::of(self.first.text().as_bytes())
        {
            return Err(NotAdded::Known);
        }
        if entries.len() >= limits::TOKENS {
            return Err(NotAdded::TooMany);
        }
        let kept = Kept { name, role, digest, added_at_ms, expires_at_ms };
        let entry = Arc::new(Entry { kept, used_at_ms: AtomicU64::new(0) });
        let told = entry.told();
        entries.push(entry);
        self.keep(entries)?;
        Ok(told)
    }

    /// It opens nothing from then on. Blocks.
    pub(crate) fn remove(&self, id: &str) -> Result<Token, NotRemoved> {
        let _one = self.changing.lock().expect("BUG: nothing panics while changing the tokens");
        let mut entries = self.all();
        let at = entries.iter().position(|entry| token::id(&entry.kept.digest) == id);
        let gone = entries.remove(at.ok_or_else(|| NotRemoved::Unknown(id.to_owned()))?);
        self.keep(entries)?;
        // Whoever had it may know what nodes know each other by.
        self.renew_secret()?;
        Ok(gone.told())
    }

    /// What nodes are to know each other by now.
    pub(crate) fn sibling_secret(&self) -> SiblingSecret {
        let (secret, since) = self.secret.lock().expect("BUG: nothing panics while holding the secret").clone();
        if since.elapsed() < limits::SIBLING_SECRET_LASTS {
            return secret;
        }
        if let Err(error) = self.renew_secret() {
            tracing::error!(cause = %error, "what nodes know each other by is not made anew");
        }
        self.secret.lock().expect("BUG: nothing panics while holding the secret").0.clone()
    }

    pub(crate) fn count(&self, refused: Refused) {
        self.refused[refused as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Refused calls since the start, by why.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let count = |why: Refused| (why.name().to_owned(), self.refused[why as usize].load(Ordering::Relaxed));
        Refused::ALL.into_iter().map(count).collect()
    }

    fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.read().expect("BUG: nothing panics while holding the tokens").clone()
    }

    fn keep(&self, entries: Vec<Arc<Entry>>) -> io::Result<()> {
        let kept: Vec<&Kept> = entries.iter().map(|entry| &entry.kept).collect();
        state_file::store(&kept, &self.folder, FILE, &Disk::real())?;
        *self.entries.write().expect("BUG: nothing panics while holding the tokens") = entries;
        Ok(())
    }

    fn renew_secret(&self) -> io::Result<()> {
        let secret = new_secret()?;
        *self.secret.lock().expect("BUG: nothing panics while holding the secret") = (secret, Instant::now());
        Ok(())
    }
}

fn first() -> Holder {
    Holder { name: FIRST.to_owned(), role: Role::Operator, id: None }
}

fn new_secret() -> io::Result<SiblingSecret> {
    secrets::random().map(SiblingSecret).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Tokens {
        Tokens::open(folder, secrets::Token::load(folder, None).unwrap()).unwrap()
    }

    fn adding(name: &str, role: Role, text: &str) -> Adding {
        Adding { name: name.into(), role, digest: Digest::of(text.as_bytes()), expires_at_ms: None }
    }

    #[test]
    fn a_token_is_known_by_its_digest_until_it_is_removed_and_over_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = open(folder.path());
        assert_eq!(tokens.holder(Some(tokens.first())), Ok(first()));
        let old = tokens.add(adding("ci", Role::Publisher, "one")).unwrap();
        let new = tokens.add(adding("ci", Role::Publisher, "two")).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.contains(&Digest::of(b"one").to_string()) && !text.contains("\"one\""), "{text}");

        let tokens = open(folder.path());
        let holder = |id: &str| Holder { name: "ci".into(), role: Role::Publisher, id: Some(id.into()) };
        assert_eq!(tokens.holder(Some("one")), Ok(holder(&old.id)), "two of a name are good at once");
        assert_eq!(tokens.holder(Some("two")), Ok(holder(&new.id)));
        assert!(tokens.list().iter().all(|token| token.used_at_ms.is_some()));
        let secret = tokens.sibling_secret();
        assert_eq!(tokens.sibling_secret(), secret);
        assert_eq!(tokens.remove(&old.id).unwrap().id, old.id);
        assert_ne!(tokens.sibling_secret(), secret, "whoever is let in no more knows no sibling");
        assert_eq!(tokens.holder(Some("one")), Err(Refused::UnknownToken));
        assert_eq!((tokens.by_id(Some(&old.id)), tokens.by_id(Some(&new.id))), (None, Some(holder(&new.id))));
        assert!(matches!(tokens.remove(&old.id), Err(NotRemoved::Unknown(_))));
        assert_eq!(open(folder.path()).list().len(), 1);
    }

    #[test]
    fn what_is_none_is_refused_and_counted_by_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = open(folder.path());
        for (shown, why) in [(None, Refused::NoToken), (Some(""), Refused::NoToken), (Some("x"), Refused::UnknownToken)]
        {
            assert_eq!(tokens.holder(shown), Err(why));
            tokens.count(why);
        }
        let soon = Adding { expires_at_ms: Some(now_ms() + 60), ..adding("once", Role::Reader, "soon") };
        let soon = tokens.add(soon).unwrap();
        assert!(tokens.holder(Some("soon")).is_ok() && tokens.by_id(Some(&soon.id)).is_some());
        std::thread::sleep(std::time::Duration::from_millis(70));
        assert_eq!((tokens.holder(Some("soon")), tokens.by_id(Some(&soon.id))), (Err(Refused::Expired), None));
        let counts: Vec<_> = tokens.refused().into_iter().collect();
        let expected = [("expired", 0), ("no_token", 2), ("other_role", 0), ("unknown_token", 1)];
        assert_eq!(counts, expected.map(|(why, count)| (why.to_owned(), count)));
    }

    #[test]
    fn what_cannot_be_a_token_is_not_added() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = open(folder.path());
        tokens.add(adding("ci", Role::Publisher, "one")).unwrap();
        let told = |adding| tokens.add(adding).unwrap_err().to_string();
        assert!(told(adding("Ci", Role::Publisher, "x")).contains("`Ci` is not a name"));
        assert!(told(adding("ci", Role::Node, "x")).contains("a token for a publisher"));
        assert_eq!(told(adding("ci", Role::Publisher, "one")), "it is here already");
        assert_eq!(told(adding("first", Role::Publisher, tokens.first())), "it is here already");
        assert_eq!(
            told(Adding { expires_at_ms: Some(1), ..adding("ci", Role::Publisher, "x") }),
            "it ends before it begins"
        );
        for n in 1..limits::TOKENS {
            tokens.add(adding("ci", Role::Publisher, &format!("token {n}"))).unwrap();
        }
        assert!(told(adding("ci", Role::Publisher, "x")).starts_with("256 tokens are here already"));
    }
}

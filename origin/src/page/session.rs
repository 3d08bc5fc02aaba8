//! Who is signed in at the fleet page: a cookie that says until when, by which token, and who they say they are, under a key made
//! of the first token. Nothing is remembered here: a token that is removed ends its sessions, another first token ends all.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use nearside_protocol::{action::By, limits, unix_time::now_ms};

use crate::{actions::Operator, origin::Origin, secrets::Token, tokens::Holder};

const COOKIE: &str = "nearside-fleet";
const CONTEXT: &str = "nearside origin 2026-11 session of the fleet page";

pub(super) struct Sessions {
    key: [u8; 32],
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    pub(super) who: String,
    /// None of the first token.
    token: Option<String>,
    ends_at_ms: u64,
}

impl Session {
    /// Who that is, for as long as their token opens anything.
    pub(super) fn holder(&self, origin: &Origin) -> Option<Holder> {
        origin.tokens.by_id(self.token.as_deref()).filter(|_| !self.is_over())
    }

    pub(super) fn is_over(&self) -> bool {
        now_ms() >= self.ends_at_ms
    }
}

impl Sessions {
    pub(super) fn of(token: &Token) -> Sessions {
        Sessions { key: blake3::derive_key(CONTEXT, token.text().as_bytes()) }
    }

    /// The cookie of a new session.
    pub(super) fn begin(&self, who: &str, token: Option<&str>, is_secure: bool) -> HeaderValue {
        let cookie = self.text(who, token, now_ms() + limits::SESSION.as_millis() as u64);
        set(&cookie, limits::SESSION, is_secure)
    }

    pub(super) fn ended() -> HeaderValue {
        set("", Duration::ZERO, false)
    }

    pub(super) fn of_headers(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        // Another cookie of the name may have been set for a wider path: one of them has to be ours.
        pairs.find_map(|(name, value)| self.read(value).filter(|_| name == COOKIE))
    }

    /// `END.TOKEN.WHO.MAC`: milliseconds, the token's id or nothing, and digits.
    fn text(&self, who: &str, token: Option<&str>, ends_at_ms: u64) -> String {
        let who: String = who.bytes().map(|byte| format!("{byte:02x}")).collect();
        let signed = format!("{ends_at_ms}.{}.{who}", token.unwrap_or_default());
        format!("{signed}.{}", self.mac(&signed).to_hex())
    }

    fn read(&self, text: &str) -> Option<Session> {
        let (signed, mac) = text.rsplit_once('.')?;
        // `blake3::Hash` compares in constant time.
        if blake3::Hash::from_hex(mac).ok()? != self.mac(signed) {
            return None;
        }
        let (ends_at_ms, rest) = signed.split_once('.')?;
        let (token, who) = rest.split_once('.')?;
        let bytes: Option<Vec<u8>> =
            who.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
        let who = String::from_utf8(bytes?).ok()?;
        let who = Operator::named(Some(&who), None, By::Page).who;
        let token = Some(token.to_owned()).filter(|token| !token.is_empty());
        let session = Session { who, token, ends_at_ms: ends_at_ms.parse().ok()? };
        (!session.is_over()).then_some(session)
    }

    fn mac(&self, signed: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, signed.as_bytes())
    }
}

fn set(value: &str, lasts: Duration, is_secure: bool) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", lasts.as_secs());
    HeaderValue::from_str(&text).expect("BUG: digits and dots fit in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(token: &str) -> Sessions {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, token).unwrap();
        Sessions::of(&Token::load(folder.path(), Some(&file)).unwrap())
    }

    fn shown(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("a=b; {cookie}; c=d")).unwrap());
        headers
    }

    #[test]
    fn a_session_is_who_it_says_until_it_ends_and_no_other() {
        let sessions = sessions("0123456789abcdef");
        let set = sessions.begin("Ada Ångström", Some("4f"), true);
        let set = set.to_str().unwrap();
        for words in ["HttpOnly", "SameSite=Strict", "Secure", "Max-Age=43200"] {
            assert!(set.contains(words), "{set}");
        }
        let cookie = set.split(';').next().unwrap();
        let session = sessions.of_headers(&shown(cookie)).unwrap();
        assert_eq!((session.who.as_str(), session.token.as_deref()), ("Ada Ångström", Some("4f")));
        assert_eq!(super::Sessions::ended().to_str().unwrap().split(';').next(), Some("nearside-fleet="));

        let value = sessions.text("Ada", None, now_ms() + 60_000);
        let forged = value.replacen('1', "2", 1);
        let over = sessions.text("Ada", None, now_ms() - 1);
        for wrong in ["", ".", "1.2.3", forged.as_str(), over.as_str(), &value[1..]] {
            assert_eq!(sessions.of_headers(&shown(&format!("{COOKIE}={wrong}"))), None, "{wrong}");
        }
        assert_eq!(sessions.of_headers(&shown(&format!("other={value}"))), None);
        assert_eq!(self::sessions("0123456789abcdeg").of_headers(&shown(&format!("{COOKIE}={value}"))), None);
    }
}

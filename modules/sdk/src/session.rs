//! What is remembered of one visitor, in one signed cookie.
//!
//! ```ignore
//! let signer = Signer::from_secret("SESSION_KEY")?;
//! let mut session = Session::read(&request, &signer, "session");
//! let visits: u32 = session.get("visits").unwrap_or(0);
//! session.set("visits", &(visits + 1))?;
//! Ok(response.with_cookie(session.cookie()?))
//! ```
//!
//! It is for a few small values, such as who is signed in: the visitor can read it, it goes along with every request, and
//! an old copy of it is as good as the newest. What is large, secret or must be taken back belongs in the database, under
//! an id in here.
//!
//! A page that reads a session declares `cookies = ["session"]`, and is kept for that visitor alone.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::cookies::MAX_COOKIE_BYTES;
use crate::signed::Signer;
use crate::{Error, Request, SetCookie};

/// Values by name.
#[derive(Debug)]
pub struct Session<'a> {
    signer: &'a Signer,
    cookie: &'static str,
    values: Map<String, Value>,
    is_changed: bool,
}

impl<'a> Session<'a> {
    /// The session in this cookie; an empty one when there is none, or none of ours.
    #[must_use]
    pub fn read(request: &Request, signer: &'a Signer, cookie: &'static str) -> Self {
        let cookies = request.cookies();
        let values = signer.read(&cookies, cookie).and_then(|json| serde_json::from_str(json).ok());
        Self { signer, cookie, values: values.unwrap_or_default(), is_changed: false }
    }

    /// A value, if it is there and reads as a `T`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.values.get(name)?).ok()
    }

    /// Remembers a value in place of one of the same name.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn set(&mut self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.values.insert(name.to_owned(), serde_json::to_value(value)?);
        self.is_changed = true;
        Ok(())
    }

    /// Forgets a value.
    pub fn remove(&mut self, name: &str) {
        self.is_changed |= self.values.remove(name).is_some();
    }

    /// Forgets all: the end of a session. Signing somebody in should begin with it, too.
    pub fn clear(&mut self) {
        self.is_changed |= !self.values.is_empty();
        self.values.clear();
    }

    /// Whether the visitor has to be given the cookie.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The cookie that holds it, until the browser is closed; give it a `max_age_s` for longer. An empty session takes the
    /// cookie away.
    ///
    /// # Errors
    /// When it is larger than what browsers keep.
    pub fn cookie(&self) -> Result<SetCookie, Error> {
        if self.values.is_empty() {
            return Ok(SetCookie::removed(self.cookie));
        }
        let cookie = self.signer.cookie(self.cookie, &serde_json::to_string(&self.values)?);
        let bytes = cookie.to_header().len();
        if bytes > MAX_COOKIE_BYTES {
            return Err(Error::internal(format!(
                "the session is a cookie of {bytes} bytes, and browsers keep {MAX_COOKIE_BYTES}: keep an id in it, and \
                 the rest in the database"
            )));
        }
        Ok(cookie)
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use http::{HeaderValue, Method};

    use super::*;

    const KEY: &str = "a key of at least thirty-two characters";

    fn request(cookie: &SetCookie) -> Request {
        let header = cookie.to_header();
        let sent = header.to_str().unwrap().split(';').next().unwrap();
        Request::new(Method::GET, "/").with_header(COOKIE, HeaderValue::from_str(sent).unwrap())
    }

    #[test]
    fn values_come_back() {
        let signer = Signer::new(KEY).unwrap();
        let mut session = Session::read(&Request::new(Method::GET, "/"), &signer, "session");
        assert_eq!(session.get::<u32>("visits"), None);
        session.set("visits", &3).unwrap();
        session.set("name", &"Zoë; \"x\"").unwrap();
        assert!(session.is_changed());

        let request = request(&session.cookie().unwrap());
        let mut session = Session::read(&request, &signer, "session");
        assert_eq!(session.get::<u32>("visits"), Some(3));
        assert_eq!(session.get::<String>("name").as_deref(), Some("Zoë; \"x\""));
        assert_eq!(session.get::<u32>("name"), None);
        assert!(!session.is_changed());
        assert_eq!(Session::read(&request, &signer, "other").get::<u32>("visits"), None);
        let other = Signer::new("another key of thirty-two characters").unwrap();
        assert_eq!(Session::read(&request, &other, "session").get::<u32>("visits"), None);

        session.remove("visits");
        session.clear();
        assert!(session.is_changed());
        assert!(session.cookie().unwrap().to_header().to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn one_that_is_too_large_is_an_error() {
        let signer = Signer::new(KEY).unwrap();
        let mut session = Session::read(&Request::new(Method::GET, "/"), &signer, "session");
        session.set("all", &"x".repeat(MAX_COOKIE_BYTES)).unwrap();
        assert!(session.cookie().unwrap_err().detail().unwrap().contains("keep an id in it"));
    }
}

//! Who wrote a review, as far as a browser can tell: a random id in a signed cookie.
//!
//! The id stays in the cookie. The database, of which every node has a copy, holds its digest: whoever reads a copy learns
//! which reviews are by one hand, and nothing that a cookie could be made of.

use nearside_sdk::http::HeaderName;
use nearside_sdk::signed::{Error, Signer};
use nearside_sdk::{Request, Response, SetCookie, digest, log, random};

/// The routes that show a visitor's own reviews declare it.
pub(crate) const COOKIE: &str = "visitor";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// 400 days, after which browsers forget in any case.
const MAX_AGE_S: u64 = 400 * 24 * 60 * 60;

pub(crate) struct Visitor {
    id: String,
    /// The cookie to give, when the visitor has none.
    cookie: Option<SetCookie>,
}

impl Visitor {
    /// Whose cookie it is; none when there is none, or none of ours.
    pub(crate) fn known(request: &Request) -> Result<Option<Self>, Error> {
        let cookies = request.cookies();
        // Whoever has no cookie needs no key.
        if cookies.get(COOKIE).is_none() {
            return Ok(None);
        }
        let id = signer()?.read(&cookies, COOKIE).map(str::to_owned);
        Ok(id.map(|id| Self { id, cookie: None }))
    }

    /// Who writes, new or not. Nobody in particular when the site has no key, for a review is worth more than a list of
    /// one's own; and nobody when a program sends an Idempotency-Key: sent again without the cookie, it would be somebody
    /// else's review under the same key.
    pub(crate) fn writing(request: &Request) -> Option<Self> {
        let found = Self::known(request).and_then(|known| match known {
            None if request.headers().contains_key(IDEMPOTENCY_KEY) => Ok(None),
            None => signer().map(|signer| Some(Self::new(&signer))),
            known => Ok(known),
        });
        found.unwrap_or_else(|error| {
            log(error);
            None
        })
    }

    fn new(signer: &Signer) -> Self {
        let id = random::id();
        let cookie = signer.cookie(COOKIE, &id).max_age_s(MAX_AGE_S);
        Self { id, cookie: Some(cookie) }
    }

    /// What the database knows the visitor by.
    pub(crate) fn digest(&self) -> String {
        digest::hex(self.id.as_bytes())
    }

    /// Gives the cookie along with `response`, unless the visitor has it.
    pub(crate) fn kept_by(self, response: Response) -> Response {
        match self.cookie {
            Some(cookie) => response.with_cookie(cookie),
            None => response,
        }
    }
}

pub(crate) fn signer() -> Result<Signer, Error> {
    Signer::from_secret("SESSION_KEY")
}

#[cfg(test)]
mod tests {
    use nearside_sdk::http::header::{COOKIE as HEADER, SET_COOKIE};
    use nearside_sdk::http::{HeaderValue, Method};

    use super::*;

    fn request() -> Request {
        Request::new(Method::POST, "/package/vim/reviews")
    }

    #[test]
    fn a_visitor_is_known_again_by_the_cookie_alone() {
        let signer = Signer::new("a key of at least thirty-two characters").unwrap();
        let visitor = Visitor::new(&signer);
        let (id, digest) = (visitor.id.clone(), visitor.digest());
        let response = visitor.kept_by(Response::empty());
        let given = response.headers[SET_COOKIE].to_str().unwrap();
        assert!(given.contains("HttpOnly") && given.contains("SameSite=Lax") && given.contains("Max-Age=34560000"));
        assert!(!given.contains(&digest) && digest.len() == 64);

        let sent = HeaderValue::from_str(given.split(';').next().unwrap()).unwrap();
        let cookies = request().with_header(HEADER, sent).cookies();
        assert_eq!(signer.read(&cookies, COOKIE), Some(id.as_str()));
    }

    #[test]
    fn without_a_cookie_or_a_key_nobody_is_known() {
        assert!(Visitor::known(&request()).unwrap().is_none());
        // Tests have no SESSION_KEY.
        assert!(Visitor::known(&request().with_header(HEADER, HeaderValue::from_static("visitor=x.y"))).is_err());
        assert!(Visitor::writing(&request()).is_none());
    }
}

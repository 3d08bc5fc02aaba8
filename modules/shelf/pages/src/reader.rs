//! Who reads: a random id in a signed cookie, made when it is first needed.

use nearside_sdk::signed::Signer;
use nearside_sdk::{Request, Result, SetCookie, digest, random};

const COOKIE: &str = "reader";
const MAX_AGE_S: u64 = 400 * 24 * 60 * 60;

pub(crate) struct Reader {
    id: String,
    /// The cookie to give, when the reader has none.
    pub(crate) cookie: Option<SetCookie>,
}

impl Reader {
    pub(crate) fn known(request: &Request) -> Result<Option<Self>> {
        let signer = Signer::from_secret("READER_KEY")?;
        let id = signer.read(&request.cookies(), COOKIE).map(str::to_owned);
        Ok(id.map(|id| Self { id, cookie: None }))
    }

    pub(crate) fn known_or_new(request: &Request) -> Result<Self> {
        if let Some(reader) = Self::known(request)? {
            return Ok(reader);
        }
        let id = random::id();
        let cookie = Signer::from_secret("READER_KEY")?.cookie(COOKIE, &id).max_age_s(MAX_AGE_S);
        Ok(Self { id, cookie: Some(cookie) })
    }

    /// What the database knows: enough to find a reader's notes, not enough to be that reader.
    pub(crate) fn digest(&self) -> String {
        digest::hex(self.id.as_bytes())
    }
}

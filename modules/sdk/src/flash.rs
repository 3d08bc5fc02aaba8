//! A message for the next page: set with a redirect, shown once.
//!
//! ```ignore
//! // Where the form arrives:
//! Ok(Response::see_other("/basket").with_cookie(flash::message(&signer, "It is in your basket.")))
//!
//! // On the page it leads to:
//! let message = flash::read(&request, &signer);
//! let page = Response::html(html! { @if let Some(message) = &message { p role="status" { (message) } } });
//! Ok(if message.is_some() { page.with_cookie(flash::shown()) } else { page })
//! ```
//!
//! The route of that page declares `cookies = ["flash"]`: otherwise it is not shown the message. Such a page is kept for
//! each visitor apart, so pages that many ask for are better without.
//!
//! The message is signed: no other site of a shared domain can put words into this one's mouth.

use crate::signed::Signer;
use crate::{Request, SetCookie};

/// The cookie it travels in, to be declared by the routes that show it.
pub const COOKIE: &str = "flash";

/// A redirect takes a moment. A message that was not shown by then would be about something long past.
const MAX_AGE_S: u64 = 60;

/// The cookie that carries a message to the next page.
#[must_use]
pub fn message(signer: &Signer, text: &str) -> SetCookie {
    signer.cookie(COOKIE, text).max_age_s(MAX_AGE_S)
}

/// The message for this page, if there is one. It is text: write it into the page as such.
#[must_use]
pub fn read(request: &Request, signer: &Signer) -> Option<String> {
    signer.read(&request.cookies(), COOKIE).map(str::to_owned)
}

/// The cookie that says it was shown. Give it only when there was a message: a page that gives a cookie is not kept.
#[must_use]
pub fn shown() -> SetCookie {
    SetCookie::removed(COOKIE)
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE as HEADER;
    use http::{HeaderValue, Method};

    use super::*;

    #[test]
    fn a_message_is_shown_and_taken_away() {
        let signer = Signer::new("a key of at least thirty-two characters").unwrap();
        let given = message(&signer, "Saved: “ü”.").to_header();
        let sent = given.to_str().unwrap().split(';').next().unwrap();
        let request =
            |sent: &str| Request::new(Method::GET, "/").with_header(HEADER, HeaderValue::from_str(sent).unwrap());
        assert_eq!(read(&request(sent), &signer).as_deref(), Some("Saved: “ü”."));
        assert_eq!(read(&request("flash=Send%20money."), &signer), None);
        assert!(shown().to_header().to_str().unwrap().starts_with("flash=; Path=/; Max-Age=0"));
    }
}

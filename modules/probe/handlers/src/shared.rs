//! What must not be shared: a page for each visitor, the same inside a public page, and a cookie that is given.

use nearside_sdk::http::{HeaderValue, header::SET_COOKIE};
use nearside_sdk::{Request, Response, Result, page};

/// Public, with a part that is made for each visitor.
pub(crate) fn portal(_: &Request) -> Result {
    let mut body = b"portal\n".to_vec();
    body.extend(page::include("/account/me")?);
    Ok(Response::new("text/plain; charset=utf-8", body))
}

/// Gives whoever asks a cookie.
pub(crate) fn set_cookie(_: &Request) -> Result {
    Ok(Response::text("have a cookie\n").with_header(SET_COOKIE, HeaderValue::from_static("seen=given; Path=/")))
}

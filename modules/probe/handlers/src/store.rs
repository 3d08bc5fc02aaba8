//! Reading: two queries that must agree, queries without end, and pages in pages.

use nearside_sdk::http::StatusCode;
use nearside_sdk::{Request, Response, Result, page, sql};

/// Tells this build of the component from another.
const VERSION: &str = "probe 1";

/// Every write keeps the two numbers equal. They come from two queries, and must be equal still.
pub(crate) fn pair(_: &Request) -> Result {
    Ok(Response::text(format!("{} {}\n", number("left")?, number("right")?)))
}

/// The component's version and the data's.
pub(crate) fn version(_: &Request) -> Result {
    Ok(Response::text(format!("{VERSION} {}\n", number("left")?)))
}

/// A recursive query that does not end.
pub(crate) fn runaway(_: &Request) -> Result {
    count("runaway")
}

/// A join of some 10^12 rows.
pub(crate) fn cross(_: &Request) -> Result {
    count("cross")
}

/// A query that fails when it is run.
pub(crate) fn overflow(_: &Request) -> Result {
    count("overflow")
}

/// A value of a gigabyte that is not in the pages.
pub(crate) fn randomblob(_: &Request) -> Result {
    count("randomblob")
}

/// Two other routes, one after the other.
pub(crate) fn include(_: &Request) -> Result {
    let mut body = page::include("/hello")?;
    body.extend(page::include("/pair")?);
    Ok(Response::new("text/plain; charset=utf-8", body))
}

/// Itself, for ever.
pub(crate) fn include_loop(_: &Request) -> Result {
    Ok(match page::include("/include-loop") {
        Ok(body) => Response::new("text/plain; charset=utf-8", body),
        Err(reason) => Response::text(format!("{reason}\n")).with_status(StatusCode::INTERNAL_SERVER_ERROR),
    })
}

fn number(query: &str) -> Result<i64> {
    Ok(sql::query(query, ())?.first(|row| row.get("n"))?.unwrap_or(-1))
}

/// The reason is shown, which no other app should do.
fn count(query: &str) -> Result {
    Ok(match sql::query(query, ()).and_then(|rows| rows.first(|row| row.get::<i64>("n"))) {
        Ok(n) => Response::text(format!("{n:?}\n")),
        Err(reason) => Response::text(format!("{reason}\n")).with_status(StatusCode::SERVICE_UNAVAILABLE),
    })
}

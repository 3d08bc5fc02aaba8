//! A visitor's own reviews, found by the cookie that came with the first of them.

use maud::{Markup, html};
use nearside_sdk::sql::{self, Row};
use nearside_sdk::{Request, Response, Result, SetCookie, flash};

use crate::day::day;
use crate::layout::{self, SearchBox};
use crate::links;
use crate::package::{Review, prose};
use crate::picture::picture;
use crate::stars::stars;
use crate::visitor::{self, Visitor};

const FORGOTTEN: &str = "This browser is forgotten. Your reviews stay where they are, but this list is gone for good.";

#[derive(Row)]
struct Mine {
    package: String,
    /// None when the package has left the catalogue.
    summary: Option<String>,
    #[row(flatten)]
    review: Review,
    /// Why its picture is not shown.
    picture_problem: Option<String>,
}

pub(crate) fn page(request: &Request) -> Result {
    let mine: Vec<Mine> = match Visitor::known(request)? {
        Some(visitor) => sql::query("my-reviews", (visitor.digest(),))?.rows()?,
        None => Vec::new(),
    };
    let message = message(request)?;
    let page = Response::html(document(&mine, message.as_deref()));
    Ok(if message.is_some() { page.with_cookie(flash::shown()) } else { page })
}

/// Takes the cookie away: the reviews stay, and nothing leads from this browser to them.
pub(crate) fn forget(_: &Request) -> Result {
    let message = flash::message(&visitor::signer()?, FORGOTTEN);
    let response = Response::see_other(links::MY_REVIEWS);
    Ok(response.with_cookie(SetCookie::removed(visitor::COOKIE)).with_cookie(message))
}

fn message(request: &Request) -> Result<Option<String>> {
    if request.cookies().get(flash::COOKIE).is_none() {
        return Ok(None);
    }
    Ok(flash::read(request, &visitor::signer()?))
}

fn document(mine: &[Mine], message: Option<&str>) -> Markup {
    let content = html! {
        h1 { "My reviews" }
        @if let Some(message) = message { p.done role="status" { (message) } }
        @if mine.is_empty() {
            p.lead { "You have written no reviews with this browser yet." }
            p { "Found something good, or something that could be better? " a href="/" { "Look up a package" }
                " and tell others." }
        } @else {
            p.hint { "Only you see this list: a cookie in this browser leads to it." }
            ul.cards.wide {
                @for Mine { package, summary, review, picture_problem } in mine {
                    li {
                        h3 {
                            @if summary.is_some() { a.name href=(links::reviews(package)) { (package) } }
                            @else { span.name { (package) } }
                        }
                        p.summary { (summary.as_deref().unwrap_or("No longer in the catalogue")) }
                        p { (stars(review.rating)) " " (day(review.posted_at)) }
                        (prose(&review.body))
                        (picture(review))
                        @if let Some(problem) = picture_problem { p.problem { "Your picture is not shown. " (problem) } }
                    }
                }
            }
            form method="post" action=(links::FORGET_ME) {
                button.quiet { "Forget this browser" }
            }
        }
    };
    layout::page("My reviews", SearchBox::InHeader, content)
}

#[cfg(test)]
mod tests {
    use nearside_sdk::http::Method;

    use super::*;

    fn mine(package: &str, summary: Option<&str>) -> Mine {
        let (author, body) = ("Ann".into(), "<Good>.".into());
        let review = Review { author, rating: 4, body, posted_at: 0, thumbnail: None, picture_waits: false };
        let picture_problem = summary.is_none().then(|| "It is <odd>.".into());
        Mine { package: package.into(), summary: summary.map(str::to_owned), review, picture_problem }
    }

    #[test]
    fn whoever_has_no_cookie_is_told_what_the_page_is_for() {
        let response = page(&Request::new(Method::GET, links::MY_REVIEWS)).unwrap();
        assert_eq!(response.status, 200);
        assert!(response.headers.get("set-cookie").is_none(), "this answer is the same for all who have none");
        assert!(document(&[], None).into_string().contains("You have written no reviews with this browser yet."));
    }

    #[test]
    fn reviews_are_listed_with_their_packages() {
        let page = document(&[mine("vim", Some("An editor")), mine("gone", None)], Some("<Hello>")).into_string();
        assert!(page.contains("href=\"/package/vim#reviews\"") && page.contains("&lt;Good&gt;."));
        assert!(page.contains("<span class=\"name\">gone</span>") && page.contains("No longer in the catalogue"));
        assert!(page.contains("role=\"status\">&lt;Hello&gt;"));
        assert_eq!(page.matches("Your picture is not shown. It is &lt;odd&gt;.").count(), 1);
    }
}

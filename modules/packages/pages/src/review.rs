//! Writing a review: a plain form, with a picture or without, answered by the page it stands on.

use maud::{Markup, html};
use nearside_sdk::http::StatusCode;
use nearside_sdk::origin::{self, Outcome};
use nearside_sdk::{Error, Fields, Request, Response, Result, blob, log};
use packages_pictures::{Limits, Refusal, look};
use serde::Serialize;

use crate::layout::{self, SearchBox};
use crate::links;
use crate::package::{self, Package};
use crate::visitor::Visitor;

/// Larger than a picture may be, so that whoever sends one that is too large is told so here, with the words still in the
/// form. The route's `body_kib` is the same.
const MAX_FORM_BYTES: usize = 16 << 20;
const MAX_AUTHOR_CHARS: usize = 80;
const MAX_BODY_CHARS: usize = 4_000;

const UNAVAILABLE: &str = "Reviews cannot be saved at this moment. Yours was not confirmed; please try again shortly.";
const NO_PICTURES: &str =
    "Pictures cannot be saved at this moment. You can post your review without one, or try again shortly.";
const NO_ROOM: &str = "There is no room for more pictures. You can post your review without one.";
const CHOOSE_AGAIN: &str = "Your words are still here: choose another picture, or post them without one.";
const RETRY_AFTER_S: u32 = 5;

/// What stands in the form, right or wrong.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    author: String,
    rating: String,
    body: String,
}

/// What the command takes.
#[derive(Debug, Serialize)]
struct PostReview<'a> {
    package: &'a str,
    author: &'a str,
    rating: u8,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    visitor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

impl Draft {
    fn read(form: &Fields) -> Self {
        let field = |name| form.filled(name).unwrap_or_default().replace("\r\n", "\n");
        Self { author: field("author"), rating: field("rating"), body: field("body") }
    }

    /// The command, or what is wrong. The command's schema says the same; this says it to a person.
    fn check<'a>(&'a self, package: &'a str) -> Result<PostReview<'a>, &'static str> {
        let rating = self.rating.parse().ok().filter(|rating| (1..=5).contains(rating));
        match rating {
            _ if self.author.is_empty() => Err("Please say who you are."),
            _ if self.author.chars().count() > MAX_AUTHOR_CHARS => Err("That name is too long: 80 characters at most."),
            None => Err("Please give one to five stars."),
            _ if self.body.is_empty() => Err("Please write a few words."),
            _ if self.body.chars().count() > MAX_BODY_CHARS => Err("That is too long: 4,000 characters at most."),
            Some(rating) => {
                let (author, body) = (&self.author, &self.body);
                Ok(PostReview { package, author, rating, body, visitor: None, picture: None })
            }
        }
    }
}

/// Takes a review and leads back to the page, where it stands: that says better than any words that it was taken. A
/// message there would make the page that is asked for most depend on a cookie.
pub(crate) fn post(request: &Request) -> Result {
    let name = request.parameter("name");
    let form = request.multipart(MAX_FORM_BYTES)?;
    let draft = Draft::read(form.fields());
    let mut review = match draft.check(name) {
        Ok(review) => review,
        Err(problem) => return again(request, name, &draft, refused(problem.to_owned())),
    };
    if let Some(file) = form.file("picture") {
        match keep(file.bytes) {
            Ok(hash) => review.picture = Some(hash.to_string()),
            Err(error) => return again(request, name, &draft, error),
        }
    }
    let writer = Visitor::writing(request);
    review.visitor = writer.as_ref().map(Visitor::digest);
    match origin::submit("post-review", &review) {
        Ok(Outcome::Applied { .. }) => {
            let response = Response::see_other(&links::reviews(name));
            Ok(match writer {
                Some(writer) => writer.kept_by(response),
                None => response,
            })
        }
        Ok(Outcome::Deferred(deferred)) => {
            let response = deferred.response(request);
            Ok(match writer {
                Some(writer) => writer.kept_by(response),
                None => response,
            })
        }
        Ok(Outcome::Rejected(message)) => again(request, name, &draft, refused(message)),
        Err(origin::Error::Unavailable(reason)) => {
            log(format_args!("post-review: {reason}"));
            again(request, name, &draft, Error::unavailable(UNAVAILABLE, RETRY_AFTER_S))
        }
        Err(error) => again(request, name, &draft, error.into()),
    }
}

/// Stores a picture as it was sent. What can be known of it without decoding it is known now, and told to who sent it; the
/// rest is the task's to find out.
fn keep(bytes: &[u8]) -> Result<blob::Hash, Error> {
    look(bytes, &Limits::default()).map_err(|refusal| {
        let status = match refusal {
            Refusal::TooManyBytes { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::NoPicture | Refusal::OtherFormat(_) | Refusal::Animated => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Error::new(status, format!("{refusal} {CHOOSE_AGAIN}"))
    })?;
    blob::put(bytes).map_err(|error| match &error {
        blob::Error::Unavailable(_) => Error::unavailable(NO_PICTURES, RETRY_AFTER_S).with_detail(error.to_string()),
        _ => Error::new(StatusCode::INSUFFICIENT_STORAGE, NO_ROOM).with_detail(error.to_string()),
    })
}

fn refused(message: String) -> Error {
    Error::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// The same page with the words still in the form: nobody should have to write them twice.
fn again(request: &Request, name: &str, draft: &Draft, error: Error) -> Result {
    if request.prefers_json() {
        return Err(error);
    }
    error.report();
    let page = match Package::load(name)? {
        Some(package) => package::document(&package, draft, Some(error.message())),
        None => {
            let content = html! {
                h1.name { (name) }
                section #reviews { (form(name, draft, Some(error.message()))) }
            };
            layout::page(name, SearchBox::InHeader, content)
        }
    };
    Ok(error.dress(Response::html(page)))
}

pub(crate) fn form(package: &str, draft: &Draft, problem: Option<&str>) -> Markup {
    html! {
        form.review method="post" enctype="multipart/form-data" action={ (links::post_review(package)) "#review" } #review {
            h3 { "Write a review" }
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            label {
                "Your name"
                input name="author" required maxlength=(MAX_AUTHOR_CHARS) autocomplete="nickname" value=(draft.author);
            }
            fieldset {
                legend { "Stars" }
                @for rating in ["1", "2", "3", "4", "5"] {
                    label { input type="radio" name="rating" value=(rating) required checked[draft.rating == rating]; (rating) }
                }
            }
            label {
                "Your review"
                textarea name="body" required rows="5" maxlength=(MAX_BODY_CHARS) { (draft.body) }
            }
            label {
                span { "A picture " small { "if you like: JPEG, PNG or WebP, up to 6 MB" } }
                input type="file" name="picture" accept="image/jpeg,image/png,image/webp";
                small { "It is shown small, and without what a camera writes into it, such as the place." }
            }
            button { "Post the review" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(form: &str) -> Option<&'static str> {
        Draft::read(&Fields::parse(form.as_bytes())).check("vim").err()
    }

    #[test]
    fn a_whole_form_passes() {
        assert_eq!(problem("author=Ann&rating=5&body=Good."), None);
    }

    #[test]
    fn each_gap_is_named() {
        assert_eq!(problem("author=+&rating=5&body=x"), Some("Please say who you are."));
        assert_eq!(problem("author=Ann&rating=6&body=x"), Some("Please give one to five stars."));
        assert_eq!(problem("author=Ann&body=x"), Some("Please give one to five stars."));
        assert_eq!(problem("author=Ann&rating=5&body=%0D%0A"), Some("Please write a few words."));
        let long = format!("author=Ann&rating=5&body={}", "x".repeat(4_001));
        assert_eq!(problem(&long), Some("That is too long: 4,000 characters at most."));
    }

    #[test]
    fn the_form_keeps_what_was_written() {
        let draft = Draft::read(&Fields::parse(b"author=A%22nn&rating=3&body=%3Cb%3E"));
        let html = form("vim", &draft, Some("No.")).into_string();
        assert!(html.contains("value=\"A&quot;nn\"") && html.contains("&lt;b&gt;</textarea>"));
        assert!(html.contains("value=\"3\" required checked"));
        assert!(html.contains("role=\"alert\">No."));
    }
}

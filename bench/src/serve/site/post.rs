//! Taking a review: checked, written, told to others, answered - in this order, while the visitor waits.

use anyhow::Result;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;

use super::super::Answer;
use super::super::markup::{PACKAGE, PLAIN_IN_A_SEGMENT};
use super::form::Form;
use super::picture::{self, Kept};
use super::store::Review;
use super::{Site, aside, text};
use crate::limits::SITE_FORM_BYTES;
use crate::request::{percent_decode, percent_encode_except};

const MAX_AUTHOR_CHARS: usize = 80;
const MAX_BODY_CHARS: usize = 4_000;

impl Site {
    pub(super) async fn post(&self, request: Request<Incoming>) -> Result<Answer> {
        let path = request.uri().path().to_owned();
        let name = path.strip_prefix(PACKAGE).and_then(|rest| rest.strip_suffix("/reviews")).map(percent_decode);
        let Some(package) = name else {
            return Ok(text(StatusCode::NOT_FOUND, "There is no such form.".to_owned()));
        };
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.to_owned();
        let Ok(body) = Limited::new(request.into_body(), SITE_FORM_BYTES).collect().await else {
            return Ok(text(StatusCode::PAYLOAD_TOO_LARGE, format!("A form has at most {SITE_FORM_BYTES} bytes.")));
        };
        let form = Form::read(&content_type, &body.to_bytes());
        let mut review = match read(package, &form) {
            Ok(review) => review,
            Err(problem) => return Ok(text(StatusCode::UNPROCESSABLE_ENTITY, problem.to_owned())),
        };
        if let Some(bytes) = form.picture {
            let folder = self.pictures.folder();
            match aside(move || picture::keep(&folder, &bytes)).await? {
                Ok(Kept { hash, thumbnail }) => {
                    review.picture = Some(hash);
                    review.thumbnail = Some(serde_json::to_string(&thumbnail)?);
                }
                Err(refusal) => return Ok(text(StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string())),
            }
        }
        let Some(id) = self.writer.post(review.clone()).await? else {
            return Ok(text(StatusCode::UNPROCESSABLE_ENTITY, "There is no such package.".to_owned()));
        };
        // The review is there whatever becomes of this.
        if let Err(error) = self.webhook.tell(&review, id).await {
            eprintln!("review {id}: {error:#}");
        }
        see(&review.package)
    }
}

/// Back to the package's page, where the review stands.
fn see(package: &str) -> Result<Answer> {
    let location = format!("{PACKAGE}{}#reviews", percent_encode_except(package, PLAIN_IN_A_SEGMENT));
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(&location)?);
    Ok(response)
}

/// The review in a form's fields, or what is wrong with them.
fn read(package: String, form: &Form) -> Result<Review, &'static str> {
    let field = |name| form.field(name).to_owned();
    let (author, body) = (field("author"), field("body"));
    let rating = field("rating").parse().ok().filter(|rating| (1..=5).contains(rating));
    match rating {
        _ if author.is_empty() => Err("Please say who you are."),
        _ if author.chars().count() > MAX_AUTHOR_CHARS => Err("That name is too long: 80 characters at most."),
        None => Err("Please give one to five stars."),
        _ if body.is_empty() => Err("Please write a few words."),
        _ if body.chars().count() > MAX_BODY_CHARS => Err("That is too long: 4,000 characters at most."),
        Some(rating) => Ok(Review { package, author, rating, body, picture: None, thumbnail: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_and_gaps_are_named() {
        let read = |form: &str| read("vim".to_owned(), &Form::read("", form.as_bytes()));
        let review = read("author=Ann+B&rating=5&body=Good%2C%20all+in+all.").unwrap();
        assert_eq!((review.author.as_str(), review.rating, review.body.as_str()), ("Ann B", 5, "Good, all in all."));
        assert_eq!(read("author=+&rating=5&body=x").unwrap_err(), "Please say who you are.");
        assert_eq!(read("author=Ann&rating=6&body=x").unwrap_err(), "Please give one to five stars.");
        assert_eq!(read("author=Ann&rating=5").unwrap_err(), "Please write a few words.");
    }
}

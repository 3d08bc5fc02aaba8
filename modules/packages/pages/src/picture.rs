//! What is seen of a review's picture: first that it is on its way, then small.

use maud::{Markup, html};
use nearside_sdk::sql::Json;
use serde::{Deserialize, Serialize};

use crate::package::Review;

#[derive(Serialize, Deserialize)]
pub(crate) struct Thumbnail {
    url: String,
    width: u32,
    height: u32,
}

/// With its size, so that nothing moves when it arrives; and not before somebody comes near it.
pub(crate) fn picture(review: &Review) -> Markup {
    html! {
        @if let Some(Json(Thumbnail { url, width, height })) = &review.thumbnail {
            a.picture href=(url) style={ "--px:" (width) } {
                img src=(url) width=(width) height=(height) loading="lazy" decoding="async"
                    alt={ "A picture that " (review.author) " sent along" };
            }
        } @else if review.picture_waits {
            p.hint { "A picture is on its way." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(thumbnail: Option<Thumbnail>, picture_waits: bool) -> Review {
        let (author, body) = ("<Ann>".into(), "Good.".into());
        Review { author, rating: 4, body, posted_at: 0, thumbnail: thumbnail.map(Json), picture_waits }
    }

    #[test]
    fn a_thumbnail_has_its_size_and_says_whose_it_is() {
        let thumbnail = Thumbnail { url: "/_blob/a.jpg".into(), width: 640, height: 400 };
        let html = picture(&review(Some(thumbnail), false)).into_string();
        assert!(html.contains("width=\"640\" height=\"400\" loading=\"lazy\""), "{html}");
        assert!(html.contains("alt=\"A picture that &lt;Ann&gt; sent along\""), "{html}");
    }

    #[test]
    fn before_it_is_made_it_is_on_its_way() {
        assert!(picture(&review(None, true)).into_string().contains("on its way"));
        assert_eq!(picture(&review(None, false)).into_string(), "");
    }
}

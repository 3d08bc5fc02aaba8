//! Ratings.

use maud::{Markup, html};

/// One to five stars. A reader that does not show them says them.
pub(crate) fn stars(rating: u32) -> Markup {
    let filled = rating.min(5) as usize;
    html! {
        span.stars role="img" aria-label={ (rating) " of 5 stars" } {
            (&"★★★★★"[..filled * "★".len()]) span.unlit { (&"★★★★★"[filled * "★".len()..]) }
        }
    }
}

/// The average of several ratings with one decimal, and the nearest whole star.
pub(crate) fn average(reviews: u32, stars: u32) -> Option<(String, u32)> {
    let tenths = (stars * 20 + reviews).checked_div(reviews * 2)?;
    Some((format!("{}.{}", tenths / 10, tenths % 10), (tenths + 5) / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rounded() {
        assert_eq!(average(0, 0), None);
        assert_eq!(average(3, 13), Some(("4.3".into(), 4)));
        assert_eq!(average(2, 9), Some(("4.5".into(), 5)));
    }

    #[test]
    fn stars_say_what_they_show() {
        assert!(stars(4).into_string().contains("4 of 5 stars"));
        assert!(stars(9).into_string().contains("★★★★★<"));
    }
}

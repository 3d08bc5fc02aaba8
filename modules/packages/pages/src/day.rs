//! Days as people read them. No page says how long ago something was: that would change without the data.

use maud::{Markup, html};

/// The day of a moment, in UTC.
pub(crate) fn day(unix_seconds: i64) -> Markup {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (year, month, day) = civil(unix_seconds.div_euclid(86_400));
    html! {
        time datetime=(format!("{year:04}-{month:02}-{day:02}")) { (day) " " (MONTHS[month - 1]) " " (year) }
    }
}

/// Days since 1970 as year, month and day: H. Hinnant's `civil_from_days`, whose years begin in March.
fn civil(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_right_around_leap_years() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_778), (2026, 11, 21));
        assert!(day(951_782_400).into_string().contains("29 February 2000"));
    }
}

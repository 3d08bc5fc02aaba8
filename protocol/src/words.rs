//! Numbers and times as a person reads them, each with its unit.

/// A time span in the largest unit of which there are enough to tell one from another.
pub fn lasting(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// To about two digits: what differs less is no difference to whoever looks.
pub fn number(value: f64) -> String {
    match value {
        v if v <= 0.0 => "0".into(),
        v if v < 0.01 => "<0.01".into(),
        v if v < 1.0 => format!("{v:.2}"),
        v if v < 10.0 => format!("{v:.1}"),
        v if v < 10_000.0 => format!("{v:.0}"),
        v if v < 1e6 => format!("{:.1} k", v / 1e3),
        v if v < 1e9 => format!("{:.1} M", v / 1e6),
        v => format!("{:.1} G", v / 1e9),
    }
}

pub fn percent(part: f64) -> String {
    match part * 100.0 {
        p if p <= 0.0 => "0 %".into(),
        p if p < 0.1 => "<0.1 %".into(),
        p if p >= 100.0 => "100 %".into(),
        // Nearly all is not all.
        p => format!("{:.1} %", p.min(99.9)),
    }
}

pub fn micros(us: u64) -> String {
    let us = us as f64;
    match us {
        us if us < 1_000.0 => format!("{us:.0} µs"),
        us if us < 10_000.0 => format!("{:.1} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

/// `one node`, `3 nodes`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// How long ago, at a glance.
pub fn ago(now_ms: u64, at_ms: u64) -> String {
    match now_ms.saturating_sub(at_ms) {
        0..2_000 => "just now".into(),
        ms => format!("{} ago", lasting(ms)),
    }
}

/// Unix time as `2026-11-29 21:14:05 UTC`.
pub fn utc(at_ms: u64) -> String {
    let seconds = at_ms / 1_000;
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    // Years that begin in March, in eras of 400 of them, which all have as many days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_units_and_no_more_digits_than_are_read() {
        let told = [0.0, 0.004, 0.25, 4.13, 41.3, 9_999.0, 41_300.0, 4.2e6].map(number);
        assert_eq!(told, ["0", "<0.01", "0.25", "4.1", "41", "9999", "41.3 k", "4.2 M"]);
        assert_eq!([0.0, 0.0004, 0.5, 0.9999, 1.0].map(percent), ["0 %", "<0.1 %", "50.0 %", "99.9 %", "100 %"]);
        assert_eq!([340, 4_130, 41_300, 1_200_000].map(micros), ["340 µs", "4.1 ms", "41 ms", "1.2 s"]);
        assert_eq!((count(1, "node", "nodes"), count(0, "node", "nodes")), ("1 node".into(), "0 nodes".into()));
        assert_eq!(
            (ago(5_000, 4_000), ago(65_000, 0), ago(0, 9)),
            ("just now".into(), "65 s ago".into(), "just now".into())
        );
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (at_s, told) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_796_000_000, "2026-11-30 00:53:20 UTC"),
        ] {
            assert_eq!(utc(at_s * 1_000), told);
        }
    }
}

//! When something is due again and again: five fields as cron has them, or every so long. In UTC, so that there is no
//! hour that comes twice or never.

use std::{fmt, str::FromStr};

use crate::limits;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// A date that is ever due comes within this: 29 February may be eight years away, and on a given weekday forty.
const SEARCHED_DAYS: u64 = 41 * 366;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Fields(Fields),
    /// At the multiples of this since 1970.
    Every {
        ms: u64,
    },
}

/// Minute, hour, day of the month, month, day of the week: bits of what fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both name days: then either is enough, as cron has it.
    either_day: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    #[error(
        "schedule `{0}`: five fields expected: minute, hour, day of the month, month, day of the week, like `30 4 * * mon-fri`"
    )]
    NotFive(String),
    #[error("schedule: {field} `{text}`: {why}")]
    Field { field: &'static str, text: String, why: String },
    #[error("schedule `{0}`: no such date ever comes")]
    Never(String),
    #[error("every `{0}`: a number and `s`, `m`, `h` or `d` expected, like `15m`")]
    NotALength(String),
    #[error("every `{text}` is out of bounds: 1s to {most}d", most = limits::CRON_EVERY_MS_MOST / DAY_MS)]
    Bounds { text: String },
}

impl Schedule {
    pub fn every(text: &str) -> Result<Schedule, BadSchedule> {
        let unit_at = text.len() - text.chars().next_back().map_or(0, char::len_utf8);
        let unit_ms = match &text[unit_at..] {
            "s" => 1_000,
            "m" => MINUTE_MS,
            "h" => 60 * MINUTE_MS,
            "d" => DAY_MS,
            _ => return Err(BadSchedule::NotALength(text.to_owned())),
        };
        let digits = &text[..unit_at];
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(BadSchedule::NotALength(text.to_owned()));
        }
        let ms = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_ms));
        match ms.filter(|ms| (1..=limits::CRON_EVERY_MS_MOST).contains(ms)) {
            Some(ms) => Ok(Schedule::Every { ms }),
            None => Err(BadSchedule::Bounds { text: text.to_owned() }),
        }
    }

    /// The first moment after this one at which it is due: Unix time, milliseconds.
    pub fn next_after(&self, at_ms: u64) -> u64 {
        match self {
            Schedule::Every { ms } => (at_ms / ms + 1) * ms,
            Schedule::Fields(fields) => fields.next_after(at_ms).unwrap_or(u64::MAX >> 1),
        }
    }

    /// The last moment up to this one, and after `after_ms`, at which it was due.
    pub fn last_due(&self, after_ms: u64, now_ms: u64) -> Option<u64> {
        if after_ms >= now_ms {
            return None;
        }
        match self {
            Schedule::Every { ms } => Some(now_ms / ms * ms).filter(|due| *due > after_ms),
            Schedule::Fields(fields) => fields.last_until(now_ms).filter(|due| *due > after_ms),
        }
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Schedule, BadSchedule> {
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else { return Err(BadSchedule::NotFive(text.to_owned())) };
        let mut weekdays = Field { name: "day of the week", from: 0, to: 7, words: &DAYS }.bits(weekday)?;
        // Sunday is 0 and 7.
        if weekdays >> 7 & 1 == 1 {
            weekdays = (weekdays | 1) & !(1 << 7);
        }
        let fields = Fields {
            text: parts.join(" "),
            minutes: Field { name: "minute", from: 0, to: 59, words: &[] }.bits(minute)?,
            hours: Field { name: "hour", from: 0, to: 23, words: &[] }.bits(hour)?,
            days: Field { name: "day of the month", from: 1, to: 31, words: &[] }.bits(day)?,
            months: Field { name: "month", from: 1, to: 12, words: &MONTHS }.bits(month)?,
            weekdays,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match fields.next_after(0) {
            Some(_) => Ok(Schedule::Fields(fields)),
            None => Err(BadSchedule::Never(text.to_owned())),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Fields(fields) => f.write_str(&fields.text),
            Schedule::Every { ms } => {
                let units = [(DAY_MS, "d"), (60 * MINUTE_MS, "h"), (MINUTE_MS, "m"), (1_000, "s")];
                let (unit, name) = units.into_iter().find(|(unit, _)| ms % unit == 0).unwrap_or((1, "ms"));
                write!(f, "every {}{name}", ms / unit)
            }
        }
    }
}

/// What may stand in one field.
struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    /// Names of the values, in their order.
    words: &'static [&'static str],
}

impl Field {
    fn bits(&self, text: &str) -> Result<u64, BadSchedule> {
        let bad = |why: String| BadSchedule::Field { field: self.name, text: text.to_owned(), why };
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                None => (part, None),
                Some((range, step)) => {
                    let step = step.parse::<u32>().ok().filter(|step| *step > 0 && *step <= self.to);
                    let why = || bad(format!("a step of 1 to {} expected behind the `/`", self.to));
                    (range, Some(step.ok_or_else(why)?))
                }
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (self.from, self.to),
                Some((first, last)) => (self.value(first).map_err(bad)?, self.value(last).map_err(bad)?),
                None => {
                    let value = self.value(range).map_err(bad)?;
                    (value, if step.is_some() { self.to } else { value })
                }
            };
            if first > last {
                return Err(bad(format!("the range `{range}` ends before it begins")));
            }
            (first..=last).step_by(step.unwrap_or(1) as usize).for_each(|value| bits |= 1 << value);
        }
        Ok(bits)
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        if let Some(at) = self.words.iter().position(|word| *word == text) {
            return Ok(self.from + at as u32);
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|value| is_number && (self.from..=self.to).contains(value));
        number.ok_or_else(|| {
            let words = self.words.first().map(|first| format!(", or a name like `{first}`")).unwrap_or_default();
            format!("`{text}` is not a number from {} to {}{words}", self.from, self.to)
        })
    }
}

impl Fields {
    fn next_after(&self, at_ms: u64) -> Option<u64> {
        let first = at_ms / MINUTE_MS + 1;
        let (day, minute) = (first / 1_440, (first % 1_440) as u32);
        let later = |from: u32| (from..1_440).find(|minute| self.has_minute(*minute));
        if self.has_day(day)
            && let Some(minute) = later(minute)
        {
            return Some((day * 1_440 + u64::from(minute)) * MINUTE_MS);
        }
        let day = (day + 1..day + SEARCHED_DAYS).find(|day| self.has_day(*day))?;
        Some((day * 1_440 + u64::from(later(0)?)) * MINUTE_MS)
    }

    fn last_until(&self, at_ms: u64) -> Option<u64> {
        let last = at_ms / MINUTE_MS;
        let (day, minute) = (last / 1_440, (last % 1_440) as u32);
        let before = |to: u32| (0..=to).rev().find(|minute| self.has_minute(*minute));
        if self.has_day(day)
            && let Some(minute) = before(minute)
        {
            return Some((day * 1_440 + u64::from(minute)) * MINUTE_MS);
        }
        let day = (day.saturating_sub(SEARCHED_DAYS)..day).rev().find(|day| self.has_day(*day))?;
        Some((day * 1_440 + u64::from(before(1_439)?)) * MINUTE_MS)
    }

    fn has_minute(&self, of_day: u32) -> bool {
        self.hours >> (of_day / 60) & 1 == 1 && self.minutes >> (of_day % 60) & 1 == 1
    }

    fn has_day(&self, since_1970: u64) -> bool {
        let (month, day) = month_and_day(since_1970);
        // 1 January 1970 was a Thursday.
        let (by_date, by_weekday) = (self.days >> day & 1 == 1, self.weekdays >> ((since_1970 + 4) % 7) & 1 == 1);
        let fits = if self.either_day { by_date || by_weekday } else { by_date && by_weekday };
        self.months >> month & 1 == 1 && fits
    }
}

/// Of the Gregorian calendar, from days since 1970: years are counted from March, so that the leap day is their last.
fn month_and_day(since_1970: u64) -> (u32, u32) {
    let since_march = since_1970 + 719_468;
    let of_era = since_march % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 } as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22, a Sunday, 00:00 UTC.
    const SUNDAY: u64 = 1_795_305_600_000;
    const HOUR_MS: u64 = 60 * MINUTE_MS;

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in
            [(0, (1, 1)), (58, (2, 28)), (59, (3, 1)), (789, (2, 29)), (11_016, (2, 29)), (20_779, (11, 22))]
        {
            assert_eq!(month_and_day(days), expected, "{days}");
        }
        assert_eq!(SUNDAY / DAY_MS, 20_779);
    }

    #[test]
    fn the_next_time_is_found_and_is_the_last_one_afterwards() {
        for (text, after, expected) in [
            ("* * * * *", SUNDAY, SUNDAY + MINUTE_MS),
            ("*/15 * * * *", SUNDAY + 1, SUNDAY + 15 * MINUTE_MS),
            ("0 0 * * *", SUNDAY - 1, SUNDAY),
            ("0 0 * * *", SUNDAY, SUNDAY + DAY_MS),
            ("30 4 * * mon-fri", SUNDAY, SUNDAY + DAY_MS + 4 * HOUR_MS + 30 * MINUTE_MS),
            ("0 12 * * 7", SUNDAY, SUNDAY + 12 * HOUR_MS),
            ("0 12 * * SUN", SUNDAY, SUNDAY + 12 * HOUR_MS),
            ("5,10-12/2 3 * * *", SUNDAY + 3 * HOUR_MS + 6 * MINUTE_MS, SUNDAY + 3 * HOUR_MS + 10 * MINUTE_MS),
            ("0 0 1 dec *", SUNDAY, SUNDAY + 9 * DAY_MS),
            // Either day, because both are named: Friday the 27th comes before the 30th.
            ("0 0 30 * fri", SUNDAY, SUNDAY + 5 * DAY_MS),
            // 29 February 2028.
            ("0 0 29 2 *", SUNDAY, SUNDAY + 464 * DAY_MS),
            ("50/5 * * * *", SUNDAY, SUNDAY + 50 * MINUTE_MS),
        ] {
            let schedule = schedule(text);
            let next = schedule.next_after(after);
            assert_eq!(next, expected, "{text}");
            assert_eq!(schedule.last_due(after, next), Some(next), "{text}");
            assert_eq!(schedule.last_due(after, next + 59_999), Some(next), "{text}");
            assert_eq!(schedule.last_due(next, next + 59_999), None, "{text}: it has been");
            assert_eq!(schedule.last_due(after, next - 1), None, "{text}: it is not due yet");
        }
    }

    #[test]
    fn of_many_missed_times_the_last_counts_and_a_clock_set_back_finds_none() {
        for schedule in [schedule("*/5 * * * *"), Schedule::every("5m").unwrap()] {
            let now = SUNDAY + 7 * MINUTE_MS;
            assert_eq!(schedule.last_due(SUNDAY - 400 * DAY_MS, now), Some(SUNDAY + 5 * MINUTE_MS));
            assert_eq!(schedule.last_due(SUNDAY + DAY_MS, now), None);
        }
    }

    #[test]
    fn lengths_are_read_and_shown() {
        for (text, ms, shown) in
            [("15m", 900_000, "every 15m"), ("90s", 90_000, "every 90s"), ("24h", DAY_MS, "every 1d")]
        {
            let every = Schedule::every(text).unwrap();
            assert_eq!((&every, every.to_string().as_str()), (&Schedule::Every { ms }, shown));
        }
        for bad in ["", "m", "15", "1.5h", "-1s", "+1s", "15 m", "1w", "ü"] {
            assert!(matches!(Schedule::every(bad), Err(BadSchedule::NotALength(_))), "{bad}");
        }
        for bad in ["0s", "367d", "99999999999999999999d"] {
            assert!(matches!(Schedule::every(bad), Err(BadSchedule::Bounds { .. })), "{bad}");
        }
        assert_eq!(schedule("0  4 * *\tMON").to_string(), "0 4 * * mon");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("* * * *", "five fields expected"),
            ("60 * * * *", "minute `60`: `60` is not a number from 0 to 59"),
            ("* 5-3 * * *", "hour `5-3`: the range `5-3` ends before it begins"),
            ("*/0 * * * *", "a step of 1 to 59 expected"),
            ("* * 0 * *", "day of the month `0`"),
            ("* * * foo *", "month `foo`: `foo` is not a number from 1 to 12, or a name like `jan`"),
            ("* * * * +1", "day of the week `+1`"),
            ("0 0 31 feb *", "no such date ever comes"),
            ("1,,2 * * * *", "`` is not a number"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

//! BM25 in whole numbers: a rank is a sum that does not depend on the order of its parts, so a tie is a tie.
//!
//! `score = sum over terms of idf * impact`, where `idf = ln(1 + (N - df + 0.5) / (df + 0.5))` in units of 2^-16 and
//! `impact = tf / (tf + k1 * (1 - b + b * length / average))` in units of 1/65535. `tf` is the sum over the columns of
//! weight times occurrences.

use crate::{
    bytes::Bytes,
    fault::{Fault, Result},
    limits,
};

const K1: f32 = 1.2;
const B: f32 = 0.75;
pub const IMPACT_SCALE: f32 = 65_535.0;
pub const IDF_SCALE: f64 = 65_536.0;

/// How many documents there are, and how long they are together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    pub documents: u64,
    /// Lengths, as they are kept: quantised.
    pub tokens: u64,
}

impl Statistics {
    pub fn average(&self) -> f32 {
        if self.documents == 0 { 1.0 } else { (self.tokens as f32 / self.documents as f32).max(1.0) }
    }

    /// What is scored by, of what is there: rounded, so that a change moves it seldom, and never by how it came about: an
    /// index that was kept and one that is made anew score alike.
    pub fn settled(&self) -> Statistics {
        let documents = coarse(self.documents);
        let average = coarse(self.tokens.saturating_mul(AVERAGE_PARTS) / self.documents.max(1));
        Statistics { documents, tokens: documents.saturating_mul(average) / AVERAGE_PARTS }
    }

    /// How rare a term is, in units of 2^-16: above zero for every term.
    pub fn idf(&self, documents_with: i64) -> u64 {
        let with = documents_with.clamp(1, self.documents.max(1) as i64) as f64;
        let all = self.documents.max(1) as f64;
        ((1.0 + (all - with + 0.5) / (with + 0.5)).ln() * IDF_SCALE).ceil() as u64
    }
}

/// The average length is rounded in these parts of a word.
const AVERAGE_PARTS: u64 = 256;

/// The middle of all numbers with the same four highest bits: exact below 16, then in steps of an eighth to a sixteenth.
fn coarse(number: u64) -> u64 {
    match number.max(1).ilog2().checked_sub(3) {
        None | Some(0) => number,
        Some(shift) => (number >> shift << shift) + (1 << (shift - 1)),
    }
}

/// A score as SQLite shows it: better is smaller, as in FTS5.
pub fn rank(score: u64) -> f64 {
    -(score as f64) * f64::from(K1 + 1.0) / (IDF_SCALE * f64::from(IMPACT_SCALE))
}

/// `k1 * (1 - b + b * length / average)` for each quantised length.
#[derive(Clone)]
pub struct Norms([f32; 256]);

impl Norms {
    pub fn new(average: f32) -> Norms {
        Norms(std::array::from_fn(|code| {
            let length = length_of(code as u8) as f32;
            K1 * (1.0 - B + B * length / average)
        }))
    }

    /// Grows with `tf` whatever is rounded: each of its steps does.
    #[inline]
    pub fn impact(&self, tf: f32, length: u8) -> u16 {
        let norm = self.0[usize::from(length)];
        (IMPACT_SCALE * (1.0 - norm / (tf + norm))) as u16
    }
}

/// The most an impact can be when the average length is `now`, of one that was reckoned when it was `then`.
pub fn impact_bound(impact: u16, then: f32, now: f32) -> u16 {
    if then == now {
        return impact;
    }
    let slack = (f64::from(now) / f64::from(then)).max(1.0);
    ((f64::from(impact) + 2.0) * slack).ceil().min(f64::from(IMPACT_SCALE)) as u16
}

/// A number of tokens in one byte: exact below 64, then sixteen steps an octave, rounded down.
pub fn length_code(tokens: u32) -> u8 {
    if tokens < 64 {
        return tokens as u8;
    }
    let octave = tokens.ilog2();
    let step = (tokens >> (octave - 4)) & 15;
    (64 + (octave - 6) * 16 + step).min(255) as u8
}

pub fn length_of(code: u8) -> u32 {
    match u32::from(code).checked_sub(64) {
        None => u32::from(code),
        Some(above) => (16 + (above & 15)) << (above / 16 + 2),
    }
}

/// What each column counts for.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    by_column: Vec<f32>,
}

impl Weights {
    /// `8,3,1`; columns that are not named count once.
    pub fn parse(text: Option<&str>, columns: usize) -> Result<Weights> {
        let mut by_column = vec![1.0; columns];
        let Some(text) = text else { return Ok(Weights { by_column }) };
        let given: Vec<&str> = text.split(',').map(str::trim).collect();
        if given.len() > columns {
            let refused = format!("weights='{text}' has {} numbers, and there are {columns} columns", given.len());
            return Err(Fault::Refused(refused));
        }
        for (weight, word) in by_column.iter_mut().zip(given) {
            *weight =
                word.parse().ok().filter(|weight| (0.0..=limits::COLUMN_WEIGHT_MOST).contains(weight)).ok_or_else(
                    || {
                        Fault::Refused(format!(
                            "weights: '{word}' is not a number from 0 to {}",
                            limits::COLUMN_WEIGHT_MOST
                        ))
                    },
                )?;
        }
        Ok(Weights { by_column })
    }

    /// A column that does not score.
    pub fn forget(&mut self, column: usize) {
        self.by_column[column] = 0.0;
    }

    pub fn of(&self, column: usize) -> f32 {
        self.by_column[column]
    }

    #[inline]
    pub fn tf(&self, counts: &[u32]) -> f32 {
        counts.iter().zip(&self.by_column).map(|(count, weight)| *count as f32 * weight).sum()
    }
}

pub fn read_average(bytes: &mut Bytes<'_>) -> Result<f32> {
    let average = bytes.f32()?;
    if (1.0..=1e9).contains(&average) { Ok(average) } else { Err(Fault::Damaged("an average length is none")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_down_by_less_than_a_sixteenth() {
        for tokens in (0..5_000).chain((5_000..limits::DOCUMENT_TOKENS / 32).step_by(97)) {
            let kept = length_of(length_code(tokens));
            assert!(kept <= tokens && tokens - kept <= tokens / 16, "{tokens} became {kept}");
        }
        assert_eq!(length_code(u32::MAX), 255);
        for code in 0..=255 {
            assert_eq!(length_code(length_of(code)), code);
        }
    }

    #[test]
    fn statistics_settle_by_what_is_there_alone_and_near_it() {
        let mut steps = 0;
        let mut before = 0;
        for documents in 0..100_000 {
            let coarse = coarse(documents);
            assert!(documents < 16 || coarse.abs_diff(documents) * 16 <= documents, "{documents} became {coarse}");
            assert!(coarse >= before);
            steps += u64::from(coarse != before);
            before = coarse;
        }
        assert!(steps < 130, "{steps}");
        let settled = Statistics { documents: 63_000, tokens: 63_000 * 37 }.settled();
        assert!((34.0..40.0).contains(&settled.average()), "{settled:?}");
        assert_eq!(settled, Statistics { documents: 63_100, tokens: 63_100 * 37 + 9_999 }.settled());
        let none = Statistics { documents: 0, tokens: 0 };
        assert_eq!(none.settled(), none);
        let most = Statistics { documents: u32::MAX.into(), tokens: u64::MAX }.settled();
        assert!(most.average().is_finite());
    }

    #[test]
    fn an_impact_grows_with_tf_and_stays_under_its_bound() {
        for average in [1.0, 7.3, 120.0] {
            let norms = Norms::new(average);
            for moved in [average * 0.8, average, average * 1.3] {
                let other = Norms::new(moved.max(1.0));
                for length in 0..=255 {
                    let mut last = 0;
                    for tf in (1..400).map(|tf| tf as f32 / 3.0) {
                        let impact = norms.impact(tf, length);
                        assert!(impact >= last);
                        last = impact;
                        assert!(other.impact(tf, length) <= impact_bound(impact, average, moved.max(1.0)));
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_numbers_for_columns() {
        assert_eq!(Weights::parse(Some("8, 3"), 3).unwrap().by_column, [8.0, 3.0, 1.0]);
        for wrong in ["8,3,1,1", "a", "-1", "nan", "1e9"] {
            assert!(Weights::parse(Some(wrong), 3).is_err(), "{wrong}");
        }
    }
}

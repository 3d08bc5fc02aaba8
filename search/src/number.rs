//! Columns of numbers: each number is a term at several widths, so that a range is few terms whatever is in it.
//!
//! A number's first term is the number itself, and each next one what is left of it without another eight bits. A range is
//! made of the widest that fit in it: single numbers at its edges, then 256 at a time, and so on.

use crate::batch::TAG;

/// Widths in steps of eight bits. Beyond the last one, a range is all of its terms that are there.
pub const WIDTHS: u8 = 6;
const STEP_BITS: u32 = 8;
const STEP: u64 = (1 << STEP_BITS) - 1;

/// Terms of one width, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    width: u8,
    from: u64,
    to: u64,
}

/// In the order of the numbers.
fn ordered(number: i64) -> u64 {
    (number as u64) ^ (1 << 63)
}

/// The term of all numbers of which this is left.
pub fn term(column: usize, width: u8, left: u64) -> Vec<u8> {
    [&[TAG, column as u8, width][..], &left.to_be_bytes()].concat()
}

/// What is left of a number at a width.
pub fn left(number: i64, width: u8) -> u64 {
    ordered(number) >> (u32::from(width) * STEP_BITS)
}

/// What is left in a term of a number, at whatever width.
pub fn left_of(term: &[u8]) -> Option<u64> {
    term.get(3..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The first and the last that are left of the same numbers at the next narrower width.
pub fn narrower(left: u64) -> (u64, u64) {
    (left << STEP_BITS, left << STEP_BITS | STEP)
}

/// The terms of a number.
pub fn terms(column: usize, number: i64) -> impl Iterator<Item = Vec<u8>> {
    (0..WIDTHS).map(move |width| term(column, width, left(number, width)))
}

/// The terms that are all numbers from `low` to `high`, both included, and no other.
pub fn spans(low: i64, high: i64) -> Vec<Span> {
    let (mut from, mut to) = (ordered(low), ordered(high));
    let mut spans = Vec::new();
    if from > to {
        return spans;
    }
    for width in 0..WIDTHS {
        if width + 1 == WIDTHS || from >> STEP_BITS == to >> STEP_BITS {
            spans.push(Span { width, from, to });
            return spans;
        }
        if from & STEP != 0 {
            spans.push(Span { width, from, to: from | STEP });
            from = (from | STEP) + 1;
        }
        if to & STEP != STEP {
            spans.push(Span { width, from: to & !STEP, to });
            to = (to & !STEP) - 1;
        }
        if from > to {
            return spans;
        }
        (from, to) = (from >> STEP_BITS, to >> STEP_BITS);
    }
    spans
}

impl Span {
    pub fn terms(&self, column: usize) -> (Vec<u8>, Vec<u8>) {
        (term(column, self.width, self.from), term(column, self.width, self.to))
    }
}

/// A value as it counts: fractions are cut off; what is no number is none.
pub fn read(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // Beyond these, a cast would give the last number there is.
        (number.floor() >= i64::MIN as f64 && number.floor() < i64::MAX as f64).then(|| number.floor() as i64)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_in(spans: &[Span], number: i64) -> usize {
        let terms: Vec<Vec<u8>> = terms(3, number).collect();
        let ranges: Vec<_> = spans.iter().map(|span| span.terms(3)).collect();
        ranges.iter().map(|(from, to)| terms.iter().filter(|term| (from..=to).contains(term)).count()).sum()
    }

    proptest! {
        /// Each number of a range is in it by one term and no more, all others by none.
        #[test]
        fn a_range_is_its_numbers(low in -70_000_i64..70_000, more in 0_i64..200_000, wide in any::<bool>(), number in any::<prop::sample::Index>()) {
            let (low, more) = if wide { (low << 40, more << 40) } else { (low, more) };
            let high = low.saturating_add(more);
            let spans = spans(low, high);
            let near = low.saturating_sub(600).saturating_add(number.index((more as usize).saturating_add(1_200)) as i64);
            for number in [near, low, high, low - 1, high + 1, i64::MIN, i64::MAX] {
                prop_assert_eq!(is_in(&spans, number), usize::from((low..=high).contains(&number)), "{}", number);
            }
        }
    }

    #[test]
    fn the_ends_are_numbers_too() {
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(is_in(&spans(i64::MIN, i64::MAX), number), 1);
            assert_eq!(is_in(&spans(number, number), number), 1);
        }
        assert!(spans(1, 0).is_empty());
    }

    #[test]
    fn values_are_read_as_they_stand() {
        assert_eq!([" 42", "-7", "3.9", "-3.1", "1e3"].map(read), [42, -7, 3, -4, 1_000].map(Some));
        assert_eq!(["", "many", "1e300", "nan", "inf"].map(read), [None; 5]);
    }
}

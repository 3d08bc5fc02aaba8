//! What happens to a store, step by step: to be played, shown, and made shorter.

use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A command with its payload, JSON.
    Command { name: String, payload: String },
    /// Rows that a push of data brings, changes or takes away.
    Rows(String),
    /// The read database follows, by what the change log names since it last did.
    Follow,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Command { name, payload } => write!(f, "{name} {payload}"),
            Step::Rows(sql) => write!(f, "a push of data: {sql}"),
            Step::Follow => f.write_str("the read database follows"),
        }
    }
}

/// Leaves out whatever can be left out while `still` says that what is left still shows it. Bounded by `tries`.
pub(super) fn shrink(steps: Vec<Step>, tries: usize, mut still: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut steps = steps;
    let mut tried = 0;
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let before = steps.len();
        let mut at = 0;
        while at < steps.len() {
            if tried == tries {
                return steps;
            }
            tried += 1;
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            match still(&fewer) {
                true => steps = fewer,
                false => at += chunk,
            }
        }
        // One by one until a whole round leaves nothing out.
        chunk = if chunk == 1 && steps.len() < before { 1 } else { chunk / 2 };
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shows_it_is_left() {
        let step = |number: usize| Step::Rows(number.to_string());
        let steps: Vec<Step> = (0..60).map(step).collect();
        let mut tries = 0;
        let left = shrink(steps.clone(), 1_000, |steps| {
            tries += 1;
            [7, 31, 32].iter().all(|number| steps.contains(&step(*number)))
        });
        assert_eq!(left, [step(7), step(31), step(32)]);
        assert!(tries < 200, "{tries}");
        assert_eq!(shrink(steps.clone(), 0, |_| true), steps);
    }
}

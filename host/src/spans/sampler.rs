//! Which requests are traced: those that are said to be, and a part of those nothing is said of.

use nearside_protocol::trace_context::{TraceContext, TraceId};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Of the numbers a trace's id may end with, below 2^63: as OpenTelemetry's `traceidratio` has it, so that all who are told
    /// of a trace decide alike.
    below: u64,
    follows_parent: bool,
}

const ALL: u64 = 1 << 63;

impl Sampler {
    /// A part of all traces, from 0 to 1. Where it follows its parent, that holds for those only that come without a decision.
    pub fn of(ratio: f64, follows_parent: bool) -> Sampler {
        // Whatever lies outside is cut off.
        let below = if ratio >= 1.0 { ALL } else { (ratio * ALL as f64) as u64 };
        Sampler { below, follows_parent }
    }

    /// `trace` is asked for only if it matters.
    pub(crate) fn samples(&self, parent: Option<&TraceContext>, trace: impl FnOnce() -> TraceId) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled,
            _ => match self.below {
                0 => false,
                ALL => true,
                below => number(trace()) < below,
            },
        }
    }
}

fn number(trace: TraceId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = trace.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1
}

#[cfg(test)]
mod tests {
    use nearside_protocol::trace_context::SpanId;

    use super::*;
    use crate::trace::new_trace;

    fn parent(is_sampled: bool) -> TraceContext {
        TraceContext { trace: TraceId([1; 16]), span: SpanId([1; 8]), is_sampled }
    }

    #[test]
    fn the_parent_decides_where_it_is_followed() {
        let never = || unreachable!("no id is needed");
        for ratio in [0.0, 0.5, 1.0] {
            assert!(Sampler::of(ratio, true).samples(Some(&parent(true)), never));
            assert!(!Sampler::of(ratio, true).samples(Some(&parent(false)), never));
        }
        assert!(!Sampler::of(0.0, false).samples(Some(&parent(true)), never));
        assert!(Sampler::of(1.0, false).samples(Some(&parent(false)), never));
    }

    #[test]
    fn a_part_is_about_that_part_and_the_same_for_all() {
        let traces: Vec<TraceId> = (0..20_000).map(|_| new_trace()).collect();
        let sampled =
            |ratio: f64| traces.iter().filter(|trace| Sampler::of(ratio, true).samples(None, || **trace)).count();
        let tenth = sampled(0.1);
        assert!((1_600..2_400).contains(&tenth), "{tenth}");
        assert_eq!((sampled(0.0), sampled(1.0), sampled(7.0)), (0, traces.len(), traces.len()));
        let both =
            |trace: &&TraceId| [0.1, 0.2].iter().all(|ratio| Sampler::of(*ratio, true).samples(None, || **trace));
        assert_eq!(traces.iter().filter(both).count(), tenth, "who samples more has all of those who sample less");
    }
}

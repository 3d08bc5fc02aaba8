//! Which routes are made so quickly that it is done where they are asked for.
//!
//! Waking a thread for a page, and another one for its answer, can cost as much as a small page itself.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nearside_protocol::limits;

/// How much of a core each route of an app takes, by its latest renders.
pub(crate) struct Quick(Vec<AtomicU32>);

/// What is believed of a route of which nothing is known, and the most that one render can say.
const SLOW_US: u32 = 20_000;

/// So many renders have a say.
const RENDERS: u32 = 16;

impl Quick {
    pub(crate) fn new(routes: usize) -> Quick {
        Quick((0..routes).map(|_| AtomicU32::new(SLOW_US)).collect())
    }

    pub(crate) fn is(&self, route: usize) -> bool {
        self.0.get(route).is_some_and(|us| us.load(Ordering::Relaxed) < limits::QUICK_RENDER_US)
    }

    /// Two that count at once may lose one of them.
    pub(crate) fn took(&self, route: usize, took: Duration) {
        let Some(us) = self.0.get(route) else { return };
        let took = took.as_micros().min(u128::from(SLOW_US)) as u32;
        let before = us.load(Ordering::Relaxed);
        us.store(before - before / RENDERS + took / RENDERS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_quick_when_it_has_been_for_a_while_and_slow_after_one_that_is_very_slow() {
        let quick = Quick::new(2);
        assert!(!quick.is(0) && !quick.is(7));
        (0..100).for_each(|_| quick.took(0, Duration::from_micros(200)));
        assert!(quick.is(0) && !quick.is(1));
        quick.took(0, Duration::from_millis(2));
        assert!(quick.is(0));
        quick.took(0, Duration::from_secs(1));
        assert!(!quick.is(0));
        quick.took(7, Duration::from_secs(1));
    }
}

//! Who waits of one class, and what became of that class lately: from it follows whether its queue stands.

use std::{collections::VecDeque, time::Duration};

use nearside_protocol::limits;
use tokio::time::Instant;

use crate::shed::Shed;

/// What whoever waits is told.
pub(super) type Outcome = Result<(), Shed>;

/// What is then done. It may come back for a place or give one back, so it is not done while the places are held.
pub(super) type Tell = Box<dyn FnOnce(Outcome) + Send>;

pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) tell: Tell,
}

/// What there is of one class.
pub(super) struct Line {
    /// Old to new.
    pub(super) waiting: VecDeque<Waiter>,
    pub(super) under_way: usize,
    /// When last nobody waited in it, or no core was missing, or no more than are made in a moment; and few were refused.
    pub(super) calm_at: Instant,
    /// When last somebody waited for too long, or was turned away because it stands.
    pub(super) refused_at: Option<Instant>,
    /// Made in the time that anybody may wait while the queue stands.
    made: Lately,
    /// Made and refused of late.
    admits: Lately,
    refuses: Lately,
    pub(super) admitted: u64,
    pub(super) waited: Duration,
    pub(super) shed: [u64; Shed::REASONS.len()],
}

/// How often something happened of late: in this while, and in the one before it.
struct Lately {
    a_while: Duration,
    since: Instant,
    this: usize,
    before: usize,
}

impl Lately {
    fn new(a_while: Duration, now: Instant) -> Lately {
        Lately { a_while, since: now, this: 0, before: 0 }
    }

    fn look(&mut self, now: Instant) {
        let whiles = now.saturating_duration_since(self.since).as_nanos() / self.a_while.as_nanos();
        if whiles > 0 {
            self.before = if whiles == 1 { self.this } else { 0 };
            (self.since, self.this) = (now, 0);
        }
    }

    fn in_a_while(&self) -> usize {
        self.this.max(self.before)
    }

    fn in_both(&self) -> usize {
        self.this + self.before
    }
}

impl Line {
    pub(super) fn new(now: Instant) -> Line {
        Line {
            waiting: VecDeque::new(),
            under_way: 0,
            calm_at: now,
            refused_at: None,
            made: Lately::new(limits::RENDER_WAIT, now),
            admits: Lately::new(limits::RENDERS_OF_LATE, now),
            refuses: Lately::new(limits::RENDERS_OF_LATE, now),
            admitted: 0,
            waited: Duration::ZERO,
            shed: [0; Shed::REASONS.len()],
        }
    }

    /// One has a place, for which it has waited so long.
    pub(super) fn enter(&mut self, waited: Duration) {
        self.made.this += 1;
        self.admits.this += 1;
        self.under_way += 1;
        self.admitted += 1;
        self.waited += waited;
    }

    pub(super) fn note_calm(&mut self, has_core: bool, places: usize, now: Instant) {
        [&mut self.made, &mut self.admits, &mut self.refuses].into_iter().for_each(|lately| lately.look(now));
        // A few dozen visitors who each come again when they have their page keep a queue from ever being empty, and yet
        // nobody in it waits for long. One that is short, or empty for a moment, because others are refused still stands: else
        // it would grow again until it is too long, and again. But a few are refused of as many as can be made, too.
        let is_short = self.waiting.len() <= self.made.in_a_while().max(self.a_few(places));
        if (is_short || has_core) && !self.refuses_many() {
            self.calm_at = now;
        }
    }

    /// More comes than can be made: for a while now somebody has waited for a core all the time.
    pub(super) fn stands(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.calm_at) >= limits::RENDERS_STAND
    }

    pub(super) fn refused(&mut self, now: Instant) {
        self.refused_at = Some(now);
        self.refuses.this += 1;
    }

    /// More than a few of those who came of late were refused.
    fn refuses_many(&self) -> bool {
        self.refuses.in_both() * limits::REFUSED_FEW > self.admits.in_both()
    }

    /// While it stands so many wait that the places are never empty. More would wait in vain: they are told so when they come.
    pub(super) fn enough(&self, places: usize) -> usize {
        (self.made.in_a_while() / limits::WAITING_OF_MADE).max(self.a_few(places)).max(places)
    }

    /// Some for each place, where pages are so slow that few are made in a moment; as long as so many were made of late.
    fn a_few(&self, places: usize) -> usize {
        (limits::WAITING_A_PLACE * places).min(self.admits.in_both())
    }

    pub(super) fn at(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }

    pub(super) fn take_out(&mut self, number: u64) -> Option<Waiter> {
        let at = self.at(number)?;
        self.waiting.remove(at)
    }

    /// How long anybody waits in it.
    pub(super) fn allowed(&self, places: usize, now: Instant) -> Duration {
        if self.stands(now) { self.moment(places) } else { limits::RENDERS_STAND }
    }

    /// RENDER_WAIT, or twice as long as it takes until enough are made, where pages are slow.
    fn moment(&self, places: usize) -> Duration {
        let (enough, made) = (self.enough(places) as u32, self.admits.in_a_while() as u32);
        let taken = (2 * enough * limits::RENDERS_OF_LATE).checked_div(made).unwrap_or_default();
        taken.clamp(limits::RENDER_WAIT, limits::RENDERS_OF_LATE)
    }
}

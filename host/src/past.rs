//! What releases before this one changed: by this an entry of any of them is judged when it is asked for.

use std::{sync::Arc, time::Instant};

use nearside_protocol::{limits, page_object::Page};

use crate::{
    evidence::Evidence,
    pages::{Table, reads::ReadSet},
    release::Release,
};

/// Whether a response that was right on one release is right on a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None of the pages it was computed from has changed.
    Untouched,
    /// Some have: the answers to its questions decide.
    Touched,
    /// All may have: the schema is another, or what the planner knows. The answers decide here, too.
    AllTouched,
    /// Its code or settings are others.
    OtherApp,
}

/// What happened between two switches.
struct Step {
    /// The generations it leads from and to.
    from: u64,
    to: u64,
    /// Just before the switch.
    at: Instant,
    app_stands: bool,
    changed: Changed,
}

enum Changed {
    /// A bit for each page.
    Pages(Box<[u64]>),
    /// The schema, what the planner knows, or the SQLite that reads it.
    Everything,
}

/// The steps that led to a release, old to new. The first one may stand for many.
#[derive(Clone, Default)]
pub struct Past(Arc<[Arc<Step>]>);

impl Past {
    /// The past of the release that follows `before`.
    pub fn after(before: &Release, now: &Release) -> Past {
        let mut steps: Vec<Arc<Step>> = before.past.0.to_vec();
        steps.push(Arc::new(Step::between(before, now)));
        if steps.len() > limits::STEPS_BACK {
            let second = steps.remove(1);
            steps[0] = Arc::new(steps[0].and(&second));
        }
        Past(steps.into())
    }

    /// Judges what was right at generation `since`, on the release this is the past of.
    pub fn judge(&self, evidence: &Evidence, since: u64) -> Verdict {
        let steps = match self.since(since) {
            Some(steps) if steps.iter().all(|step| step.app_stands) => steps,
            _ => return Verdict::OtherApp,
        };
        if steps.iter().any(|step| matches!(step.changed, Changed::Everything)) {
            return Verdict::AllTouched;
        }
        match steps.iter().any(|step| step.touches(&evidence.pages)) {
            true => Verdict::Touched,
            false => Verdict::Untouched,
        }
    }

    /// Whether any of these pages may have changed since generation `since`.
    pub fn touches(&self, pages: &ReadSet, since: u64) -> bool {
        self.since(since).is_none_or(|steps| steps.iter().any(|step| step.touches(pages)))
    }

    /// When pages of what was right at generation `since` were first changed, if the app stands.
    pub fn touched_at(&self, evidence: &Evidence, since: u64) -> Option<Instant> {
        let steps = self.since(since)?;
        let touching = steps.iter().find(|step| step.touches(&evidence.pages))?;
        steps.iter().all(|step| step.app_stands).then_some(touching.at)
    }

    /// Those of its pages that were changed since; none where all of them may have been.
    pub fn touched_pages(&self, evidence: &Evidence, since: u64) -> Option<Vec<u32>> {
        let (steps, ReadSet::Pages(pages)) = (self.since(since)?, &evidence.pages) else { return None };
        let has = |step: &Arc<Step>, page: u32| match &step.changed {
            Changed::Everything => None,
            Changed::Pages(bits) => Some(is_marked(bits, page)),
        };
        let mut touched = Vec::new();
        for page in pages {
            let changed: Option<Vec<bool>> = steps.iter().map(|step| has(step, *page)).collect();
            if changed?.contains(&true) {
                touched.push(*page);
            }
        }
        Some(touched)
    }

    /// The steps after generation `since`; none when they are not all known any more.
    fn since(&self, since: u64) -> Option<&[Arc<Step>]> {
        let first = self.0.partition_point(|step| step.to <= since);
        let steps = &self.0[first..];
        // What happened before the first step nobody knows any more; a release without steps is its own beginning.
        steps.first().is_some_and(|first| first.from <= since).then_some(steps)
    }
}

impl Step {
    fn between(before: &Release, now: &Release) -> Step {
        let (was, is) = (&before.manifest, &now.manifest);
        let app_stands = was.app_digest == is.app_digest && was.variables == is.variables && was.secrets == is.secrets;
        let changed = match (before.database.table(), now.database.table()) {
            (Some(old), Some(new)) if was.fingerprint == is.fingerprint => Changed::Pages(changed_pages(old, new)),
            _ => Changed::Everything,
        };
        Step { from: before.generation, to: now.generation, at: Instant::now(), app_stands, changed }
    }

    /// This step and the next one as one.
    fn and(&self, next: &Step) -> Step {
        let changed = match (&self.changed, &next.changed) {
            (Changed::Pages(one), Changed::Pages(other)) => {
                let (long, short) = if one.len() >= other.len() { (one, other) } else { (other, one) };
                let mut bits = long.clone();
                bits.iter_mut().zip(short).for_each(|(bits, more)| *bits |= more);
                Changed::Pages(bits)
            }
            _ => Changed::Everything,
        };
        let app_stands = self.app_stands && next.app_stands;
        Step { from: self.from, to: next.to, at: self.at, app_stands, changed }
    }

    fn touches(&self, read: &ReadSet) -> bool {
        match (&self.changed, read) {
            (Changed::Pages(bits), ReadSet::Pages(pages)) => pages.iter().any(|page| is_marked(bits, *page)),
            _ => true,
        }
    }
}

fn is_marked(bits: &[u64], page: u32) -> bool {
    bits.get(page as usize / 64).is_some_and(|word| word & (1 << (page % 64)) != 0)
}

/// A bit for each page that is another in `new`, or is in only one of them.
fn changed_pages(old: &Table, new: &Table) -> Box<[u64]> {
    let pages = old.pages().max(new.pages());
    let mut bits = vec![0_u64; (pages as usize).div_ceil(64)].into_boxed_slice();
    let mut mark = |page: u32| bits[page as usize / 64] |= 1 << (page % 64);
    new.changed_since(old).into_iter().chain(new.pages()..old.pages()).for_each(&mut mark);
    if bits.first().is_some_and(|word| word & 1 != 0) && says_the_same(old, new) {
        bits[0] &= !1;
    }
    bits
}

/// The first page counts changes and free pages, which no query can ask for: without those it is compared.
fn says_the_same(old: &Table, new: &Table) -> bool {
    let first = |table: &Table| {
        let mut page: Page = [0; size_of::<Page>()];
        table.read(0, &mut page).ok()?;
        // Change counter, size, and list of free pages; then who wrote it last.
        page[24..40].fill(0);
        page[92..100].fill(0);
        Some(page)
    };
    matches!((first(old), first(new)), (Some(old), Some(new)) if old == new)
}

//! What releases before this one changed: by this an entry of any of them is judged when it is asked for.

use std::sync::Arc;

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
    /// Its code or settings are others.
    OtherApp,
}

/// What happened between two switches.
struct Step {
    /// The generations it leads from and to.
    from: u64,
    to: u64,
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
        let first = self.0.partition_point(|step| step.to <= since);
        let steps = &self.0[first..];
        // What happened before the first step nobody knows any more; a release without steps is its own beginning.
        if steps.first().is_none_or(|first| first.from > since) || steps.iter().any(|step| !step.app_stands) {
            return Verdict::OtherApp;
        }
        let ReadSet::Pages(pages) = &evidence.pages else { return Verdict::Touched };
        match steps.iter().any(|step| step.touches(pages)) {
            true => Verdict::Touched,
            false => Verdict::Untouched,
        }
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
        Step { from: before.generation, to: now.generation, app_stands, changed }
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
        Step { from: self.from, to: next.to, app_stands: self.app_stands && next.app_stands, changed }
    }

    fn touches(&self, pages: &[u32]) -> bool {
        match &self.changed {
            Changed::Everything => true,
            Changed::Pages(bits) => pages
                .iter()
                .any(|page| bits.get(*page as usize / 64).is_some_and(|word| word & (1 << (page % 64)) != 0)),
        }
    }
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

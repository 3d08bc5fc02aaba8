//! A release's pages: where each is, and what it must hash to. A table never changes; releases share the groups that are the
//! same in both.

use std::{io, sync::Arc};

use nearside_protocol::{
    digest::{Digest, PAGES_PER_GROUP, group_digest, root_of_groups},
    page_object::Page,
};

use super::{
    PagesError,
    book::Entry,
    slots::{NO_SLOT, Slots},
};

/// 256 pages in a row.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) slots: Vec<u32>,
    pub(super) hashes: Vec<Digest>,
    pub(super) digest: Digest,
}

impl Group {
    pub(super) fn empty() -> Group {
        Group { slots: Vec::new(), hashes: Vec::new(), digest: group_digest(&[]) }
    }

    pub(super) fn seal(&mut self) {
        self.digest = group_digest(&self.hashes);
    }
}

/// Where a page is, and what it must hash to.
pub(super) fn entry(groups: &[Arc<Group>], number: u32) -> Option<(u32, Digest)> {
    let group = groups.get(number as usize / PAGES_PER_GROUP)?;
    let within = number as usize % PAGES_PER_GROUP;
    let slot = *group.slots.get(within)?;
    (slot != NO_SLOT).then(|| (slot, group.hashes[within]))
}

/// Makes groups of so many pages out of those of `before` pages; new pages have no slot. Gives the groups that are to be
/// sealed.
pub(super) fn resize(groups: &mut Vec<Arc<Group>>, before: u32, pages: u32) -> Vec<usize> {
    let count = (pages as usize).div_ceil(PAGES_PER_GROUP);
    groups.resize_with(count, || Arc::new(Group::empty()));
    let mut changed = Vec::new();
    for (index, group) in groups.iter_mut().enumerate().skip(before.min(pages) as usize / PAGES_PER_GROUP) {
        let length = (pages as usize - index * PAGES_PER_GROUP).min(PAGES_PER_GROUP);
        if group.slots.len() != length {
            let group = Arc::make_mut(group);
            group.slots.resize(length, NO_SLOT);
            group.hashes.resize(length, Digest::from_bytes([0; 32]));
            changed.push(index);
        }
    }
    changed
}

pub struct Table {
    pub(super) store: Arc<Slots>,
    pub(super) groups: Vec<Arc<Group>>,
    pages: u32,
    root: Digest,
    on_damage: Arc<DamageBell>,
}

/// Who is told of a damaged page.
pub type OnDamage = Box<dyn Fn(Digest, u32) + Send + Sync>;

#[derive(Default)]
pub(super) struct DamageBell(pub(super) std::sync::OnceLock<OnDamage>);

impl Table {
    pub(super) fn new(store: Arc<Slots>, groups: Vec<Arc<Group>>, pages: u32, on_damage: Arc<DamageBell>) -> Table {
        let root = root_of_groups(groups.iter().map(|group| group.digest), pages.into());
        Table { store, groups, pages, root, on_damage }
    }

    pub fn pages(&self) -> u32 {
        self.pages
    }

    pub fn root(&self) -> Digest {
        self.root
    }

    pub fn hash(&self, number: u32) -> Option<Digest> {
        self.entry(number).map(|(_, hash)| hash)
    }

    /// The page as it is in memory, verified.
    pub(super) fn page(&self, number: u32) -> Result<&Page, PagesError> {
        let (slot, hash) = self.entry(number).ok_or(PagesError::NoPage { number, pages: self.pages })?;
        self.store.page(slot, &hash).ok_or_else(|| self.damaged(number))
    }

    pub fn read(&self, number: u32, page: &mut Page) -> Result<(), PagesError> {
        page.copy_from_slice(self.page(number)?);
        Ok(())
    }

    /// Hashes a page again, whether or not that was done before.
    pub fn scrub(&self, number: u32) -> Result<(), PagesError> {
        let (slot, hash) = self.entry(number).ok_or(PagesError::NoPage { number, pages: self.pages })?;
        if self.store.check(slot, &hash) { Ok(()) } else { Err(self.damaged(number)) }
    }

    /// The pages that are different here, or new, in ascending order.
    pub fn changed_since(&self, older: &Table) -> Vec<u32> {
        let mut changed = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let before = older.groups.get(index);
            if before.is_some_and(|before| Arc::ptr_eq(before, group)) {
                continue;
            }
            for (within, hash) in group.hashes.iter().enumerate() {
                if before.and_then(|before| before.hashes.get(within)) != Some(hash) {
                    changed.push((index * PAGES_PER_GROUP + within) as u32);
                }
            }
        }
        changed
    }

    /// The pages as one SQLite file.
    pub fn export(&self, out: &mut impl io::Write) -> Result<(), PagesError> {
        for number in 0..self.pages {
            out.write_all(self.page(number)?).map_err(|error| PagesError::Io("the exported file".into(), error))?;
        }
        Ok(())
    }

    /// The entries that are other than in `older`, or all.
    pub(super) fn entries_since(&self, older: Option<&Table>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let before = older.and_then(|older| older.groups.get(index));
            if before.is_some_and(|before| Arc::ptr_eq(before, group)) {
                continue;
            }
            for (within, (slot, hash)) in group.slots.iter().zip(&group.hashes).enumerate() {
                if before.and_then(|before| before.slots.get(within)) != Some(slot) {
                    entries.push(((index * PAGES_PER_GROUP + within) as u32, *slot, *hash));
                }
            }
        }
        entries
    }

    /// The slots of all groups that are not those of `older`.
    pub(super) fn each_slot_since(&self, older: Option<&Table>, mut each: impl FnMut(u32)) {
        for (index, group) in self.groups.iter().enumerate() {
            let before = older.and_then(|older| older.groups.get(index));
            if before.is_some_and(|before| Arc::ptr_eq(before, group)) {
                continue;
            }
            group.slots.iter().filter(|slot| **slot != NO_SLOT).for_each(|slot| each(*slot));
        }
    }

    /// The slots that none of the others has.
    pub(super) fn slots_not_in(&self, others: &[Arc<Table>]) -> Vec<u32> {
        let mut slots = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let same: Vec<&Arc<Group>> = others.iter().filter_map(|other| other.groups.get(index)).collect();
            if same.iter().any(|other| Arc::ptr_eq(other, group)) {
                continue;
            }
            let is_own = |within: usize, slot: u32| !same.iter().any(|other| other.slots.get(within) == Some(&slot));
            slots
                .extend(group.slots.iter().enumerate().filter(|(at, slot)| is_own(*at, **slot)).map(|(_, slot)| *slot));
        }
        slots
    }

    pub(super) fn entry(&self, number: u32) -> Option<(u32, Digest)> {
        entry(&self.groups, number)
    }

    fn damaged(&self, number: u32) -> PagesError {
        if let Some(tell) = self.on_damage.0.get() {
            tell(self.root, number);
        }
        PagesError::Damaged { root: self.root, number }
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({}, {} pages)", self.root.short(), self.pages)
    }
}

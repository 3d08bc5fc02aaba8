//! The next release's pages, while they come: written to slots of their own, seen by nobody before the commit but through
//! [`Draft::table`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, Weak},
};

use nearside_protocol::{
    digest::{Digest, PAGES_PER_GROUP},
    page_object::Page,
};

use super::{
    PagesError,
    slots::{NO_SLOT, Slots},
    table::{self, DamageBell, Group, Table},
};

/// Slots of drafts that were given up, whose tables someone may still read.
pub(super) type Limbo = Mutex<Vec<(Weak<Table>, Vec<u32>)>>;

pub struct Draft {
    slots: Arc<Slots>,
    limbo: Arc<Limbo>,
    on_damage: Arc<DamageBell>,
    base: Option<Arc<Table>>,
    groups: Vec<Arc<Group>>,
    /// Groups whose digest is to be made anew.
    touched: BTreeSet<usize>,
    pages: u32,
    /// The slots written for this draft, by page.
    own: BTreeMap<u32, u32>,
    /// Slots of this draft that another page took the place of after a table with them was given out.
    outdated: Vec<u32>,
    shown: Option<Arc<Table>>,
    /// Something was set since `shown` was made.
    stale: bool,
}

impl Draft {
    pub(super) fn new(
        slots: Arc<Slots>,
        limbo: Arc<Limbo>,
        on_damage: Arc<DamageBell>,
        base: Option<Arc<Table>>,
    ) -> Draft {
        let (groups, pages) = base.as_ref().map_or((Vec::new(), 0), |base| (base.groups.clone(), base.pages()));
        Draft {
            slots,
            limbo,
            on_damage,
            base,
            groups,
            touched: BTreeSet::new(),
            pages,
            own: BTreeMap::new(),
            outdated: Vec::new(),
            shown: None,
            stale: false,
        }
    }

    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Pages that are another than in the table this draft began with.
    pub fn changed(&self) -> u32 {
        self.own.len() as u32
    }

    pub fn hash(&self, number: u32) -> Option<Digest> {
        self.entry(number).map(|(_, hash)| hash)
    }

    /// The page as the draft has it now.
    pub fn read(&self, number: u32, page: &mut Page) -> Result<(), PagesError> {
        let (slot, hash) = self.entry(number).ok_or(PagesError::NoPage { number, pages: self.pages })?;
        let Some(found) = self.slots.page(slot, &hash) else {
            let root = self.base.as_ref().map_or(hash, |base| base.root());
            if let Some(tell) = self.on_damage.0.get() {
                tell(root, number);
            }
            return Err(PagesError::Damaged { root, number });
        };
        page.copy_from_slice(found);
        Ok(())
    }

    /// Sets a page; false when it was this one already. A number past the end makes the draft longer.
    pub fn put(&mut self, number: u32, page: &Page) -> Result<bool, PagesError> {
        self.put_hashed(number, page, Digest::of(page))
    }

    /// The same for a page whose hash is known.
    pub fn put_hashed(&mut self, number: u32, page: &Page, hash: Digest) -> Result<bool, PagesError> {
        if self.hash(number) == Some(hash) {
            return Ok(false);
        }
        if number >= self.pages {
            self.resize(number + 1);
        }
        let before = self.base.as_ref().and_then(|base| base.entry(number)).filter(|(_, old)| *old == hash);
        if let Some((slot, hash)) = before {
            // It is again what it was at first.
            self.release(number);
            self.set(number, slot, hash);
            return Ok(true);
        }
        let slot = match self.own.get(&number) {
            Some(slot) if self.shown.is_none() => *slot,
            _ => {
                self.release(number);
                self.slots.take()?
            }
        };
        self.own.insert(number, slot);
        self.slots.write(slot, page)?;
        self.set(number, slot, hash);
        Ok(true)
    }

    /// Makes the draft so many pages long. Pages that are new this way must still come.
    pub fn resize(&mut self, pages: u32) {
        if pages < self.pages {
            let beyond: Vec<u32> = self.own.range(pages..).map(|(number, _)| *number).collect();
            beyond.into_iter().for_each(|number| self.release(number));
        }
        self.touched.extend(table::resize(&mut self.groups, self.pages, pages));
        self.touched.retain(|group| *group < self.groups.len());
        self.pages = pages;
        self.stale = true;
    }

    pub fn root(&mut self) -> Digest {
        self.table().root()
    }

    /// What the draft is now, as a table to read from. Not durable.
    pub fn table(&mut self) -> Arc<Table> {
        if let Some(table) = self.shown.as_ref().filter(|_| !self.stale) {
            return table.clone();
        }
        for index in std::mem::take(&mut self.touched) {
            Arc::make_mut(&mut self.groups[index]).seal();
        }
        let table = Table::new(self.slots.clone(), self.groups.clone(), self.pages, self.on_damage.clone());
        let table = Arc::new(table);
        let mut limbo = self.limbo.lock().expect("BUG: nothing panics while holding the limbo");
        if let Some(before) = self.shown.take() {
            limbo.push((Arc::downgrade(&before), std::mem::take(&mut self.outdated)));
        }
        // Whoever reads from it keeps the slots of the tables it shares them with.
        limbo.push((Arc::downgrade(&table), Vec::new()));
        drop(limbo);
        self.stale = false;
        self.shown = Some(table.clone());
        table
    }

    /// Pages that did not come.
    pub(super) fn missing(&self) -> u32 {
        let in_group = |group: &Arc<Group>| group.slots.iter().filter(|slot| **slot == NO_SLOT).count() as u32;
        let is_base = |index: usize, group: &Arc<Group>| {
            self.base.as_ref().and_then(|base| base.groups.get(index)).is_some_and(|base| Arc::ptr_eq(base, group))
        };
        self.groups.iter().enumerate().filter(|(index, group)| !is_base(*index, group)).map(|(_, g)| in_group(g)).sum()
    }

    /// The draft's slots belong to a kept table from now on.
    pub(super) fn kept(mut self) -> Arc<Table> {
        let table = self.table();
        self.own.clear();
        let mut limbo = self.limbo.lock().expect("BUG: nothing panics while holding the limbo");
        limbo.retain(|(shown, _)| shown.as_ptr() != Arc::as_ptr(&table));
        drop(limbo);
        table
    }

    fn entry(&self, number: u32) -> Option<(u32, Digest)> {
        table::entry(&self.groups, number)
    }

    fn set(&mut self, number: u32, slot: u32, hash: Digest) {
        let index = number as usize / PAGES_PER_GROUP;
        let within = number as usize % PAGES_PER_GROUP;
        let group = Arc::make_mut(&mut self.groups[index]);
        group.slots[within] = slot;
        group.hashes[within] = hash;
        self.touched.insert(index);
        self.stale = true;
    }

    /// Lets go of the slot this draft wrote for a page.
    fn release(&mut self, number: u32) {
        let Some(slot) = self.own.remove(&number) else { return };
        match self.shown {
            Some(_) => self.outdated.push(slot),
            None => self.slots.give_back([slot]),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.own).into_values();
        let given_up: Vec<u32> = own.chain(std::mem::take(&mut self.outdated)).collect();
        match self.shown.take() {
            None => self.slots.give_back(given_up),
            Some(_) if given_up.is_empty() => {}
            // Someone may still read from them.
            Some(table) => {
                let mut limbo = self.limbo.lock().expect("BUG: nothing panics while holding the limbo");
                limbo.push((Arc::downgrade(&table), given_up));
            }
        }
    }
}

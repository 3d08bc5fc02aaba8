//! The store: opening it, committing releases, letting old ones go, repairing pages.

use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use nearside_protocol::{
    digest::{Digest, PAGES_PER_GROUP},
    page_object::Page,
    release::{ReleaseId, SignedManifest},
};
use serde::Deserialize;

use super::{
    PagesError,
    book::{Book, Entries, Entry, Record, Seen},
    draft::{Draft, Limbo},
    keep::Keep,
    slots::{NO_SLOT, Slots},
    table::{self, DamageBell, OnDamage, Table},
};
use crate::disk::Disk;

/// A release the store has, whole.
#[derive(Clone, Debug)]
pub struct Kept {
    pub release: ReleaseId,
    pub signed: Arc<SignedManifest>,
    pub table: Arc<Table>,
}

#[derive(Clone)]
pub struct PageStore(Arc<Inner>);

struct Inner {
    slots: Arc<Slots>,
    limbo: Arc<Limbo>,
    on_damage: Arc<DamageBell>,
    folder: std::path::PathBuf,
    disk: Disk,
    state: Mutex<State>,
    /// Held as long as the store is open: slots are written in place by whoever has it.
    _lock: File,
}

struct State {
    book: Option<Book>,
    /// Old to new.
    kept: Vec<Kept>,
    /// What had to go for the last of them.
    thinned: Vec<ReleaseId>,
    /// Tables that are kept no more and that someone may still read.
    leaving: Vec<Arc<Table>>,
}

impl PageStore {
    /// Opens the store in a folder, or makes one. No page is read: each is hashed at its first use.
    pub fn open(folder: &Path, disk: Disk) -> Result<PageStore, PagesError> {
        let fault = |error| PagesError::Io(folder.to_owned(), error);
        disk.folder(folder).map_err(fault)?;
        let lock = File::create(folder.join("lock")).map_err(fault)?;
        lock.try_lock().map_err(|_| fault(std::io::Error::other("another process has it open")))?;
        let slots = Arc::new(Slots::open(&folder.join("slots"), &disk)?);
        let on_damage = Arc::<DamageBell>::default();
        let mut tables = Tables::new(slots.clone(), on_damage.clone());
        let book = Book::open(folder, &disk, &mut |record| tables.take(record))?;
        let thinned = tables.thinned.clone();
        let kept = if book.is_some() { tables.kept() } else { Vec::new() };
        // A book without a release that can be used is begun again.
        let book = book.filter(|_| !kept.is_empty());
        let mut used = Vec::new();
        for (at, Kept { table, .. }) in kept.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &*kept[before].table);
            table.each_slot_since(before, |slot| {
                let slot = slot as usize;
                used.resize(used.len().max(slot + 1), false);
                used[slot] = true;
            });
        }
        slots.occupy(&used);
        let state = State { book, kept, thinned, leaving: Vec::new() };
        Ok(PageStore(Arc::new(Inner {
            slots,
            limbo: Arc::default(),
            on_damage,
            folder: folder.to_owned(),
            disk,
            state: Mutex::new(state),
            _lock: lock,
        })))
    }

    /// Says who is told when a page turns out to be damaged: the root of the table it was looked for in, and its number.
    /// Called from whatever thread reads; it must be quick. Only the first call counts.
    pub fn on_damage(&self, tell: OnDamage) {
        let _ = self.0.on_damage.0.set(tell);
    }

    /// Old to new.
    pub fn kept(&self) -> Vec<Kept> {
        self.state().kept.clone()
    }

    pub fn newest(&self) -> Option<Kept> {
        self.state().kept.last().cloned()
    }

    /// What had to go for the newest release, but for those before the oldest.
    pub fn thinned(&self) -> Vec<ReleaseId> {
        self.state().thinned.clone()
    }

    /// The newest release with these pages.
    pub fn find(&self, root: &Digest) -> Option<Kept> {
        self.state().kept.iter().rev().find(|kept| kept.table.root() == *root).cloned()
    }

    /// A draft that begins as this table, or as nothing. One at a time: the caller sees to that.
    pub fn draft(&self, on: Option<&Arc<Table>>) -> Draft {
        let Inner { slots, limbo, on_damage, .. } = &*self.0;
        Draft::new(slots.clone(), limbo.clone(), on_damage.clone(), on.cloned())
    }

    /// Keeps the draft as a release, durably, and lets go of what is kept no longer.
    pub fn commit(
        &self,
        mut draft: Draft,
        release: ReleaseId,
        signed: SignedManifest,
        keep: Keep,
    ) -> Result<Kept, PagesError> {
        let mut state = self.state();
        if let Some(newest) = state.kept.last().filter(|newest| release <= newest.release) {
            return Err(PagesError::NotNewer(release.to_string(), newest.release.to_string()));
        }
        match draft.missing() {
            0 => {}
            missing => return Err(PagesError::Incomplete(missing)),
        }
        self.0.slots.sync()?;

        let table = draft.table();
        let stays = self.staying(&state, keep);
        let standing = || state.kept.iter().zip(&stays);
        let oldest = standing().find(|(_, stays)| **stays).map_or(release, |(kept, _)| kept.release);
        let thinned = standing().filter(|(kept, stays)| !**stays && kept.release > oldest);
        let thinned: Vec<ReleaseId> = thinned.map(|(kept, _)| kept.release).collect();
        let manifest = serde_json::to_vec(&signed).expect("BUG: a signed manifest is plain data");
        let entries = table.entries_since(state.kept.last().map(|newest| &*newest.table));
        let gone = thinned.clone();
        let record = Record::Release { oldest, thinned: gone, release, pages: table.pages(), entries, manifest };
        match &mut state.book {
            Some(book) => book.append(&record)?,
            none => *none = Some(Book::create(&self.0.folder, &self.0.disk, None, &[record])?),
        }

        let kept = Kept { release, signed: Arc::new(signed), table: draft.kept() };
        for (kept, stays) in std::mem::take(&mut state.kept).into_iter().zip(stays) {
            if stays { state.kept.push(kept) } else { state.leaving.push(kept.table) }
        }
        state.kept.push(kept.clone());
        state.thinned = thinned;
        drop(table);
        self.collect(&mut state);
        if state.book.as_ref().is_some_and(Book::is_long) {
            self.begin_again(&mut state)?;
        }
        Ok(kept)
    }

    /// Writes a damaged page again, elsewhere, for every release that has it; gives those, with their new tables. Nothing
    /// when no kept release has this page there.
    pub fn repair(&self, number: u32, page: &Page) -> Result<Vec<Kept>, PagesError> {
        let mut state = self.state();
        let hash = Digest::of(page);
        let has = |kept: &Kept| kept.table.hash(number) == Some(hash);
        if !state.kept.iter().any(has) {
            return Ok(Vec::new());
        }
        let slot = self.0.slots.take()?;
        self.0.slots.write(slot, page)?;
        self.0.slots.sync()?;
        let book = state.book.as_mut().expect("BUG: a kept release is in a book");
        book.append(&Record::Repair(vec![(number, slot, hash)]))?;
        let (mut repaired, mut left) = (Vec::new(), Vec::new());
        let (slots, on_damage) = (self.0.slots.clone(), self.0.on_damage.clone());
        for kept in state.kept.iter_mut().filter(|kept| kept.table.hash(number) == Some(hash)) {
            let table = with_entry(&kept.table, (number, slot, hash), &slots, &on_damage);
            left.push(std::mem::replace(&mut kept.table, Arc::new(table)));
            repaired.push(kept.clone());
        }
        state.leaving.extend(left);
        self.collect(&mut state);
        Ok(repaired)
    }

    /// Bytes of pages written since the store was opened; records are counted by its [`Disk`].
    pub fn written_bytes(&self) -> u64 {
        self.0.slots.written_bytes()
    }

    /// Bytes its pages take on disk.
    pub fn used_bytes(&self) -> u64 {
        self.0.slots.used_bytes()
    }

    /// Gives back the slots of releases that are neither kept nor read any more. Commits do it, too.
    pub fn tidy(&self) {
        self.collect(&mut self.state());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("BUG: nothing panics while holding the store")
    }

    /// Whether each of the kept releases stays when one more comes.
    fn staying(&self, state: &State, keep: Keep) -> Vec<bool> {
        let releases: Vec<ReleaseId> = state.kept.iter().map(|kept| kept.release).collect();
        let mut stays = keep.stays(&releases);
        let mut used = self.0.slots.used_bytes();
        while used > keep.bytes
            && let Some(first) = stays.iter().position(|stays| *stays)
        {
            let later: Vec<_> = state.kept[first + 1..].iter().map(|kept| kept.table.clone()).collect();
            let own = state.kept[first].table.slots_not_in(&later).len();
            used = used.saturating_sub(own as u64 * std::mem::size_of::<Page>() as u64);
            stays[first] = false;
        }
        stays
    }

    fn collect(&self, state: &mut State) {
        let mut limbo = self.0.limbo.lock().expect("BUG: nothing panics while holding the limbo");
        let mut drafts = Vec::new();
        limbo.retain_mut(|(table, slots)| match table.upgrade() {
            Some(table) => {
                drafts.push(table);
                true
            }
            None => {
                self.0.slots.give_back(std::mem::take(slots));
                false
            }
        });
        drop(limbo);
        let mut at = 0;
        while at < state.leaving.len() {
            // The list itself has one; nobody can get another from it.
            if Arc::strong_count(&state.leaving[at]) > 1 {
                at += 1;
                continue;
            }
            let table = state.leaving.swap_remove(at);
            let others: Vec<Arc<Table>> = state
                .kept
                .iter()
                .map(|kept| kept.table.clone())
                .chain(state.leaving.iter().cloned())
                .chain(drafts.iter().cloned())
                .collect();
            let free = table.slots_not_in(&others);
            self.0.slots.give_back(free.into_iter().filter(|slot| *slot != NO_SLOT));
        }
    }

    /// A new book without what is no longer true.
    fn begin_again(&self, state: &mut State) -> Result<(), PagesError> {
        let oldest = state.kept.first().expect("BUG: a release was just kept").release;
        let mut before: Option<&Table> = None;
        let mut records = Vec::new();
        for kept in &state.kept {
            records.push(Record::Release {
                oldest,
                thinned: Vec::new(),
                release: kept.release,
                pages: kept.table.pages(),
                entries: kept.table.entries_since(before),
                manifest: serde_json::to_vec(&*kept.signed).expect("BUG: a signed manifest is plain data"),
            });
            before = Some(&kept.table);
        }
        if let Some(Record::Release { thinned, .. }) = records.last_mut() {
            thinned.clone_from(&state.thinned);
        }
        let book = Book::create(&self.0.folder, &self.0.disk, state.book.as_ref(), &records)?;
        state.book = Some(book);
        Ok(())
    }
}

/// A table like this one, with one page elsewhere.
fn with_entry(table: &Table, (number, slot, hash): Entry, slots: &Arc<Slots>, on_damage: &Arc<DamageBell>) -> Table {
    let mut groups = table.groups.clone();
    let group = Arc::make_mut(&mut groups[number as usize / PAGES_PER_GROUP]);
    group.slots[number as usize % PAGES_PER_GROUP] = slot;
    group.hashes[number as usize % PAGES_PER_GROUP] = hash;
    Table::new(slots.clone(), groups, table.pages(), on_damage.clone())
}

/// Tables out of a book's records.
struct Tables {
    slots: Arc<Slots>,
    on_damage: Arc<DamageBell>,
    kept: Vec<Kept>,
    /// The oldest that is kept.
    floor: Option<ReleaseId>,
    /// What the last record let go of.
    thinned: Vec<ReleaseId>,
    /// A record was not that of its manifest: nothing after it is believed.
    ended: bool,
}

impl Tables {
    fn new(slots: Arc<Slots>, on_damage: Arc<DamageBell>) -> Tables {
        Tables { slots, on_damage, kept: Vec::new(), floor: None, thinned: Vec::new(), ended: false }
    }

    fn take(&mut self, record: Seen<'_>) {
        if self.ended {
            return;
        }
        match record {
            Seen::Repair(entries) => entries.for_each(|entry| self.repair(entry)),
            Seen::Release { oldest, thinned, release, pages, entries, manifest } => {
                match self.release(release, pages, entries, manifest) {
                    Some(kept) => {
                        self.floor = Some(oldest);
                        self.kept.retain(|kept| !thinned.contains(&kept.release));
                        self.thinned = thinned;
                        self.kept.push(kept);
                    }
                    None => {
                        tracing::error!(%release, "its record is not that of its manifest: it and later ones are pulled anew");
                        self.ended = true;
                    }
                }
            }
        }
    }

    fn kept(mut self) -> Vec<Kept> {
        self.kept.retain(|kept| self.floor.is_none_or(|floor| kept.release >= floor));
        self.kept
    }

    fn release(&self, release: ReleaseId, pages: u32, entries: Entries<'_>, manifest: &[u8]) -> Option<Kept> {
        #[derive(Deserialize)]
        struct Named {
            release: ReleaseId,
            root: Digest,
        }
        let signed: SignedManifest = serde_json::from_slice(manifest).ok()?;
        let named: Named = serde_json::from_str(&signed.manifest).ok()?;
        let before = self.kept.last().map(|before| &before.table);
        let mut groups = before.map_or(Vec::new(), |before| before.groups.clone());
        let resized = table::resize(&mut groups, before.map_or(0, |before| before.pages()), pages);
        let mut touched = vec![false; groups.len()];
        resized.into_iter().for_each(|index| touched[index] = true);
        // Entries come in order, so a group's are together: each group is made this table's own once.
        let mut entries = entries.peekable();
        while let Some((number, ..)) = entries.peek() {
            let index = *number as usize / PAGES_PER_GROUP;
            let group = Arc::make_mut(groups.get_mut(index)?);
            touched[index] = true;
            while let Some((number, slot, hash)) = entries.next_if(|entry| entry.0 as usize / PAGES_PER_GROUP == index)
            {
                let within = number as usize % PAGES_PER_GROUP;
                (*group.slots.get_mut(within)?, *group.hashes.get_mut(within)?) = (slot, hash);
            }
        }
        for (group, touched) in groups.iter_mut().zip(touched) {
            if touched {
                Arc::make_mut(group).seal();
            }
        }
        let table = Table::new(self.slots.clone(), groups, pages, self.on_damage.clone());
        let fits = named.release == release && named.root == table.root();
        fits.then(|| Kept { release, signed: Arc::new(signed), table: Arc::new(table) })
    }

    fn repair(&mut self, entry: Entry) {
        for kept in self.kept.iter_mut().filter(|kept| kept.table.hash(entry.0) == Some(entry.2)) {
            kept.table = Arc::new(with_entry(&kept.table, entry, &self.slots, &self.on_damage));
        }
    }
}

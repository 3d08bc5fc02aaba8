//! Making one release, and keeping what nodes need of the last ones.
//!
//! One release is these steps, in this order:
//!
//! 1. its pages in a draft of the page store;
//! 2. its objects, put: deltas, at times a base. Nobody names them yet;
//! 3. its record, with the signed manifest, in the page store: from here on this origin will finish it, whatever happens;
//! 4. its manifest, created in the object store: from here on it is the release, for everyone;
//! 5. `head`, so that it is found quickly; what only older releases needed is deleted.
//!
//! A crash before 3 leaves a few objects that are overwritten or never asked for; after 3, the start does the rest.

mod bases;
mod content;

use std::{collections::BTreeSet, fs::File, time::Instant};

use nearside_host::pages::{Draft, Keep, Kept, PageStore, PagesError, Table};
use nearside_protocol::{
    canary::Candidacy,
    digest::Digest,
    key::SecretKey,
    limits,
    page_object::Written,
    release::{BaseOffer, DeltaOffer, FORMAT, FORMAT_OF_CANDIDATES, Manifest, ReleaseId, SignedManifest},
    unix_time::now_ms,
};

use self::bases::{Bases, put_base, put_made_base};
pub use self::content::Content;
use crate::{
    bucket::Name,
    encode::{self, Chosen, Haste},
    objects::{ObjectError, Objects},
    vouchers::Vouchers,
};

#[derive(Debug, thiserror::Error)]
pub enum PressError {
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error("the database has {pages} pages; a release has at most {most}", most = limits::DATABASE_BYTES / limits::PAGE_BYTES as u64)]
    TooLarge { pages: u32 },
    #[error("the database has no page")]
    Empty,
}

impl From<crate::bucket::BucketError> for PressError {
    fn from(error: crate::bucket::BucketError) -> PressError {
        PressError::Objects(error.into())
    }
}

/// What a release was made at, for the log and the operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    pub chosen: Chosen,
    /// Pages in the object that leads here from the release before.
    pub pages: u32,
    pub bytes: u64,
    pub page_count: u32,
    pub ms: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cost { chosen, pages, bytes, page_count, ms } = self;
        write!(f, "{}: {pages} of {page_count} pages, {bytes} bytes, {ms} ms", chosen.name())
    }
}

/// A release that was made.
pub struct Made {
    pub manifest: Manifest,
    pub cost: Cost,
}

pub struct Press {
    pub app: String,
    pub objects: Objects,
    pub pages: PageStore,
    pub key: SecretKey,
    pub vouchers: Vouchers,
    pub keep: Keep,
    /// The number after any there ever was; known once the object store has been asked.
    next_seq: Option<u64>,
    bases: Bases,
}

impl Press {
    pub fn new(app: String, objects: Objects, pages: PageStore, key: SecretKey, vouchers: Vouchers) -> Press {
        let keep = Keep {
            releases: limits::RELEASES_KEPT_ORIGIN,
            strides: &limits::RELEASES_KEPT_STRIDES,
            bytes: limits::RELEASES_ORIGIN_BYTES,
        };
        Press { app, objects, pages, key, vouchers, keep, next_seq: None, bases: Bases::default() }
    }

    /// The newest release for everyone.
    pub fn newest(&self) -> Option<(Kept, Manifest)> {
        newest_for_all(&self.pages)
    }

    /// Whether some nodes may serve a candidate that is newer than what is for everyone.
    pub fn ends_with_a_candidate(&self) -> bool {
        self.pages.newest().as_ref().and_then(manifest_of).is_some_and(|newest| newest.candidate.is_some())
    }

    /// Finishes what a crash, or an object store that was away, left of the newest release; and finds out which numbers are
    /// taken. Does nothing more once it has succeeded.
    pub fn finish(&mut self) -> Result<(), PressError> {
        if self.next_seq.is_some() {
            return Ok(());
        }
        let newest = self.pages.newest().and_then(|kept| manifest_of(&kept).map(|manifest| (kept, manifest)));
        if let Some((kept, manifest)) = &newest {
            let name = Name::Release(kept.release);
            if self.length(name)?.is_none() {
                tracing::warn!(app = self.app, release = %kept.release, "the newest release is finished now");
                self.put_missing(kept, manifest)?;
                self.objects.create_release(kept.release, &kept.signed)?;
            }
            self.put_head(kept.release)?;
        }
        self.forget_orphans()?;
        let own = newest.map(|(kept, _)| kept.release);
        let there = self.objects.bucket.wait(self.objects.bucket.newest(own))?;
        self.next_seq = Some(own.max(there).map_or(1, |newest| newest.seq + 1));
        Ok(())
    }

    /// Makes a release of a draft, unless it would be the one there is. What is for everyone is published again after a
    /// candidate that nobody tries out any more: nodes that have that one only go forward.
    pub fn publish(&mut self, mut draft: Draft, content: Content, again: Again) -> Result<Option<Made>, PressError> {
        let begun = Instant::now();
        self.finish()?;
        let root = draft.root();
        let page_count = draft.pages();
        let newest = self.newest();
        let like_it = match &content.candidate {
            Some(candidate) => newest_of(&self.pages, candidate),
            None if again == Again::AfterACandidate && self.ends_with_a_candidate() => None,
            None => newest.clone(),
        };
        let is_there = |(kept, head): &(Kept, Manifest)| {
            // With another key than before, what is there is published anew: nodes are to forget the old key some day.
            let vouched = self.vouchers.of(&self.app, &content.app_digest, &self.key);
            head.root == root
                && content.is_that_of(head)
                && kept.signed.key == self.key.public().id()
                && head.app_vouched == vouched
        };
        if like_it.as_ref().is_some_and(is_there) {
            return Ok(None);
        }
        if u64::from(page_count) * limits::PAGE_BYTES as u64 > limits::DATABASE_BYTES {
            return Err(PressError::TooLarge { pages: page_count });
        }
        if page_count == 0 {
            return Err(PressError::Empty);
        }
        let seq = self.next_seq.expect("BUG: finish() has found it");
        let release = ReleaseId { epoch: content.epoch, seq };
        let before = self.pages.kept();
        let table = draft.table();
        let leads_on = content.candidate.is_none();
        // A candidate of other pages leads on from the one before it, which its nodes have.
        let parent = match (&like_it, &newest) {
            (Some(before), Some((_, head))) if !leads_on && head.root != root => Some(before),
            _ => newest.as_ref(),
        };
        let (objects, cost) = self.put_objects(&table, release, parent, leads_on, begun)?;
        let parent = parent.map(|(kept, _)| kept.release);
        let manifest = self.manifest(content, release, parent, root, page_count, objects);
        let signed = SignedManifest::sign(&manifest, &self.key);
        Objects::manifest_bytes(release, &signed)?;
        drop(table);

        self.pages.commit(draft, release, signed.clone(), self.keep)?;
        // Whatever fails from here on: this number is taken.
        self.next_seq = None;
        self.objects.create_release(release, &signed)?;
        self.next_seq = Some(seq + 1);
        if let Err(error) = self.put_head(release).and_then(|()| self.retain(&before)) {
            tracing::warn!(app = self.app, cause = %error, "what only older releases needed is not tidied away");
        }
        // A candidate leads nowhere: what is for everyone is made of what was for everyone before.
        if manifest.candidate.is_none() {
            self.bases.refresh(&self.app, &self.objects, &self.pages, &manifest);
        }
        let cost = Cost { ms: begun.elapsed().as_millis() as u64, ..cost };
        Ok(Some(Made { manifest, cost }))
    }

    /// Puts what leads to these pages: from the release before, at times from further back, and from nothing when there
    /// is no way else. To a candidate only from the release before: nothing leads on from there.
    fn put_objects(
        &mut self,
        table: &Table,
        release: ReleaseId,
        newest: Option<&(Kept, Manifest)>,
        leads_on: bool,
        begun: Instant,
    ) -> Result<(Offers, Cost), PressError> {
        let mut offers = Offers::default();
        let Some((parent, head)) = newest else {
            let base = put_base(&self.objects, table, release, Haste::Awaited)?;
            let cost = cost_of(Chosen::Base, table.pages(), base.bytes, table, begun);
            offers.base = Some(base);
            return Ok((offers, cost));
        };
        let (chosen, encoded) = encode::smallest(&parent.table, table, self.objects.scratch()?)?;
        let cost = cost_of(chosen, encoded.pages, encoded.bytes, table, begun);
        match chosen {
            Chosen::Nothing => {}
            Chosen::Delta | Chosen::Moved => offers.deltas.push(self.put_delta(parent, table, encoded)?),
            Chosen::Base => offers.base = Some(put_made_base(&self.objects, table, release, encoded)?),
        }
        if !leads_on {
            offers.base = offers.base.or_else(|| head.base.clone());
            return Ok((offers, cost));
        }
        if chosen != Chosen::Base {
            for back in limits::SKIP_DELTAS.into_iter().filter(|back| release.seq.is_multiple_of(*back)) {
                let from = self.pages.kept().into_iter().find(|kept| kept.release.seq + back == release.seq);
                if let Some(from) = from.filter(|from| from.table.root() != table.root()) {
                    let encoded = encode::delta(&from.table, table, self.objects.scratch()?)?;
                    offers.deltas.push(self.put_delta(&from, table, encoded)?);
                }
            }
        }
        offers.base = offers.base.or_else(|| self.bases.ready()).or_else(|| head.base.clone());
        let far = release.seq.is_multiple_of(limits::SKIP_DELTAS[1]);
        if let Some(from) =
            offers.base.as_ref().filter(|_| far).and_then(|base| self.bases.find(&self.pages, &base.root))
        {
            let offered = offers.deltas.iter().any(|offer| offer.from == from.table.root());
            if !offered && from.table.root() != table.root() {
                let encoded = encode::delta(&from.table, table, self.objects.scratch()?)?;
                offers.deltas.push(self.put_delta(&from, table, encoded)?);
            }
        }
        Ok((offers, cost))
    }

    fn put_delta(&self, from: &Kept, to: &Table, encoded: Written<File>) -> Result<DeltaOffer, PressError> {
        let offer = DeltaOffer {
            from_release: from.release,
            from: from.table.root(),
            pages: encoded.pages,
            bytes: encoded.bytes,
        };
        let name = Name::Delta { from: from.table.root(), to: to.root() };
        self.objects.bucket.wait(self.objects.bucket.put_file(name, encoded.out))?;
        Ok(offer)
    }

    fn manifest(
        &self,
        content: Content,
        release: ReleaseId,
        parent: Option<ReleaseId>,
        root: Digest,
        page_count: u32,
        offers: Offers,
    ) -> Manifest {
        Manifest {
            format: if content.candidate.is_some() { FORMAT_OF_CANDIDATES } else { FORMAT },
            app: self.app.clone(),
            database: content.database,
            release,
            parent,
            created_at_ms: now_ms(),
            applied_commit: content.applied_commit,
            page_count: u64::from(page_count),
            root,
            rolled_back_to: content.rolled_back_to,
            candidate: content.candidate,
            deltas: offers.deltas,
            base: offers.base,
            app_digest: content.app_digest,
            app_archive_bytes: content.app_archive_bytes,
            app_vouched: self.vouchers.of(&self.app, &content.app_digest, &self.key),
            variables: content.variables,
            secrets: content.secrets,
            fingerprint: content.fingerprint,
        }
    }

    /// Puts the objects a manifest of ours names and the object store lacks, as far as their pages are kept.
    fn put_missing(&self, kept: &Kept, manifest: &Manifest) -> Result<(), PressError> {
        for offer in &manifest.deltas {
            let name = Name::Delta { from: offer.from, to: manifest.root };
            if self.length(name)?.is_none()
                && let Some(from) = self.pages.find(&offer.from)
            {
                let encoded = encode::delta(&from.table, &kept.table, self.objects.scratch()?)?;
                self.objects.bucket.wait(self.objects.bucket.put_file(name, encoded.out))?;
            }
        }
        if let Some(offer) = &manifest.base
            && self.length(Name::Base(offer.root))?.is_none()
            && let Some(of) = self.pages.find(&offer.root)
        {
            put_base(&self.objects, &of.table, offer.release, Haste::Awaited)?;
        }
        Ok(())
    }

    fn put_head(&self, release: ReleaseId) -> Result<(), PressError> {
        Ok(self.objects.bucket.wait(self.objects.bucket.put(Name::Head, release.to_string()))?)
    }

    fn length(&self, name: Name) -> Result<Option<u64>, PressError> {
        Ok(self.objects.bucket.wait(self.objects.bucket.length(name))?)
    }

    /// Deletes what the releases that were let go of named, and no other does.
    fn retain(&self, before: &[Kept]) -> Result<(), PressError> {
        let kept = self.pages.kept();
        let stays: BTreeSet<ReleaseId> = kept.iter().map(|kept| kept.release).collect();
        let gone: Vec<&Kept> = before.iter().filter(|kept| !stays.contains(&kept.release)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let manifests: Vec<Manifest> = kept.iter().filter_map(manifest_of).collect();
        let named: BTreeSet<Name> = manifests.iter().flat_map(names_in).collect();
        let mut forgotten: BTreeSet<Name> =
            gone.iter().filter_map(|kept| manifest_of(kept)).flat_map(|m| names_in(&m)).collect();
        // Made on demand, and named by no manifest.
        forgotten.extend(gone.iter().map(|kept| Name::Base(kept.table.root())));
        forgotten.retain(|name| !named.contains(name));
        self.objects.forget(&forgotten)?;
        self.objects.keep_secrets(&manifests.iter().filter_map(|manifest| manifest.secrets).collect())?;
        Ok(())
    }

    /// What a crash between letting go and deleting left: manifests of releases that the newest one's record let go of, and
    /// below the oldest that is kept.
    fn forget_orphans(&self) -> Result<(), PressError> {
        let kept = self.pages.kept();
        let Some(oldest) = kept.first().map(|kept| kept.release) else { return Ok(()) };
        let named: BTreeSet<Name> =
            kept.iter().filter_map(manifest_of).flat_map(|manifest| names_in(&manifest)).collect();
        let mut forgotten = BTreeSet::new();
        let mut forget = |release: ReleaseId| -> Result<bool, PressError> {
            let name = Name::Release(release);
            let most = limits::MANIFEST_BYTES as u64;
            let Some(text) = self.objects.bucket.wait(self.objects.bucket.get(name, most))? else { return Ok(false) };
            let manifest = serde_json::from_slice::<SignedManifest>(&text)
                .ok()
                .and_then(|signed| serde_json::from_str::<Manifest>(&signed.manifest).ok());
            forgotten.insert(name);
            forgotten.extend(manifest.iter().flat_map(names_in).filter(|name| !named.contains(name)));
            Ok(true)
        };
        for release in self.pages.thinned() {
            forget(release)?;
        }
        for seq in (1..oldest.seq).rev() {
            if !forget(ReleaseId { seq, ..oldest })? {
                break;
            }
        }
        Ok(self.objects.forget(&forgotten)?)
    }
}

/// When content that is out already is published again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Never,
    AfterACandidate,
}

/// The newest release for everyone.
pub fn newest_for_all(pages: &PageStore) -> Option<(Kept, Manifest)> {
    newest_with(pages, |manifest| manifest.candidate.is_none())
}

/// The newest candidate of a canary.
pub fn newest_of(pages: &PageStore, canary: &Candidacy) -> Option<(Kept, Manifest)> {
    newest_with(pages, |manifest| manifest.candidate.as_ref() == Some(canary))
}

fn newest_with(pages: &PageStore, is_wanted: impl Fn(&Manifest) -> bool) -> Option<(Kept, Manifest)> {
    let all = pages.kept().into_iter().rev();
    all.filter_map(|kept| manifest_of(&kept).map(|manifest| (kept, manifest))).find(|(_, manifest)| is_wanted(manifest))
}

/// What leads to a release's pages.
#[derive(Default)]
struct Offers {
    deltas: Vec<DeltaOffer>,
    base: Option<BaseOffer>,
}

fn cost_of(chosen: Chosen, pages: u32, bytes: u64, table: &Table, begun: Instant) -> Cost {
    Cost { chosen, pages, bytes, page_count: table.pages(), ms: begun.elapsed().as_millis() as u64 }
}

/// The manifest of a kept release: signed here, and verified when it was kept.
pub fn manifest_of(kept: &Kept) -> Option<Manifest> {
    serde_json::from_str(&kept.signed.manifest).ok()
}

/// Everything in the object store that a manifest names, and itself.
fn names_in(manifest: &Manifest) -> BTreeSet<Name> {
    let deltas = manifest.deltas.iter().map(|offer| Name::Delta { from: offer.from, to: manifest.root });
    let base = manifest.base.iter().map(|offer| Name::Base(offer.root));
    let own = [Name::Release(manifest.release), Name::Archive(manifest.app_digest)];
    deltas.chain(base).chain(own).collect()
}

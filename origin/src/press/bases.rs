//! Whole copies, made beside the publishing when the way from the last one has become long.
//!
//! The table of the last one is held though its release may be let go of: every 64th release offers a delta from there, so
//! that whoever begins with the base finds a way on that is kept.

use std::{
    fs::File,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Instant,
};

use nearside_host::pages::{Kept, PageStore, Table};
use nearside_protocol::{
    digest::Digest,
    page_object::Written,
    release::{BaseOffer, DeltaOffer, Manifest, ReleaseId},
};

use super::{PressError, manifest_of};
use crate::{
    bucket::Name,
    encode::{self, Haste},
    objects::Objects,
};

#[derive(Default)]
pub(super) struct Bases {
    made: Arc<Mutex<Option<(BaseOffer, Kept)>>>,
    held: Option<Kept>,
    thread: Option<JoinHandle<()>>,
    /// Of the deltas since the last base; unknown after a start.
    delta_bytes: Option<u64>,
}

impl Bases {
    /// One that no manifest names yet.
    pub(super) fn ready(&mut self) -> Option<BaseOffer> {
        let (offer, of) = self.made.lock().expect("BUG: nothing panics while holding the base").take()?;
        self.held = Some(of);
        Some(offer)
    }

    /// The release a base is of.
    pub(super) fn find(&mut self, pages: &PageStore, root: &Digest) -> Option<Kept> {
        if self.held.as_ref().is_none_or(|held| held.table.root() != *root) {
            self.held = pages.find(root);
        }
        self.held.clone()
    }

    /// Begins with another base when pulling the last one and all deltas since has become half as dear again, or nothing
    /// leads on from it.
    pub(super) fn refresh(&mut self, app: &str, objects: &Objects, pages: &PageStore, head: &Manifest) {
        let since = match (&head.base, self.delta_bytes) {
            (Some(base), _) if base.release == head.release => 0,
            (_, Some(bytes)) => bytes + parent_delta_bytes(head),
            (Some(base), None) => {
                let later = pages.kept().into_iter().filter(|kept| kept.release > base.release);
                later.filter_map(|kept| manifest_of(&kept)).map(|manifest| parent_delta_bytes(&manifest)).sum()
            }
            (None, None) => 0,
        };
        self.delta_bytes = Some(since);
        let stands =
            head.base.as_ref().is_some_and(|base| since <= base.bytes / 2 && self.find(pages, &base.root).is_some());
        let works = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        let waits = self.made.lock().expect("BUG: nothing panics while holding the base").is_some();
        if stands || works || waits {
            return;
        }
        let Some(of) = pages.find(&head.root) else { return };
        self.delta_bytes = Some(0);
        let (app, objects, made) = (app.to_owned(), objects.clone(), self.made.clone());
        let work = move || {
            let begun = Instant::now();
            match put_base(&objects, &of.table, of.release, Haste::Beside) {
                Ok(offer) => {
                    let ms = begun.elapsed().as_millis() as u64;
                    tracing::info!(app, release = %of.release, bytes = offer.bytes, ms, "made a base");
                    *made.lock().expect("BUG: nothing panics while holding the base") = Some((offer, of));
                }
                Err(error) => tracing::warn!(app, cause = %error, "no base could be made"),
            }
        };
        match std::thread::Builder::new().name("nearside-base".into()).spawn(work) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::warn!(cause = %error, "no base could be made"),
        }
    }
}

fn parent_delta_bytes(manifest: &Manifest) -> u64 {
    let from_parent = |offer: &&DeltaOffer| Some(offer.from_release) == manifest.parent;
    manifest.deltas.iter().find(from_parent).map_or(0, |offer| offer.bytes)
}

impl Drop for Bases {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes and puts a base.
pub(super) fn put_base(
    objects: &Objects,
    of: &Table,
    release: ReleaseId,
    haste: Haste,
) -> Result<BaseOffer, PressError> {
    put_made_base(objects, of, release, encode::base(of, objects.scratch()?, haste)?)
}

pub(super) fn put_made_base(
    objects: &Objects,
    of: &Table,
    release: ReleaseId,
    made: Written<File>,
) -> Result<BaseOffer, PressError> {
    objects.bucket.wait(objects.bucket.put_file(Name::Base(of.root()), made.out))?;
    Ok(BaseOffer { release, root: of.root(), page_count: u64::from(of.pages()), bytes: made.bytes })
}

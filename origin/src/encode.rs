//! Page objects made out of tables of the page store: what a release costs to send.

use std::{
    fs::File,
    io::{self, BufWriter},
};

use bytes::Bytes;
use nearside_host::pages::{PagesError, Table};
use nearside_protocol::{
    limits::PAGE_BYTES,
    page_object::{self, Page, RebuiltWriter, Similar, Snapshot, Writer, Written},
};

const IN_MEMORY: &str = "BUG: memory takes what is written to it";

/// An object, ready to be put.
pub struct Encoded {
    pub bytes: Bytes,
    /// Pages it holds.
    pub pages: u32,
}

/// How an object came to be the smallest there was, for the log and the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The pages that differ, told from those they take the place of.
    Delta,
    /// The pages that differ, told from those whose content they have: the file was made anew.
    Moved,
    /// Every page, because so little of the release before is of use.
    Base,
    /// Nothing: the pages are those of the release before.
    Nothing,
}

impl Chosen {
    pub fn name(self) -> &'static str {
        match self {
            Chosen::Delta => "page delta",
            Chosen::Moved => "moved pages",
            Chosen::Base => "base",
            Chosen::Nothing => "no pages",
        }
    }
}

/// The pages of `to` that are not those of `from`.
pub fn delta(from: &Table, to: &Table) -> Result<Encoded, PagesError> {
    let changed = to.changed_since(from);
    match page_object::is_rebuilt(changed.len() as u32, from.pages()) {
        true => moved(from, to, &changed),
        false => in_place(from, to, &changed),
    }
}

/// Each page told from the one of its number.
fn in_place(from: &Table, to: &Table, changed: &[u32]) -> Result<Encoded, PagesError> {
    let mut writer = Writer::delta(Vec::new(), snapshot(from), snapshot(to)).expect(IN_MEMORY);
    let (mut page, mut old): (Page, Page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    for number in changed {
        to.read(*number, &mut page)?;
        let before = if *number < from.pages() { from.read(*number, &mut old).map(|()| Some(&old))? } else { None };
        writer.add(*number, &page, before).expect(IN_MEMORY);
    }
    Ok(encoded(writer.finish().expect(IN_MEMORY)))
}

/// The same for a database that was rebuilt, whose pages stand elsewhere now: each is told from those it came from.
fn moved(from: &Table, to: &Table, changed: &[u32]) -> Result<Encoded, PagesError> {
    let similar = Similar::of(from.pages(), |number, page| from.read(number, page))?;
    let old = |number: u32, page: &mut Page| from.read(number, page).map_err(io::Error::other);
    let new = |mut writer: RebuiltWriter<'_, Vec<u8>, _>| {
        let mut page: Page = [0; PAGE_BYTES];
        for number in changed {
            to.read(*number, &mut page).map_err(io::Error::other)?;
            writer.add(*number, &page)?;
        }
        writer.finish()
    };
    RebuiltWriter::new(Vec::new(), snapshot(from), snapshot(to), &similar, old)
        .and_then(new)
        .map(encoded)
        .map_err(|error| error.downcast::<PagesError>().expect(IN_MEMORY))
}

fn snapshot(table: &Table) -> Snapshot {
    Snapshot { root: table.root(), pages: table.pages() }
}

fn encoded(written: Written<Vec<u8>>) -> Encoded {
    Encoded { bytes: written.out.into(), pages: written.pages }
}

/// Every page, into a file: it may be large.
pub fn base(of: &Table, out: File) -> Result<Written<File>, PagesError> {
    let fault = |error| PagesError::Io("a base, while it is made".into(), error);
    let mut writer = Writer::base(BufWriter::new(out), snapshot(of)).map_err(fault)?;
    let mut page: Page = [0; PAGE_BYTES];
    for number in 0..of.pages() {
        of.read(number, &mut page)?;
        writer.add(number, &page, None).map_err(fault)?;
    }
    let Written { out, pages, bytes } = writer.finish().map_err(fault)?;
    let out = out.into_inner().map_err(|error| fault(error.into_error()))?;
    Ok(Written { out, pages, bytes })
}

/// What makes `to` out of `from`, the smaller way.
pub fn smallest(from: &Table, to: &Table) -> Result<(Chosen, Encoded), PagesError> {
    if from.root() == to.root() {
        return Ok((Chosen::Nothing, Encoded { bytes: Bytes::new(), pages: 0 }));
    }
    let changed = to.changed_since(from);
    let in_place = in_place(from, to, &changed)?;
    if page_object::is_rebuilt(changed.len() as u32, from.pages()) {
        let moved = moved(from, to, &changed)?;
        if moved.bytes.len() < in_place.bytes.len() {
            return Ok((Chosen::Moved, moved));
        }
    }
    Ok((Chosen::Delta, in_place))
}

/// So much is different that a base, which needs nothing else, may be as small.
pub fn may_be_a_base(delta: &Encoded, pages: u32) -> bool {
    delta.pages > 64 && delta.pages > pages / 2
}

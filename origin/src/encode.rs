//! Page objects made out of tables of the page store: what a release costs to send.

use std::io;

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
    /// The pages that differ, each told from the page it takes the place of.
    Delta,
    /// Every page, because so little of the release before is of use.
    Base,
    /// Nothing: the pages are those of the release before.
    Nothing,
}

impl Chosen {
    pub fn name(self) -> &'static str {
        match self {
            Chosen::Delta => "page delta",
            Chosen::Base => "base",
            Chosen::Nothing => "no pages",
        }
    }
}

/// The pages of `to` that are not those of `from`.
pub fn delta(from: &Table, to: &Table) -> Result<Encoded, PagesError> {
    let changed = to.changed_since(from);
    if page_object::is_rebuilt(changed.len() as u32, from.pages()) {
        return moved(from, to, &changed);
    }
    let mut writer = Writer::delta(Vec::new(), snapshot(from), snapshot(to)).expect(IN_MEMORY);
    let (mut page, mut old): (Page, Page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    for number in &changed {
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

/// Every page.
pub fn base(of: &Table) -> Result<Encoded, PagesError> {
    let mut writer = Writer::base(Vec::new(), snapshot(of)).expect(IN_MEMORY);
    let mut page: Page = [0; PAGE_BYTES];
    for number in 0..of.pages() {
        of.read(number, &mut page)?;
        writer.add(number, &page, None).expect(IN_MEMORY);
    }
    Ok(encoded(writer.finish().expect(IN_MEMORY)))
}

/// So many pages changed that telling each from its old self may not be the smallest way.
pub fn is_much(changed: u32, pages: u32) -> bool {
    changed > 64 && changed > pages / 16
}

/// What makes `to` out of `from`, the smaller way: a delta, or, when most is different, a base.
pub fn smallest(from: &Table, to: &Table) -> Result<(Chosen, Encoded), PagesError> {
    if from.root() == to.root() {
        return Ok((Chosen::Nothing, Encoded { bytes: Bytes::new(), pages: 0 }));
    }
    let delta = delta(from, to)?;
    // Half of the pages is where a base, whose pages are compressed in runs, begins to be in with a chance.
    if is_much(delta.pages, to.pages()) && delta.pages > to.pages() / 2 {
        let base = base(to)?;
        if base.bytes.len() < delta.bytes.len() {
            return Ok((Chosen::Base, base));
        }
    }
    Ok((Chosen::Delta, delta))
}

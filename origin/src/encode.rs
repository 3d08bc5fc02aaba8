//! Page objects made out of tables of the page store: what a release costs to send.

use bytes::Bytes;
use nearside_host::pages::{PagesError, Table};
use nearside_protocol::{
    limits::PAGE_BYTES,
    page_object::{Page, Writer},
};

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
    let mut writer = Writer::new(Some(from.root()), to.root(), to.pages());
    let (mut page, mut old): (Page, Page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    for number in &changed {
        to.read(*number, &mut page)?;
        let before = if *number < from.pages() { from.read(*number, &mut old).map(|()| Some(&old))? } else { None };
        writer.add(*number, &page, before);
    }
    Ok(Encoded { bytes: writer.finish().into(), pages: changed.len() as u32 })
}

/// Every page.
pub fn base(of: &Table) -> Result<Encoded, PagesError> {
    let mut writer = Writer::new(None, of.root(), of.pages());
    let mut page: Page = [0; PAGE_BYTES];
    for number in 0..of.pages() {
        of.read(number, &mut page)?;
        writer.add(number, &page, None);
    }
    Ok(Encoded { bytes: writer.finish().into(), pages: of.pages() })
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

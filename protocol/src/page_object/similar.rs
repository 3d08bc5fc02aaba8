//! Where in an old snapshot the content of a page may come from, when it does not stand where it stood: after a VACUUM, or
//! in a file that was made anew from the same rows.
//!
//! From each old page a few windows of 32 bytes are taken, chosen by their content alone, so that the same bytes are
//! chosen wherever they stand; a new page's windows are then looked for among them.

use super::{Page, RECORD_OLD_PAGES};
use crate::limits::{SIMILAR_INDEX_BYTES, SIMILAR_WINDOWS_LEAST, SIMILAR_WINDOWS_MOST};

/// A window of more pages than this says nothing of where a page comes from.
const PAGES_PER_ANCHOR: usize = 8;

/// An index over an old snapshot.
pub struct Similar {
    /// A window's hash and a page that has it, in order.
    anchors: Vec<(u32, u32)>,
    per_page: usize,
}

impl Similar {
    /// Reads every page of the old snapshot, once.
    pub fn of<E>(pages: u32, mut old: impl FnMut(u32, &mut Page) -> Result<(), E>) -> Result<Similar, E> {
        let per_page = SIMILAR_INDEX_BYTES / size_of::<(u32, u32)>() / pages.max(1) as usize;
        let per_page = per_page.clamp(SIMILAR_WINDOWS_LEAST, SIMILAR_WINDOWS_MOST);
        let mut anchors = Vec::with_capacity(per_page * pages as usize);
        let mut page = [0; crate::limits::PAGE_BYTES];
        let mut found = Vec::new();
        for number in 0..pages {
            old(number, &mut page)?;
            windows(&page, per_page, &mut found);
            anchors.extend(found.iter().map(|hash| (*hash, number)));
        }
        anchors.sort_unstable();
        drop_common(&mut anchors);
        Ok(Similar { anchors, per_page })
    }

    /// The old pages that share most with these, in ascending order, at most [`RECORD_OLD_PAGES`].
    pub(super) fn to(&self, pages: &[Page]) -> Vec<u32> {
        let mut votes = std::collections::HashMap::<u32, u32>::new();
        let mut found = Vec::new();
        for page in pages {
            windows(page, self.per_page, &mut found);
            for hash in &found {
                let first = self.anchors.partition_point(|(anchor, _)| anchor < hash);
                let same = self.anchors[first..].iter().take_while(|(anchor, _)| anchor == hash);
                let count = same.clone().count() as u32;
                // A window that only one page has says more.
                same.for_each(|(_, number)| *votes.entry(*number).or_default() += PAGES_PER_ANCHOR as u32 / count);
            }
        }
        let mut best: Vec<(u32, u32)> = votes.into_iter().map(|(number, votes)| (votes, number)).collect();
        best.sort_unstable_by(|one, other| other.cmp(one));
        let mut numbers: Vec<u32> = best.into_iter().take(RECORD_OLD_PAGES).map(|(_, number)| number).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// The hashes of a page's chosen windows: those with the lowest values, so that two pages that share most of their bytes
/// choose mostly the same.
fn windows(page: &Page, most: usize, found: &mut Vec<u32>) {
    found.clear();
    let mut hash = 0u32;
    let mut zeroes = 0;
    for (at, byte) in page.iter().enumerate() {
        // Each step moves what came before by one bit, so that after 32 bytes it is gone.
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        zeroes = if *byte == 0 { zeroes + 1 } else { 0 };
        if at < 31 || zeroes >= 8 {
            continue;
        }
        let mixed = hash.wrapping_mul(0x9e37_79b1);
        // One window in 32 on average; more would be thrown away below.
        if mixed < u32::MAX / 32 {
            found.push(mixed);
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(most);
}

fn drop_common(anchors: &mut Vec<(u32, u32)>) {
    let mut kept = 0;
    let mut at = 0;
    while at < anchors.len() {
        let same = anchors[at..].iter().take_while(|(hash, _)| *hash == anchors[at].0).count();
        if same <= PAGES_PER_ANCHOR {
            anchors.copy_within(at..at + same, kept);
            kept += same;
        }
        at += same;
    }
    anchors.truncate(kept);
    anchors.shrink_to_fit();
}

/// A random number for each byte; any will do, these stay the same.
static GEAR: [u32; 256] = gear();

const fn gear() -> [u32; 256] {
    let mut table = [0; 256];
    let mut state = 0x6e65_6172_7369_6465u64;
    let mut at = 0;
    while at < table.len() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        table[at] = (state >> 32) as u32;
        at += 1;
    }
    table
}

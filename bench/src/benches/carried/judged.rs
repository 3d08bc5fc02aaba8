//! What became of each address at a push, by the answers it had around it.

use std::collections::BTreeSet;

use crate::load::{How, Note};

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Judged {
    pub addresses: usize,
    pub by_pages: usize,
    pub by_rows: usize,
    pub ahead: usize,
    pub on_demand: usize,
    /// Addresses whose page is the one from before.
    pub same: usize,
    /// Of those, the ones nothing was rendered for.
    pub same_kept: usize,
    /// Answers of the release that are not its own.
    pub stale: usize,
}

impl Judged {
    pub fn share(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.addresses.max(1) as f64
    }
}

/// `before` and `right` have one note for each address: from this node before the push, and from a node that renders
/// everything, of `release`. `around` is all that this node answered since, of that release or of any on the way to it.
pub(super) fn judge(before: &[Note], around: &[Note], right: &[Note], release: u64) -> Judged {
    let mut ways: Vec<BTreeSet<How>> = vec![BTreeSet::new(); right.len()];
    let mut judged = Judged { addresses: right.len(), ..Judged::default() };
    for note in around.iter().filter(|note| !note.failed) {
        if note.release > before[note.request].release {
            ways[note.request].insert(note.how);
        }
        if note.release == Some(release) && note.tag != right[note.request].tag {
            judged.stale += 1;
        }
    }
    for ((before, right), ways) in before.iter().zip(right).zip(&ways) {
        let way = first_way(ways);
        let same = before.tag == right.tag;
        judged.same += usize::from(same);
        judged.same_kept += usize::from(same && matches!(way, How::Pages | How::Rows));
        match way {
            How::Pages => judged.by_pages += 1,
            How::Rows => judged.by_rows += 1,
            How::Ahead | How::Hit => judged.ahead += 1,
            How::OnDemand | How::Sibling => judged.on_demand += 1,
        }
    }
    judged
}

/// The dearest way any answer came about. One that was only ever a hit, with no word of how it was kept, was made of
/// this release before anyone asked; one that nobody was answered is not known to have been kept.
fn first_way(ways: &BTreeSet<How>) -> How {
    let order = [How::OnDemand, How::Ahead, How::Rows, How::Pages, How::Hit];
    order.into_iter().find(|way| ways.contains(way)).unwrap_or(How::OnDemand)
}

/// Hits in percent of the answers of `before`, and of those of newer releases; none if there were none.
pub(super) fn hits(notes: &[Note], before: u64) -> Option<(f64, f64)> {
    let older = notes.iter().filter(|note| note.release <= Some(before));
    let newer = notes.iter().filter(|note| note.release > Some(before));
    Some((hit_percent(older)?, hit_percent(newer)?))
}

pub(super) fn hit_percent<'n>(notes: impl Iterator<Item = &'n Note>) -> Option<f64> {
    let (mut all, mut hits) = (0_u64, 0_u64);
    for note in notes {
        all += 1;
        hits += u64::from(note.how.is_hit() && !note.failed);
    }
    (all > 0).then(|| 100.0 * hits as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Times;
    use crate::response::Response;

    fn note(request: usize, release: u64, how: How, tag: u64) -> Note {
        let times = Times { at: Duration::ZERO, first_byte: Duration::ZERO, latency: Duration::from_micros(1) };
        let note = Note::new(request, times, false, &Response::heads());
        Note { how, release: Some(release), tag, ..note }
    }

    #[test]
    fn each_address_by_its_dearest_way() {
        let before: Vec<Note> = (0..5).map(|request| note(request, 1, How::Hit, 10 + request as u64)).collect();
        // Address 3 changed.
        let right: Vec<Note> =
            (0..5).map(|at| note(at, 3, How::OnDemand, if at == 3 { 99 } else { 10 + at as u64 })).collect();
        let around = [
            note(0, 2, How::Pages, 10),
            note(0, 3, How::Hit, 10),
            note(1, 2, How::Pages, 11),
            note(1, 3, How::Rows, 11),
            // Rendered although it is the same.
            note(2, 2, How::OnDemand, 12),
            note(2, 3, How::Hit, 12),
            // Answered before the push; then stale, then right.
            note(3, 1, How::OnDemand, 13),
            note(3, 3, How::Hit, 13),
            note(3, 3, How::Hit, 99),
            note(4, 3, How::Hit, 14),
        ];
        let judged = judge(&before, &around, &right, 3);
        let expected =
            Judged { addresses: 5, by_pages: 1, by_rows: 1, ahead: 2, on_demand: 1, same: 4, same_kept: 2, stale: 1 };
        assert_eq!(judged, expected);
        assert_eq!(judged.share(judged.ahead), 40.0);
    }

    #[test]
    fn hits_before_and_after() {
        let notes = [note(0, 1, How::Hit, 0), note(0, 2, How::OnDemand, 0), note(1, 3, How::Rows, 0)];
        assert_eq!(hits(&notes, 1), Some((100.0, 50.0)));
        assert_eq!(hits(&notes, 3), None);
    }
}

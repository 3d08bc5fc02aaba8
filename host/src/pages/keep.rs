//! Which releases stay when another comes: the newest, and of those before fewer and fewer, so that there is something to go
//! back to from last week though there is a release every second.

use nearside_protocol::release::ReleaseId;

/// How much is kept: the newest release always is.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// The newest,
    pub releases: usize,
    /// as many of those before whose number is a multiple of the first of these, as many again of the next, and so on.
    pub strides: &'static [u64],
    /// From the oldest on, releases are let go of while all pages take more.
    pub bytes: u64,
}

impl Keep {
    /// Whether each of these, old to new, stays beside one that comes.
    pub(super) fn stays(&self, kept: &[ReleaseId]) -> Vec<bool> {
        let newest = self.releases.max(1) - 1;
        let mut room = vec![self.releases; self.strides.len()];
        let mut stays: Vec<bool> = kept
            .iter()
            .rev()
            .enumerate()
            .map(|(before, release)| {
                let mut tiers = self.strides.iter().zip(&mut room);
                before < newest
                    || tiers.find(|(stride, room)| **room > 0 && release.seq.is_multiple_of(**stride)).is_some_and(
                        |(_, room)| {
                            *room -= 1;
                            true
                        },
                    )
            })
            .collect();
        stays.reverse();
        stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_grows_thin_and_stays_bounded() {
        let keep = Keep { releases: 3, strides: &[4, 16], bytes: u64::MAX };
        let mut kept: Vec<ReleaseId> = Vec::new();
        for seq in 1..=200 {
            let mut stays = keep.stays(&kept).into_iter();
            kept.retain(|_| stays.next() == Some(true));
            kept.push(ReleaseId { epoch: 1, seq });
            assert!(kept.len() <= 9, "{kept:?}");
        }
        let seqs: Vec<u64> = kept.iter().map(|release| release.seq).collect();
        assert_eq!(seqs, [144, 160, 176, 188, 192, 196, 198, 199, 200]);
        let one = Keep { releases: 1, strides: &[], bytes: u64::MAX };
        assert_eq!(one.stays(&kept[..2]), [false, false]);
    }
}

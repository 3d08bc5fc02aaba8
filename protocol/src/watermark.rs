//! How far a store's commits are safe from the loss of its disk, and which of them it still has at all.

use serde::{Deserialize, Serialize};

use crate::release::DatabaseId;

/// The last commit of something, in its epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Point {
    pub epoch: u64,
    pub commit: u64,
}

/// A verified backup, and the newest commit in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackedUp {
    pub epoch: u64,
    pub commit: u64,
    /// When it was made: Unix time, milliseconds.
    pub at_ms: u64,
}

/// `GET /v1/apps/{app}/watermark`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Watermark {
    pub database: DatabaseId,
    pub epoch: u64,
    pub commit: u64,
    /// None before the first backup.
    pub backed_up: Option<BackedUp>,
    /// Epochs before this one, old to new, each with the last of its commits that came through the restore that ended it.
    /// One that is not named is lost as a whole.
    pub ended: Vec<Point>,
}

impl Watermark {
    /// Whether the store has this commit: a restore may have lost it.
    pub fn has(&self, epoch: u64, commit: u64) -> bool {
        match epoch == self.epoch {
            true => commit <= self.commit,
            false => self.ended.iter().any(|ended| ended.epoch == epoch && commit <= ended.commit),
        }
    }

    /// Whether this commit outlives the loss of the origin's disk: whoever keeps what it was made of may let it go.
    pub fn covers(&self, epoch: u64, commit: u64) -> bool {
        let backed_up = self.backed_up.is_some_and(|backup| (epoch, commit) <= (backup.epoch, backup.commit));
        backed_up && self.has(epoch, commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_covered_when_a_backup_and_the_store_have_it() {
        let ended = vec![Point { epoch: 1, commit: 10 }, Point { epoch: 3, commit: 20 }];
        let backed_up = Some(BackedUp { epoch: 4, commit: 30, at_ms: 1 });
        let mark = Watermark { database: DatabaseId("d".into()), epoch: 4, commit: 40, backed_up, ended };
        for (epoch, commit, has, covers) in [
            (1, 10, true, true),
            (1, 11, false, false),
            (2, 1, false, false),
            (3, 20, true, true),
            (3, 21, false, false),
            (4, 30, true, true),
            (4, 31, true, false),
            (4, 41, false, false),
            (5, 1, false, false),
        ] {
            assert_eq!((mark.has(epoch, commit), mark.covers(epoch, commit)), (has, covers), "{epoch}.{commit}");
        }
        assert!(!Watermark { backed_up: None, ..mark }.covers(1, 1));
    }
}

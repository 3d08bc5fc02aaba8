//! What was done to the disk, and what of it a crash leaves.

use std::{collections::BTreeMap, path::PathBuf};

use crate::loss::{Choices, Loss};

/// One step that changes the disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// SQLite syncs a journal's folder with the journal, and nobody a database's: see the crate's head.
    Create {
        path: PathBuf,
        is_database: bool,
    },
    Write {
        path: PathBuf,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        path: PathBuf,
        size: u64,
    },
    /// It was asked for, and succeeded.
    Sync {
        path: PathBuf,
    },
    Delete {
        path: PathBuf,
        is_synced: bool,
    },
}

const SECTOR_BYTES: usize = 512;

/// A disk after a crash.
#[derive(Default)]
pub struct Image(BTreeMap<PathBuf, File>);

#[derive(Default)]
struct File {
    /// Nothing while its name is not sure to be there.
    synced: Option<Vec<u8>>,
    /// Since then: writes and truncations.
    pending: Vec<Step>,
    /// Its name was taken away, which may be forgotten.
    is_deleted: bool,
}

impl Image {
    pub(crate) fn after(steps: &[Step], loss: Loss) -> Image {
        let mut image = Image::default();
        steps.iter().for_each(|step| image.take(step));
        image.lose(loss);
        image
    }

    /// What is there, by path.
    pub fn files(&self) -> impl Iterator<Item = (&PathBuf, &Vec<u8>)> {
        self.0.iter().filter_map(|(path, file)| Some((path, file.synced.as_ref()?)))
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Create { path, is_database } => {
                let file = File { synced: is_database.then(Vec::new), ..File::default() };
                self.0.insert(path.clone(), file);
            }
            Step::Write { path, .. } | Step::Truncate { path, .. } => {
                self.0.entry(path.clone()).or_default().pending.push(step.clone());
            }
            Step::Sync { path } => {
                let file = self.0.entry(path.clone()).or_default();
                let is_new = file.synced.is_none();
                let mut bytes = file.synced.take().unwrap_or_default();
                file.pending.drain(..).for_each(|step| apply(&mut bytes, &step));
                file.synced = Some(bytes);
                if is_new {
                    // SQLite syncs the folder with it, and all that was taken away in it.
                    self.0.retain(|other, file| !file.is_deleted || other.parent() != path.parent());
                }
            }
            Step::Delete { path, is_synced: true } => drop(self.0.remove(path)),
            Step::Delete { path, is_synced: false } => self.0.entry(path.clone()).or_default().is_deleted = true,
        }
    }

    fn lose(&mut self, loss: Loss) {
        let mut choices = match loss {
            Loss::Some(seed) => Choices::of(seed),
            Loss::Everything | Loss::Nothing => Choices::of(0),
        };
        for file in self.0.values_mut() {
            let is_named = file.synced.is_some();
            let mut bytes = file.synced.take().unwrap_or_default();
            let mut is_there = is_named;
            for step in file.pending.drain(..) {
                let left = match loss {
                    Loss::Everything => None,
                    Loss::Nothing => Some(step),
                    Loss::Some(_) => some_of(step, &mut choices),
                };
                if let Some(step) = left {
                    apply(&mut bytes, &step);
                    is_there = true;
                }
            }
            let keeps_deleted = match loss {
                Loss::Everything => true,
                Loss::Nothing => false,
                Loss::Some(_) => choices.below(2) == 0,
            };
            is_there &= !file.is_deleted || keeps_deleted;
            file.synced = is_there.then_some(bytes);
        }
    }
}

/// All of it, nothing, or some of its sectors.
fn some_of(step: Step, choices: &mut Choices) -> Option<Step> {
    match (choices.below(4), step) {
        (0, _) => None,
        (1, Step::Write { path, at, mut bytes }) if bytes.len() > SECTOR_BYTES => {
            // The beginning, or the end.
            let cut = SECTOR_BYTES * (1 + choices.below((bytes.len() / SECTOR_BYTES) as u64) as usize).min(bytes.len());
            let cut = cut.min(bytes.len());
            Some(match choices.below(2) {
                0 => {
                    bytes.truncate(cut);
                    Step::Write { path, at, bytes }
                }
                _ => Step::Write { path, at: at + cut as u64, bytes: bytes.split_off(cut) },
            })
        }
        (1, _) => None,
        (_, step) => Some(step),
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write { at, bytes: new, .. } => {
            let at = *at as usize;
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        Step::Truncate { size, .. } => bytes.resize(*size as usize, 0),
        Step::Create { .. } | Step::Sync { .. } | Step::Delete { .. } => {}
    }
}

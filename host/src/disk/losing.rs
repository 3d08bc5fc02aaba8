//! A disk that loses what was not synced, for tests: out of the steps a [`Watcher`](super::Watcher) saw, every state that a
//! loss of power could have left.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::Step;

/// A file as the disk has it for sure, and the steps since, of which it may have any.
#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    since: Vec<Step>,
}

/// A change of names, which a folder may have or not until it is synced.
#[derive(Clone)]
enum Naming {
    Is(PathBuf, usize),
    Moved(PathBuf, PathBuf, usize),
    Gone(PathBuf),
}

impl Naming {
    fn is_in(&self, folder: &Path) -> bool {
        let (Naming::Is(path, _) | Naming::Moved(_, path, _) | Naming::Gone(path)) = self;
        path.parent() == Some(folder)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Naming::Is(path, inode) => drop(names.insert(path.clone(), *inode)),
            Naming::Moved(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Naming::Gone(path) => drop(names.remove(path)),
        }
    }
}

#[derive(Clone, Default)]
pub struct LosingDisk {
    inodes: Vec<Inode>,
    /// As the process sees them.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    since: Vec<Naming>,
}

impl LosingDisk {
    /// Takes a step that was seen, in order; the disk was empty before the first.
    pub fn take(&mut self, step: &Step) {
        let naming = match step {
            Step::Create(path) => {
                self.inodes.push(Inode::default());
                Naming::Is(path.clone(), self.inodes.len() - 1)
            }
            Step::Rename(from, to) => Naming::Moved(from.clone(), to.clone(), self.names[from]),
            Step::Remove(path) => Naming::Gone(path.clone()),
            Step::Write { path, .. } | Step::SetLength(path, _) => {
                let inode = self.names[path];
                return self.inodes[inode].since.push(step.clone());
            }
            Step::SyncFile(path) => {
                let inode = &mut self.inodes[self.names[path]];
                let since = std::mem::take(&mut inode.since);
                return since.iter().for_each(|step| apply(&mut inode.durable, step));
            }
            Step::SyncFolder(folder) => {
                let synced: Vec<Naming> = self.since.extract_if(.., |naming| naming.is_in(folder)).collect();
                return synced.iter().for_each(|naming| naming.apply(&mut self.durable_names));
            }
            // Whoever makes one syncs its parent before anything is put there.
            Step::MakeFolder(_) => return,
        };
        naming.apply(&mut self.names);
        self.since.push(naming);
    }

    /// Makes, in the folder `to`, what the disk may be found to have below `root`; `choice` says of each step that was not
    /// synced whether it outlived the loss.
    pub fn found(&self, root: &Path, to: &Path, choice: &mut impl FnMut() -> bool) -> io::Result<()> {
        let mut names = self.durable_names.clone();
        self.since.iter().filter(|_| choice()).for_each(|naming| naming.apply(&mut names));
        for (path, inode) in names {
            let inode = &self.inodes[inode];
            let mut bytes = inode.durable.clone();
            inode.since.iter().filter(|_| choice()).for_each(|step| apply(&mut bytes, step));
            let path = to.join(path.strip_prefix(root).map_err(io::Error::other)?);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write { at, bytes: written, .. } => {
            let end = *at as usize + written.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[*at as usize..end].copy_from_slice(written);
        }
        Step::SetLength(_, length) => bytes.resize(*length as usize, 0),
        _ => {}
    }
}

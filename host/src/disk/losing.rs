//! A disk that loses what was not synced, for tests: out of the steps a [`Watcher`](super::Watcher) saw, every state that a
//! loss of power could have left.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::Step;

/// What of that which was not synced outlives a loss of power: the first way nothing, the second all of it, every other way
/// each step by chance.
pub struct Luck {
    way: u32,
    random: u64,
}

impl Luck {
    pub fn new(way: u32, seed: u64) -> Luck {
        // Never zero, and neighbours have nothing in common.
        Luck { way, random: (seed ^ u64::from(way) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn keeps(&mut self) -> bool {
        match self.way {
            0 => false,
            1 => true,
            _ => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                self.random >> 63 == 1
            }
        }
    }
}

/// What is in a file: these bytes, and zeros up to its length.
#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    length: u64,
}

impl Content {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Write { at, bytes, .. } => {
                let (at, end) = (*at as usize, *at as usize + bytes.len());
                self.bytes.resize(self.bytes.len().max(end), 0);
                self.bytes[at..end].copy_from_slice(bytes);
                self.length = self.length.max(end as u64);
            }
            Step::SetLength(_, length) => {
                self.bytes.truncate(*length as usize);
                self.length = *length;
            }
            _ => {}
        }
    }
}

/// A file as the disk has it for sure, and the steps since, of which it may have any.
#[derive(Clone, Default)]
struct Inode {
    durable: Content,
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
                return since.iter().for_each(|step| inode.durable.apply(step));
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

    /// Makes, in the folder `to`, what the disk may be found to have below `root`.
    pub fn found(&self, root: &Path, to: &Path, mut luck: Luck) -> io::Result<()> {
        let mut names = self.durable_names.clone();
        self.since.iter().filter(|_| luck.keeps()).for_each(|naming| naming.apply(&mut names));
        for (path, inode) in names {
            let inode = &self.inodes[inode];
            let mut content = inode.durable.clone();
            inode.since.iter().filter(|_| luck.keeps()).for_each(|step| content.apply(step));
            let path = to.join(path.strip_prefix(root).map_err(io::Error::other)?);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, content.bytes)?;
            fs::OpenOptions::new().write(true).open(&path)?.set_len(content.length)?;
        }
        Ok(())
    }
}

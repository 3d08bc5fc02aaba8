//! BLAKE3 digests, and the two-level tree over a database's pages.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::limits::PAGE_BYTES;

/// Pages whose hashes form one leaf group of the tree.
pub const PAGES_PER_GROUP: usize = 256;

/// A BLAKE3 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first digits, enough for a person to tell two apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a digest: 64 hexadecimal digits expected")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        decode_hex(text).map(Digest).ok_or_else(|| NotADigest(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `N` bytes from twice as many hexadecimal digits.
pub(crate) fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A digest over several parts that no other split into parts can collide with: each is preceded by its length.
#[derive(Default)]
pub struct PartsHasher(blake3::Hasher);

impl PartsHasher {
    pub fn part(mut self, bytes: &[u8]) -> PartsHasher {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// The root of the page tree, built page by page: pages hash into groups of 256, groups into the root.
#[derive(Default)]
pub struct PageTree {
    group: blake3::Hasher,
    root: blake3::Hasher,
    pages: u64,
}

impl PageTree {
    /// Adds the next page. `page` is [`PAGE_BYTES`] long.
    pub fn add(&mut self, page: &[u8]) {
        debug_assert_eq!(page.len(), PAGE_BYTES);
        self.group.update(blake3::hash(page).as_bytes());
        self.pages += 1;
        if self.pages.is_multiple_of(PAGES_PER_GROUP as u64) {
            self.close_group();
        }
    }

    pub fn pages(&self) -> u64 {
        self.pages
    }

    pub fn root(mut self) -> Digest {
        if !self.pages.is_multiple_of(PAGES_PER_GROUP as u64) {
            self.close_group();
        }
        // The page count is part of the root, so that a cut or grown file cannot have the root of another.
        self.root.update(&self.pages.to_le_bytes());
        Digest(*self.root.finalize().as_bytes())
    }

    fn close_group(&mut self) {
        self.root.update(self.group.finalize().as_bytes());
        self.group.reset();
    }
}

/// The digest of up to [`PAGES_PER_GROUP`] pages in a row, from the digests of the pages.
pub fn group_digest(pages: &[Digest]) -> Digest {
    let mut group = blake3::Hasher::new();
    pages.iter().for_each(|page| {
        group.update(page.as_bytes());
    });
    Digest(*group.finalize().as_bytes())
}

/// The root of the page tree, from the digests of its groups.
pub fn root_of_groups(groups: impl Iterator<Item = Digest>, pages: u64) -> Digest {
    let mut root = blake3::Hasher::new();
    groups.for_each(|group| {
        root.update(group.as_bytes());
    });
    root.update(&pages.to_le_bytes());
    Digest(*root.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(pages: &[[u8; PAGE_BYTES]]) -> Digest {
        let mut tree = PageTree::default();
        pages.iter().for_each(|page| tree.add(page));
        tree.root()
    }

    #[test]
    fn any_change_moves_the_root() {
        let pages = vec![[7; PAGE_BYTES]; PAGES_PER_GROUP + 3];
        let before = root(&pages);
        for at in [0, PAGES_PER_GROUP - 1, PAGES_PER_GROUP, PAGES_PER_GROUP + 2] {
            let mut changed = pages.clone();
            changed[at][4_000] ^= 1;
            assert_ne!(before, root(&changed), "page {at}");
        }
        assert_ne!(before, root(&pages[..pages.len() - 1]), "a page less");
        assert_ne!(root(&pages[..PAGES_PER_GROUP]), root(&pages[..PAGES_PER_GROUP - 1]));
    }

    #[test]
    fn the_tree_from_its_parts_is_the_tree() {
        for count in [0, 1, PAGES_PER_GROUP, PAGES_PER_GROUP + 3] {
            let pages: Vec<[u8; PAGE_BYTES]> = (0..count).map(|page| [page as u8; PAGE_BYTES]).collect();
            let digests: Vec<Digest> = pages.iter().map(|page| Digest::of(page)).collect();
            let groups = digests.chunks(PAGES_PER_GROUP).map(group_digest);
            assert_eq!(root_of_groups(groups, count as u64), root(&pages), "{count} pages");
        }
    }

    #[test]
    fn digests_are_read_back_and_nonsense_is_refused() {
        let digest = Digest::of(b"page");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for nonsense in ["", "xyz", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(nonsense.parse::<Digest>().is_err(), "{nonsense}");
        }
    }
}

//! The first bytes of a page object: what it is made from and what it makes.

use super::{Broken, FORMAT, Snapshot};
use crate::digest::Digest;

pub const HEAD_BYTES: usize = 88;
const MAGIC: [u8; 4] = *b"NSPG";
const CHECKED_BYTES: usize = 80;

#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The snapshot it is applied to; none for a base.
    pub from: Option<Snapshot>,
    pub to: Snapshot,
}

impl Head {
    pub fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.to.pages.to_le_bytes());
        if let Some(from) = &self.from {
            bytes[12..16].copy_from_slice(&from.pages.to_le_bytes());
            bytes[16..48].copy_from_slice(from.root.as_bytes());
        }
        bytes[48..80].copy_from_slice(self.to.root.as_bytes());
        let check = check(&bytes);
        bytes[CHECKED_BYTES..].copy_from_slice(&check);
        bytes
    }

    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Result<Head, Broken> {
        let pages = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let root = |at: usize| Digest::from_bytes(std::array::from_fn(|offset| bytes[at + offset]));
        if bytes[..4] != MAGIC {
            return Err(Broken::NotPages);
        }
        let format = u16::from_le_bytes([bytes[4], bytes[5]]);
        if format > FORMAT {
            return Err(Broken::Future(format));
        }
        if format == 0 || bytes[6..8] != [0, 0] || bytes[CHECKED_BYTES..] != check(bytes) {
            return Err(Broken::Head);
        }
        let to = Snapshot { root: root(48), pages: pages(8) };
        match (bytes[16..48] == [0; 32], pages(12)) {
            (true, 0) => Ok(Head { from: None, to }),
            (true, _) => Err(Broken::Head),
            (false, pages) => Ok(Head { from: Some(Snapshot { root: root(16), pages }), to }),
        }
    }
}

fn check(bytes: &[u8; HEAD_BYTES]) -> [u8; 8] {
    let digest = Digest::of(&bytes[..CHECKED_BYTES]);
    std::array::from_fn(|at| digest.as_bytes()[at])
}

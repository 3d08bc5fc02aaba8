//! The first bytes of a page object: what it is made from and what it makes.

use super::{Broken, FORMAT};
use crate::digest::Digest;

pub const HEAD_BYTES: usize = 96;
const MAGIC: [u8; 4] = *b"NSPG";
const CHECKED_BYTES: usize = 88;

#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Pages of the snapshot it makes.
    pub pages: u32,
    pub records: u32,
    /// The snapshot it is applied to; none for a base.
    pub from: Option<Digest>,
    pub to: Digest,
    /// Of all records together.
    pub bytes: u64,
}

impl Head {
    pub fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.pages.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.records.to_le_bytes());
        if let Some(from) = &self.from {
            bytes[16..48].copy_from_slice(from.as_bytes());
        }
        bytes[48..80].copy_from_slice(self.to.as_bytes());
        bytes[80..88].copy_from_slice(&self.bytes.to_le_bytes());
        let check = check(&bytes);
        bytes[CHECKED_BYTES..].copy_from_slice(&check);
        bytes
    }

    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Result<Head, Broken> {
        let part = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
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
        Ok(Head {
            pages: part(8),
            records: part(12),
            from: Some(digest(&bytes[16..48])).filter(|from| *from.as_bytes() != [0; 32]),
            to: digest(&bytes[48..80]),
            bytes: u64::from(part(80)) | u64::from(part(84)) << 32,
        })
    }
}

fn check(bytes: &[u8; HEAD_BYTES]) -> [u8; 8] {
    let digest = Digest::of(&bytes[..CHECKED_BYTES]);
    std::array::from_fn(|at| digest.as_bytes()[at])
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(std::array::from_fn(|at| bytes[at]))
}

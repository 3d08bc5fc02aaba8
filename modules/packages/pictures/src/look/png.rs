//! PNG, third edition, section 5: chunks, each with its length, name and checksum.

use super::{Kind, Picture, u32_be};
use crate::Refusal;

const SIGNATURE_BYTES: usize = 8;
/// Length, name and checksum.
const AROUND_CHUNK_BYTES: usize = 12;

pub(super) fn look(bytes: &[u8]) -> Result<Picture, Refusal> {
    let mut picture = None;
    let mut at = SIGNATURE_BYTES;
    loop {
        let length = u32_be(bytes, at).ok_or(Refusal::Truncated)? as usize;
        let end = at.checked_add(length).and_then(|end| end.checked_add(AROUND_CHUNK_BYTES));
        let chunk = end.and_then(|end| bytes.get(at + 4..end)).ok_or(Refusal::Truncated)?;
        let (name, data) = (&chunk[..4], &chunk[4..4 + length]);
        match (name, &picture) {
            (b"IHDR", None) => picture = Some(header(data).ok_or(Refusal::Damaged)?),
            (_, None) => return Err(Refusal::Damaged),
            (b"acTL", _) => return Err(Refusal::Animated),
            (b"IEND", Some(picture)) => return Ok(*picture),
            _ => {}
        }
        at += length + AROUND_CHUNK_BYTES;
    }
}

fn header(data: &[u8]) -> Option<Picture> {
    let (width, height) = (u32_be(data, 0)?, u32_be(data, 4)?);
    let (depth, colour) = (*data.get(8)?, *data.get(9)?);
    let channels = match colour {
        0 => 2, // Grey, of which one may be transparent.
        2 | 3 | 6 => 4,
        4 => 2,
        _ => return None,
    };
    let bytes_per_pixel = if depth == 16 { 2 * channels } else { channels };
    Some(Picture { kind: Kind::Png, width, height, bytes_per_pixel })
}

//! WebP, RFC 9649: a RIFF file whose first chunk tells which of three it is.

use super::{Kind, Picture, u32_le};
use crate::Refusal;

/// Where the first chunk begins, and its data.
const CHUNK: usize = 12;
const DATA: usize = 20;

const ANIMATION: u8 = 0b10;

pub(super) fn look(bytes: &[u8]) -> Result<Picture, Refusal> {
    let promised = u32_le(bytes, 4).ok_or(Refusal::Truncated)? as usize;
    if bytes.len() < promised.saturating_add(8) {
        return Err(Refusal::Truncated);
    }
    let data = bytes.get(DATA..).ok_or(Refusal::Truncated)?;
    let size = match &bytes[CHUNK..CHUNK + 4] {
        b"VP8 " => lossy(data),
        b"VP8L" => lossless(data),
        b"VP8X" if data.first().is_some_and(|flags| flags & ANIMATION != 0) => return Err(Refusal::Animated),
        b"VP8X" => extended(data),
        _ => None,
    };
    let (width, height) = size.ok_or(Refusal::Damaged)?;
    // Four to give and, depending on the kind, up to four more to make them of.
    Ok(Picture { kind: Kind::Webp, width, height, bytes_per_pixel: 8 })
}

/// RFC 6386, section 9.1: a frame's tag, a start code, and 14 bits for each side.
fn lossy(data: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, 0x9d, 0x01, 0x2a, sides @ ..] = data else { return None };
    let sides = u32_le(sides, 0)?;
    Some((sides & 0x3fff, sides >> 16 & 0x3fff))
}

/// RFC 9649, section 3.4: a signature, and 14 bits for each side, less one.
fn lossless(data: &[u8]) -> Option<(u32, u32)> {
    let [0x2f, sides @ ..] = data else { return None };
    let sides = u32_le(sides, 0)?;
    Some(((sides & 0x3fff) + 1, (sides >> 14 & 0x3fff) + 1))
}

/// RFC 9649, section 2.7: flags, and 24 bits for each side, less one.
fn extended(data: &[u8]) -> Option<(u32, u32)> {
    let sides = data.get(4..10)?;
    let side = |at: usize| u32::from_le_bytes([sides[at], sides[at + 1], sides[at + 2], 0]) + 1;
    Some((side(0), side(3)))
}

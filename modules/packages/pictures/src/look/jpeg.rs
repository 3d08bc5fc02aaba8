//! JPEG, ITU-T T.81, annex B: segments, each with a marker and most with a length, and compressed data after the last.

use super::{Kind, Picture, u16_be};
use crate::Refusal;

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
const RARE: Refusal = Refusal::OtherFormat("a JPEG of a rare kind");

/// What a frame's header says.
struct Frame {
    width: u32,
    height: u32,
    is_progressive: bool,
    components: u8,
    /// Of all components, some of which may be sampled more coarsely than the picture.
    samples_per_4_pixels: u64,
}

pub(super) fn look(bytes: &[u8]) -> Result<Picture, Refusal> {
    let mut frame = None;
    let mut at = 2;
    loop {
        let marker = match bytes.get(at..at + 2) {
            Some([0xff, 0xff]) => {
                at += 1; // Fill bytes may stand before a marker.
                continue;
            }
            Some([0xff, marker]) => *marker,
            Some(_) => return Err(Refusal::Damaged),
            None => return Err(Refusal::Truncated),
        };
        let length = usize::from(u16_be(bytes, at + 2).ok_or(Refusal::Truncated)?);
        let segment = bytes.get(at + 4..at + 2 + length.max(2)).ok_or(Refusal::Truncated)?;
        match marker {
            // Twelve bits a sample are as rare as what follows.
            0xc0..=0xc2 if segment.first().is_some_and(|bits| *bits != 8) => return Err(RARE),
            0xc0..=0xc2 => frame = Some(Frame::read(marker == 0xc2, segment).ok_or(Refusal::Damaged)?),
            // Lossless, hierarchical and arithmetically coded ones, which hardly anything makes or reads.
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Err(RARE),
            START_OF_SCAN => {
                let frame = frame.ok_or(Refusal::Damaged)?;
                let in_scan = *segment.first().ok_or(Refusal::Damaged)?;
                return whole(&bytes[at..]).then(|| frame.picture(in_scan)).ok_or(Refusal::Truncated);
            }
            _ => {}
        }
        at += 2 + length.max(2);
    }
}

/// Compressed data has no such marker within it. Other things may follow it: phones hang films to their pictures.
fn whole(scans: &[u8]) -> bool {
    scans.windows(END_OF_IMAGE.len()).rev().any(|window| window == END_OF_IMAGE)
}

impl Frame {
    fn read(is_progressive: bool, segment: &[u8]) -> Option<Self> {
        let (height, width) = (u16_be(segment, 1)?, u16_be(segment, 3)?);
        let components = *segment.get(5)?;
        let factors = segment.get(6..)?.chunks_exact(3).take(usize::from(components));
        let samples: Vec<u64> = factors.map(|of| u64::from(of[1] >> 4) * u64::from(of[1] & 15)).collect();
        let (most, all) = (samples.iter().copied().max()?, samples.iter().sum::<u64>());
        let is_right = most > 0 && samples.len() == usize::from(components) && matches!(components, 1 | 3 | 4);
        is_right.then(|| Self {
            width: width.into(),
            height: height.into(),
            components,
            is_progressive,
            samples_per_4_pixels: (4 * all).div_ceil(most),
        })
    }

    /// Pixels; and where a picture comes in several scans, all of its samples, of two bytes, until the last scan.
    fn picture(&self, in_first_scan: u8) -> Picture {
        let pixel = if self.components == 1 { 1 } else { 3 };
        let is_kept = self.is_progressive || in_first_scan < self.components;
        let samples = if is_kept { (self.samples_per_4_pixels * 2).div_ceil(4) } else { 0 };
        Picture { kind: Kind::Jpeg, width: self.width, height: self.height, bytes_per_pixel: pixel + samples }
    }
}

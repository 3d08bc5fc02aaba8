//! Numbers in bytes: fixed, variable and packed. Reading never goes past what is there.

use crate::fault::{Fault, Result};

/// Steps through a row. Whatever is missing is a damaged index.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    rest: &'a [u8],
}

const SHORT: Fault = Fault::Damaged("a row ends early");

impl<'a> Bytes<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Bytes { rest }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    pub fn stamp(&mut self) -> Result<[u8; 16]> {
        self.array()
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        if let Some((&first, rest)) = self.rest.split_first()
            && first < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(first));
        }
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Damaged("a number has no end"))
    }

    #[inline]
    pub fn varint32(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| Fault::Damaged("a number is too large"))
    }

    /// The bytes of the next `count` variable numbers, unread.
    pub fn varints(&mut self, count: u64) -> Result<&'a [u8]> {
        let mut end = 0;
        for _ in 0..count {
            loop {
                let byte = self.rest.get(end).ok_or(SHORT)?;
                end += 1;
                if *byte < 0x80 {
                    break;
                }
            }
        }
        self.take(end)
    }
}

pub fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Bits that the largest of the values needs.
pub fn width_of(values: impl Iterator<Item = u32>) -> u32 {
    32 - values.fold(0, |all, value| all | value).leading_zeros()
}

pub fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

pub fn put_packed(into: &mut Vec<u8>, values: impl Iterator<Item = u32>, width: u32) {
    let (mut held, mut bits) = (0_u64, 0);
    for value in values {
        held |= u64::from(value) << bits;
        bits += width;
        while bits >= 8 {
            into.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        into.push(held as u8);
    }
}

/// Zeros behind a row in memory, so that a packed number is always read as eight bytes.
pub const PADDING: usize = 8;

/// The `index`th of numbers packed `width` bits each, from `start` of a padded row.
#[inline]
pub fn packed_at(padded: &[u8], start: usize, width: u32, index: usize) -> u32 {
    let bit = index * width as usize;
    let byte = start + bit / 8;
    match padded.get(byte..byte + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
        Some(eight) => ((u64::from_le_bytes(eight) >> (bit & 7)) & ((1_u64 << width) - 1)) as u32,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(values in prop::collection::vec(any::<u32>(), 0..130), shift in 0_u32..32) {
            let values: Vec<u32> = values.iter().map(|value| value >> shift).collect();
            let width = width_of(values.iter().copied());
            let mut bytes = Vec::new();
            put_packed(&mut bytes, values.iter().copied(), width);
            prop_assert_eq!(bytes.len(), packed_len(values.len(), width));
            bytes.extend([0; PADDING]);
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(packed_at(&bytes, 0, width, index), *value);
            }
        }

        #[test]
        fn variable_numbers_come_back(plain in 0..u64::MAX >> 1) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, plain);
            let mut read = Bytes::new(&bytes);
            prop_assert_eq!(read.varint().unwrap(), plain);
            prop_assert!(read.is_empty());
        }
    }

    #[test]
    fn what_ends_early_or_never_is_an_error() {
        assert!(Bytes::new(&[0x80]).varint().is_err());
        assert!(Bytes::new(&[0xff; 20]).varint().is_err());
        assert!(Bytes::new(&[1, 2, 3]).u32().is_err());
        assert!(Bytes::new(&[1, 0x80]).varints(2).is_err());
        assert!(Bytes::new(&[0xff, 0xff, 0xff, 0xff, 0x7f]).varint32().is_err());
    }
}

//! An arithmetic coder that learns: what is asked at one place is written by how likely its answer was there so far. Both
//! sides learn alike, so nothing of it is written down.

use crate::fault::{Fault, Result};

/// How likely a yes or no is, by those that were.
#[derive(Clone, Copy)]
pub struct Bit {
    /// The share of no, in 65,536ths.
    no: u16,
    seen: u8,
}

/// Nothing is taken to be surer than this, so that each answer takes some part of a bit.
const LEAST: u32 = 128;
const WHOLE: u32 = 1 << 16;
const SEEN_MOST: usize = 30;
/// How far an answer moves the share: far at first, then by a thirtieth.
const RATES: [u32; SEEN_MOST + 1] = {
    let mut rates = [0; SEEN_MOST + 1];
    let mut seen = 0;
    while seen <= SEEN_MOST {
        rates[seen] = 2 * WHOLE / (2 * seen as u32 + 3);
        seen += 1;
    }
    rates
};

impl Bit {
    const UNKNOWN: Bit = Bit { no: (WHOLE / 2) as u16, seen: 0 };

    fn learn(&mut self, yes: bool) {
        let (no, rate) = (u32::from(self.no), RATES[usize::from(self.seen)]);
        let no = if yes { no - ((no * rate) >> 16) } else { no + (((WHOLE - no) * rate) >> 16) };
        self.no = no.clamp(LEAST, WHOLE - LEAST) as u16;
        self.seen = (self.seen + 1).min(SEEN_MOST as u8);
    }
}

impl Default for Bit {
    fn default() -> Bit {
        Bit::UNKNOWN
    }
}

/// Below this, a byte of the range is settled.
const NARROW: u32 = 1 << 24;

pub struct Encoder {
    low: u64,
    range: u32,
    /// A byte that may still grow by one, and how many follow it that would overflow then.
    held: u8,
    waiting: usize,
    begun: bool,
    bytes: Vec<u8>,
}

impl Encoder {
    /// Writes behind these bytes.
    pub fn new(bytes: Vec<u8>) -> Encoder {
        Encoder { low: 0, range: u32::MAX, held: 0, waiting: 1, begun: false, bytes }
    }

    fn settle(&mut self) {
        while self.range < NARROW {
            self.range <<= 8;
            self.shift();
        }
    }

    fn shift(&mut self) {
        if self.low < 0xff00_0000 || self.low > u64::from(u32::MAX) {
            let carry = (self.low >> 32) as u8;
            // The whole is less than one: there is nothing before its first byte.
            if self.begun {
                self.bytes.push(self.held.wrapping_add(carry));
            }
            self.begun = true;
            (1..self.waiting).for_each(|_| self.bytes.push(0xff_u8.wrapping_add(carry)));
            (self.waiting, self.held) = (0, (self.low >> 24) as u8);
        }
        self.waiting += 1;
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    /// The shortest bytes that mean all that was put, with zeros behind them.
    pub fn finish(mut self) -> Vec<u8> {
        let high = self.low + u64::from(self.range) - 1;
        let round = |bits: u32| high >> bits << bits;
        let bits = (0..32).rev().find(|bits| round(*bits) >= self.low).unwrap_or(0);
        self.low = round(bits);
        (0..5).for_each(|_| self.shift());
        let zeros = self.bytes.iter().rev().take(TRIMMED).take_while(|byte| **byte == 0).count();
        self.bytes.truncate(self.bytes.len() - zeros);
        self.bytes
    }
}

/// Zeros at the end that are not written.
const TRIMMED: usize = 4;

pub struct Decoder<'a> {
    code: u32,
    range: u32,
    rest: &'a [u8],
    /// Bytes that were read behind the end.
    beyond: usize,
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        let mut decoder = Decoder { code: 0, range: u32::MAX, rest: bytes, beyond: 0 };
        (0..4).for_each(|_| decoder.code = decoder.code << 8 | decoder.next_byte());
        decoder
    }

    fn next_byte(&mut self) -> u32 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                u32::from(*byte)
            }
            None => {
                self.beyond += 1;
                0
            }
        }
    }

    fn settle(&mut self) {
        while self.range < NARROW {
            self.range <<= 8;
            self.code = self.code << 8 | self.next_byte();
        }
    }
}

/// Either side: what is put comes back from the encoder, and the decoder says what was put.
pub trait Coder {
    fn bit(&mut self, model: &mut Bit, yes: bool) -> bool;
    /// One of both, equally likely.
    fn even(&mut self, yes: bool) -> bool;
    fn check(&self) -> Result<()>;

    /// A number below `1 << bits`, whose models are as many.
    fn tree(&mut self, models: &mut [Bit], bits: u32, value: u32) -> u32 {
        let mut node = 1;
        for bit in (0..bits).rev() {
            let yes = self.bit(&mut models[node], value >> bit & 1 == 1);
            node = node << 1 | usize::from(yes);
        }
        node as u32 & ((1 << bits) - 1)
    }

    fn byte(&mut self, models: &mut [Bit; 256], value: u8) -> Result<u8> {
        let byte = self.tree(models, 8, u32::from(value)) as u8;
        self.check().map(|()| byte)
    }

    /// Any number: its width, and what follows its highest bit.
    fn number(&mut self, models: &mut Number, value: u32) -> Result<u32> {
        let width = self.tree(&mut models.width, 6, 32 - value.leading_zeros()).min(32);
        let (mut read, mut node) = (u32::from(width > 0), 1);
        for bit in (0..width.saturating_sub(1)).rev() {
            let yes = value >> bit & 1 == 1;
            let yes =
                if node < LEARNED { self.bit(&mut models.next[width as usize][node], yes) } else { self.even(yes) };
            node = node << 1 | usize::from(yes);
            read = read << 1 | u32::from(yes);
        }
        self.check().map(|()| read)
    }
}

/// Of the bits after the highest, those that are learned: two.
const LEARNED: usize = 4;

#[derive(Clone)]
pub struct Number {
    width: [Bit; 64],
    next: [[Bit; LEARNED]; 33],
}

impl Default for Number {
    fn default() -> Number {
        Number { width: [Bit::UNKNOWN; 64], next: [[Bit::UNKNOWN; LEARNED]; 33] }
    }
}

impl Coder for Encoder {
    fn bit(&mut self, model: &mut Bit, yes: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(model.no);
        if yes {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        model.learn(yes);
        self.settle();
        yes
    }

    fn even(&mut self, yes: bool) -> bool {
        self.range >>= 1;
        self.low += if yes { u64::from(self.range) } else { 0 };
        self.settle();
        yes
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(model.no);
        let yes = self.code >= bound;
        if yes {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        model.learn(yes);
        self.settle();
        yes
    }

    fn even(&mut self, _: bool) -> bool {
        self.range >>= 1;
        let yes = self.code >= self.range;
        self.code -= if yes { self.range } else { 0 };
        self.settle();
        yes
    }

    /// Four bytes are read ahead, and as many may be left out.
    fn check(&self) -> Result<()> {
        if self.beyond > 4 + TRIMMED { Err(Fault::Damaged("a change ends early")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coded(coder: &mut impl Coder, values: &[(u32, u8)]) -> Vec<(u32, u8)> {
        let (mut number, mut letters) = (Number::default(), [Bit::UNKNOWN; 256]);
        let code = |(value, letter): &(u32, u8)| {
            (coder.number(&mut number, *value).unwrap(), coder.byte(&mut letters, *letter).unwrap())
        };
        values.iter().map(code).collect()
    }

    proptest! {
        #[test]
        fn what_is_put_comes_back(values in prop::collection::vec((any::<u32>(), 0_u32..33, any::<u8>()), 0..600)) {
            let values: Vec<(u32, u8)> = values.into_iter()
                .map(|(value, shift, letter)| (value.checked_shr(shift).unwrap_or(0), letter)).collect();
            let mut encoder = Encoder::new(vec![7]);
            coded(&mut encoder, &values);
            let bytes = encoder.finish();
            prop_assert_eq!(bytes[0], 7);
            prop_assert_eq!(coded(&mut Decoder::new(&bytes[1..]), &values.iter().map(|_| (0, 0)).collect::<Vec<_>>()), values);
        }
    }

    #[test]
    fn what_is_likely_is_short_and_what_has_no_end_is_refused() {
        let mut encoder = Encoder::new(Vec::new());
        coded(&mut encoder, &vec![(5, b'a'); 4_000]);
        let bytes = encoder.finish();
        assert!(bytes.len() < 200, "{}", bytes.len());
        let (mut decoder, mut number) = (Decoder::new(&[1, 2, 3]), Number::default());
        assert!((0..100_000).any(|_| decoder.number(&mut number, 0).is_err()));
    }
}

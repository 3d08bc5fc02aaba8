//! What a loss of power takes.

/// Which of the writes since a file's last sync are on the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// None of them.
    Everything,
    /// All: it was only the process that ended.
    Nothing,
    /// Some, chosen by this seed; of some, only some sectors.
    Some(u64),
}

/// A choice after a choice, the same for the same seed (xorshift).
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn of(seed: u64) -> Choices {
        Choices(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

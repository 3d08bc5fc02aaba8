/// What a picture may be, and what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The picture as it was sent.
    pub file_bytes: usize,
    /// Width times height.
    pub pixels: u64,
    /// Width, and height.
    pub side_px: u32,
    /// What decoding holds in memory, as far as a picture's head tells.
    pub decoding_bytes: u64,
    /// The longer side of a thumbnail. A smaller picture is not made larger.
    pub thumbnail_px: u32,
    /// Of a thumbnail that is a JPEG, 1 to 100.
    pub quality: u8,
}

impl Default for Limits {
    /// What the package directory takes: whatever a phone sends, unless it was told to make the largest it can.
    fn default() -> Self {
        Self {
            file_bytes: 6_000_000,
            pixels: 25_000_000,
            side_px: 16_384,
            decoding_bytes: 176 << 20,
            thumbnail_px: 640,
            quality: 80,
        }
    }
}

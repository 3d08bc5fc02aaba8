use std::fmt;

/// Why a picture is not taken. As text, it is what its sender reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No bytes at all.
    Empty,
    /// Nothing that begins as a picture does.
    NoPicture,
    /// Something well known that is not taken, with its article.
    OtherFormat(&'static str),
    /// It moves.
    Animated,
    /// Its end is missing.
    Truncated,
    /// It says that it is a picture, and is none.
    Damaged,
    /// As a file.
    TooManyBytes {
        /// What it has.
        bytes: usize,
        /// What it may have.
        most: usize,
    },
    /// Once decoded.
    TooManyPixels {
        /// What its head says.
        width: u32,
        /// What its head says.
        height: u32,
        /// How many there may be, of a picture like this.
        most: u64,
    },
    /// One side of it.
    TooLong {
        /// The longer side.
        px: u32,
        /// What it may have.
        most: u32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("This picture is an empty file."),
            Self::NoPicture => f.write_str("This file is not a picture. JPEG, PNG and WebP are taken."),
            Self::OtherFormat(what) => write!(f, "This file is {what}. JPEG, PNG and WebP are taken."),
            Self::Animated => f.write_str("This picture is animated, and only still ones are taken."),
            Self::Truncated => f.write_str("This picture is cut off: its end is missing. Perhaps send it again."),
            Self::Damaged => f.write_str("This picture is damaged and cannot be shown."),
            Self::TooManyBytes { bytes, most } => {
                write!(
                    f,
                    "This picture has {} MB, and at most {} can be taken.",
                    tenths(*bytes as u64),
                    tenths(*most as u64)
                )
            }
            Self::TooManyPixels { width, height, most } => {
                let pixels = u64::from(*width) * u64::from(*height);
                let (pixels, most) = (tenths(pixels), tenths(*most));
                write!(
                    f,
                    "This picture is {width} × {height}: {pixels} megapixels, and at most {most} of its kind can be taken."
                )
            }
            Self::TooLong { px, most } => {
                write!(f, "This picture is {px} pixels long, and at most {most} can be taken.")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// Millions with one decimal, rounded down.
fn tenths(units: u64) -> String {
    let tenths = units / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

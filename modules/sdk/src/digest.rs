//! A name for content that gives the content away to nobody: SHA-256.

use sha2::{Digest, Sha256};

use crate::hex;

/// 64 hexadecimal digits, the same for the same bytes.
///
/// What nobody can guess, such as a [`random::id`](crate::random::id), cannot be found from them: so a table can tell
/// visitors apart without holding what they prove themselves by. What can be guessed, such as an e-mail address, can.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_sha256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::hex(b"abc"), expected);
    }
}

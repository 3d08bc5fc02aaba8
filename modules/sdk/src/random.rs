//! Chance that nobody can guess. A page that uses it is never kept: what was drawn for one visitor is not for the next.

/// So many bytes, from the host's secure source.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// A name that nobody has: 128 bits, as 32 hexadecimal digits.
#[must_use]
pub fn id() -> String {
    crate::hex::encode(&bytes::<16>())
}

#[cfg(target_family = "wasm")]
fn fill(bytes: &mut [u8]) {
    let drawn = crate::bindings::wasi::random::random::get_random_bytes(bytes.len() as u64);
    bytes.copy_from_slice(&drawn);
}

/// For tests, which run on the machine at hand.
#[cfg(not(target_family = "wasm"))]
fn fill(bytes: &mut [u8]) {
    use std::io::Read;

    let drawn = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(bytes));
    drawn.expect("BUG: this machine has no /dev/urandom");
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_differ() {
        let (one, other) = (super::id(), super::id());
        assert!(one.len() == 32 && one.bytes().all(|digit| digit.is_ascii_hexdigit()) && one != other);
    }
}

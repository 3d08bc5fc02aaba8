//! Lists of page numbers as records have them: runs, each the gap before it and its length less one, as LEB128 numbers.

/// Writes ascending page numbers. `next` is where the first gap is counted from.
pub(super) fn write(mut next: u32, numbers: &[u32], out: &mut Vec<u8>) {
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let length = rest.iter().zip(*first..).take_while(|(number, expected)| **number == *expected).count();
        number(first - next, out);
        number(length as u32 - 1, out);
        next = first + length as u32;
        rest = &rest[length..];
    }
}

/// Reads so many page numbers from the front of `bytes`, all below `end`. None if they are not written as above.
pub(super) fn read(mut next: u32, most: usize, end: u32, bytes: &mut &[u8], out: &mut Vec<u32>) -> Option<()> {
    out.clear();
    while out.len() < most && !bytes.is_empty() {
        let gap = take(bytes)?;
        // Runs that touch are one run: every list has one way to be written.
        if gap == 0 && !out.is_empty() {
            return None;
        }
        let first = next.checked_add(gap)?;
        let length = take(bytes)?.checked_add(1)?;
        let after = first.checked_add(length).filter(|after| *after <= end)?;
        if length as usize > most - out.len() {
            return None;
        }
        out.extend(first..after);
        next = after;
    }
    Some(())
}

fn number(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0u64;
    for at in 0..5 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // A last byte of zero adds nothing, and would be another way to write the number.
            let is_plain = *byte != 0 || at == 0;
            return u32::try_from(number).ok().filter(|_| is_plain);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers: BTreeSet<u32>, start in 0u32..100) {
            let numbers: Vec<u32> = numbers.into_iter().map(|number| number % 5_000).filter(|n| *n >= start).collect::<BTreeSet<_>>().into_iter().collect();
            let mut bytes = Vec::new();
            write(start, &numbers, &mut bytes);
            let mut read_back = Vec::new();
            let mut rest = &bytes[..];
            prop_assert!(read(start, numbers.len(), 5_000, &mut rest, &mut read_back).is_some());
            prop_assert_eq!((read_back, rest.len()), (numbers, 0));
        }

        #[test]
        fn whatever_is_read_is_written_so(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let (mut numbers, mut rest) = (Vec::new(), &bytes[..]);
            if read(7, 300, 10_000, &mut rest, &mut numbers).is_some() {
                let mut again = Vec::new();
                write(7, &numbers, &mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}

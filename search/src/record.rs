//! A change as the log has it: the documents it tells of, and what it says of each term. It is coded tightly: the log is what
//! every push carries, and it is read once a release.

use std::cmp::Ordering;

use crate::{
    batch::Said,
    bytes::{Bytes, put_varint},
    coder::{Bit, Coder, Decoder, Encoder, Number},
    documents::Told,
    fault::{Fault, Result},
    limits,
    options::Shape,
    posting::{self, Postings},
};

/// What is learned on the way through a record.
struct Models {
    step: Number,
    gone: Bit,
    length: [Bit; 256],
    shared: Number,
    rest: Number,
    letters: [[Bit; 256]; LETTERS],
    postings: Number,
    more: [Number; 4],
    ahead: [Number; AHEAD],
    columns: Vec<Column>,
}

#[derive(Clone, Default)]
struct Column {
    /// Whether a word is in it: where it was in none before it, and where it was in some.
    has: [Bit; 2],
    count: Number,
    place: Number,
    gap: Number,
}

/// Kinds of letters; the next letter is expected by the kind of the one before it.
const LETTERS: usize = 5;
/// Kinds of lists by how many postings they have; how far ahead the next one is depends on it.
const AHEAD: usize = 10;

fn kind(before: Option<&u8>) -> usize {
    match before {
        None => 0,
        Some(b'a' | b'e' | b'i' | b'o' | b'u' | b'y') => 1,
        Some(b'a'..=b'z') => 2,
        Some(b'0'..=b'9') => 3,
        Some(_) => 4,
    }
}

impl Models {
    fn new(shape: Shape) -> Models {
        Models {
            step: Number::default(),
            gone: Bit::default(),
            length: [Bit::default(); 256],
            shared: Number::default(),
            rest: Number::default(),
            letters: [[Bit::default(); 256]; LETTERS],
            postings: Number::default(),
            more: Default::default(),
            ahead: Default::default(),
            columns: vec![Column::default(); shape.columns],
        }
    }

    fn told(&mut self, coder: &mut impl Coder, step: u32, length: Option<u8>) -> Result<(u32, Option<u8>)> {
        let step = coder.number(&mut self.step, step)?;
        let gone = coder.bit(&mut self.gone, length.is_none());
        let length = if gone { None } else { Some(coder.byte(&mut self.length, length.unwrap_or(0))?) };
        Ok((step, length))
    }

    /// The next term after `term`, which becomes it; `next` is it for the encoder.
    fn term(&mut self, coder: &mut impl Coder, term: &mut Vec<u8>, next: &[u8]) -> Result<()> {
        let shared = term.iter().zip(next).take_while(|(one, other)| one == other).count();
        let read = coder.number(&mut self.shared, shared as u32)? as usize;
        let rest = coder.number(&mut self.rest, (next.len() - shared) as u32)? as usize;
        if read > term.len() || rest == 0 || read + rest > TERM_MOST {
            return Err(Fault::Damaged("a word of a change"));
        }
        let before = term.get(read).copied();
        term.truncate(read);
        for at in 0..rest {
            let kind = kind(term.last());
            let letter = next.get(read + at).copied().unwrap_or(0);
            term.push(coder.byte(&mut self.letters[kind], letter)?);
        }
        match before.map_or(Ordering::Less, |before| before.cmp(&term[read])) {
            Ordering::Less => Ok(()),
            _ => Err(Fault::Damaged("words of a change are out of order")),
        }
    }

    fn counts(&mut self, coder: &mut impl Coder, counts: &mut [u32]) -> Result<()> {
        let (mut some, last) = (false, counts.len() - 1);
        for (column, count) in counts.iter_mut().enumerate() {
            let models = &mut self.columns[column];
            // In the last one, if in no other.
            let has = (column == last && !some) || coder.bit(&mut models.has[usize::from(some)], *count > 0);
            *count = if has { coder.number(&mut models.count, count.saturating_sub(1))?.saturating_add(1) } else { 0 };
            if *count > limits::DOCUMENT_TOKENS {
                return Err(Fault::Damaged("a word occurs too often"));
            }
            some |= has;
        }
        Ok(())
    }
}

/// A tag's or a number's column and kind stand before what else is bounded.
const TERM_MOST: usize = limits::TERM_BYTES + 16;

fn ahead_of(postings: u32) -> usize {
    (32 - postings.leading_zeros()).min(AHEAD as u32 - 1) as usize
}

fn folded(more: i64) -> u32 {
    (more << 1 ^ more >> 63) as u32
}

fn unfolded(more: u32) -> i64 {
    i64::from(more >> 1) ^ -i64::from(more & 1)
}

/// A change's bytes; terms and documents by their order.
pub fn write(told: &[Told], said: &[Said], shape: Shape) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    put_varint(&mut head, told.len() as u64);
    put_varint(&mut head, said.len() as u64);
    let (mut coder, mut models) = (Encoder::new(head), Models::new(shape));
    let mut next = 0;
    for (document, length) in told {
        models.told(&mut coder, document - next, *length)?;
        next = document + 1;
    }
    let there: Vec<u32> = told.iter().filter(|(_, length)| length.is_some()).map(|(document, _)| *document).collect();
    let (mut term, mut list, mut counts) = (Vec::new(), Postings::default(), vec![0; shape.columns]);
    for one in said {
        models.term(&mut coder, &mut term, &one.term)?;
        list.clear();
        posting::read_all(&one.postings, shape, &mut list)?;
        let many = list.len() as u32;
        coder.number(&mut models.postings, many)?;
        coder.number(&mut models.more[list.len().min(3)], folded(one.more))?;
        let mut next = 0;
        for index in 0..list.len() {
            let found = there.binary_search(&list.documents[index]);
            let at = found.map_err(|_| Fault::Damaged("a word of a document that is not there"))?;
            coder.number(&mut models.ahead[ahead_of(many)], (at - next) as u32)?;
            next = at + 1;
            counts.copy_from_slice(list.counts_of(index, shape.columns));
            models.counts(&mut coder, &mut counts)?;
            if shape.positions {
                let mut places = Bytes::new(list.places_of(index));
                each_place(&counts, |column, is_first| {
                    let models = &mut models.columns[column];
                    let model = if is_first { &mut models.place } else { &mut models.gap };
                    coder.number(model, places.varint32()?).map(drop)
                })?;
            }
        }
    }
    Ok(coder.finish())
}

fn each_place(counts: &[u32], mut each: impl FnMut(usize, bool) -> Result<()>) -> Result<()> {
    for (column, count) in counts.iter().enumerate() {
        (0..*count).try_for_each(|place| each(column, place == 0))?;
    }
    Ok(())
}

/// What a change tells and says, from its bytes.
pub fn read(record: &[u8], shape: Shape) -> Result<(Vec<Told>, Vec<Said>)> {
    let mut bytes = Bytes::new(record);
    let (documents, terms) = (bytes.varint()?, bytes.varint()?);
    let (mut coder, mut models) = (Decoder::new(bytes.take(bytes.len())?), Models::new(shape));
    let (mut told, mut there, mut next) = (Vec::new(), Vec::new(), 0_u32);
    let mut left = Left(limits::RECORD_READ_BYTES);
    for _ in 0..documents {
        left.take(size_of::<Told>())?;
        let (step, length) = models.told(&mut coder, 0, None)?;
        let document = next.checked_add(step).filter(|document| *document < u32::MAX);
        let document = document.ok_or(Fault::Damaged("a document id"))?;
        told.push((document, length));
        there.extend(length.map(|_| document));
        next = document + 1;
    }
    let (mut said, mut term, mut counts) = (Vec::new(), Vec::new(), vec![0; shape.columns]);
    for _ in 0..terms {
        models.term(&mut coder, &mut term, &[])?;
        let many = coder.number(&mut models.postings, 0)?;
        let more = unfolded(coder.number(&mut models.more[many.min(3) as usize], 0)?);
        let (mut postings, mut before, mut next, mut places) = (Vec::new(), None, 0_usize, Vec::new());
        for _ in 0..many {
            let at = next + coder.number(&mut models.ahead[ahead_of(many)], 0)? as usize;
            let document = *there.get(at).ok_or(Fault::Damaged("a word of a document that is not there"))?;
            next = at + 1;
            counts.fill(0);
            models.counts(&mut coder, &mut counts)?;
            places.clear();
            if shape.positions {
                each_place(&counts, |column, is_first| {
                    let models = &mut models.columns[column];
                    let model = if is_first { &mut models.place } else { &mut models.gap };
                    left.take(1)?;
                    put_varint(&mut places, u64::from(coder.number(model, 0)?));
                    Ok(())
                })?;
            }
            let was = postings.len();
            posting::put(&mut postings, before, document, &counts, &places);
            left.take(postings.len() - was)?;
            before = Some(document);
        }
        left.take(size_of::<Said>() + term.len())?;
        said.push(Said { term: term.as_slice().into(), more, postings });
    }
    Ok((told, said))
}

/// What a record may still become in memory.
struct Left(usize);

impl Left {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or(Fault::Damaged("a change is too large"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SHAPE: Shape = Shape { columns: 3, positions: true };

    /// Documents, some of them gone, with words of few letters.
    fn any_change() -> impl Strategy<Value = (Vec<Told>, Vec<Said>)> {
        let document = (0_u32..1 << 20, prop::option::weighted(0.8, any::<u8>()));
        let word = ("[a-c]{1,3}", any::<u32>());
        (prop::collection::vec(document, 1..40), prop::collection::vec(word, 0..120)).prop_map(|(steps, words)| {
            let told: Vec<Told> = steps
                .into_iter()
                .scan(0, |next, (step, length)| {
                    let document = *next + step;
                    *next = document + 1;
                    Some((document, length))
                })
                .collect();
            let words: BTreeMap<String, u32> = words.into_iter().collect();
            let said = words.into_iter().map(|(word, seed)| {
                let (mut postings, mut before, mut state) = (Vec::new(), None, seed);
                for (document, length) in &told {
                    state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                    if length.is_none() || state >> 30 != 0 {
                        continue;
                    }
                    let counts = [state & 1, state >> 3 & 3, u32::from(state & 25 == 0)];
                    let mut places = Vec::new();
                    (0..counts.iter().sum::<u32>()).for_each(|_| put_varint(&mut places, u64::from(state >> 17)));
                    posting::put(&mut postings, before, *document, &counts, &places);
                    before = Some(*document);
                }
                Said { term: word.into_bytes().into(), more: i64::from(seed >> 27) - 9, postings }
            });
            // A posting is in some column.
            let said = said.filter(|one| posting::read_all(&one.postings, SHAPE, &mut Postings::default()).is_ok());
            (told.clone(), said.collect())
        })
    }

    proptest! {
        #[test]
        fn changes_come_back((told, said) in any_change()) {
            let bytes = write(&told, &said, SHAPE).unwrap();
            prop_assert_eq!(read(&bytes, SHAPE).unwrap(), (told, said));
        }

        #[test]
        fn damage_is_read_or_refused((told, said) in any_change(), at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
            let mut bytes = write(&told, &said, SHAPE).unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = with }
            let _ = read(&bytes, SHAPE);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), positions in any::<bool>()) {
            let _ = read(&bytes, Shape { columns: 2, positions });
        }
    }
}

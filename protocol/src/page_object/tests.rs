use proptest::prelude::*;

use super::*;
use crate::digest::{Digest, PageTree};

type Pages = Vec<Page>;

fn root(pages: &Pages) -> Digest {
    let mut tree = PageTree::default();
    pages.iter().for_each(|page| tree.add(page));
    tree.root()
}

/// Pages that differ from one another, with bytes that compress and bytes that do not.
fn pages(count: usize, seed: u8) -> Pages {
    (0..count)
        .map(|page| {
            let noise = blake3::hash(&[seed, page as u8]);
            std::array::from_fn(|at| if at % 64 < 32 { noise.as_bytes()[at % 32] } else { at as u8 })
        })
        .collect()
}

fn base(new: &Pages) -> Vec<u8> {
    let mut writer = Writer::new(None, root(new), new.len() as u32);
    (0..).zip(new).for_each(|(number, page)| writer.add(number, page, None));
    writer.finish()
}

fn delta(old: &Pages, new: &Pages) -> Vec<u8> {
    let mut writer = Writer::new(Some(root(old)), root(new), new.len() as u32);
    for (number, page) in new.iter().enumerate() {
        if old.get(number) != Some(page) {
            writer.add(number as u32, page, old.get(number));
        }
    }
    writer.finish()
}

/// Applies an object that comes in pieces of the given size.
fn apply(old: Option<&Pages>, to: Digest, count: usize, object: &[u8], piece: usize) -> Result<Pages, Broken> {
    let mut made = old.cloned().unwrap_or_default();
    made.resize(count, [0; PAGE_BYTES]);
    let mut reader = Reader::new(old.map(root), to, count as u32);
    for piece in object.chunks(piece) {
        reader.take(
            piece,
            |number, page| match old.and_then(|old| old.get(number as usize)) {
                Some(before) => {
                    *page = *before;
                    Ok(())
                }
                None => Err(Broken::Record(number)),
            },
            |number, page| {
                made[number as usize] = *page;
                Ok(())
            },
        )?;
    }
    reader.finish()?;
    Ok(made)
}

#[test]
fn a_base_and_a_delta_give_back_what_they_were_made_of() {
    let old = pages(600, 1);
    assert_eq!(apply(None, root(&old), 600, &base(&old), 1_000).unwrap(), old);
    for count in [1, 599, 600, 700] {
        let mut new = pages(count, 1);
        for (at, page) in new.iter_mut().enumerate().filter(|(at, _)| at % 50 == 7) {
            page[at % PAGE_BYTES] ^= 0x55;
        }
        let object = delta(&old, &new);
        assert_eq!(apply(Some(&old), root(&new), count, &object, 777).unwrap(), new, "{count}");
    }
}

#[test]
fn a_small_edit_is_a_few_bytes_a_page() {
    let old = pages(400, 2);
    let mut new = old.clone();
    (0..200).for_each(|page| new[page][1_234] ^= 1);
    let bytes = delta(&old, &new).len();
    assert!(bytes < 200 * 60, "{bytes} bytes for 200 pages with one changed byte each");
}

#[test]
fn the_wrong_snapshot_is_refused_before_its_first_page() {
    let (old, new) = (pages(3, 1), pages(3, 2));
    let object = delta(&old, &new);
    let nothing = |_: u32, _: &Page| -> Result<(), Broken> { panic!("a page was decoded") };
    let old_page = |_: u32, _: &mut Page| Ok(());
    let refused = |mut reader: Reader| reader.take(&object, old_page, nothing).unwrap_err();
    assert_eq!(refused(Reader::new(Some(root(&new)), root(&new), 3)), Broken::OtherFrom);
    assert_eq!(refused(Reader::new(None, root(&new), 3)), Broken::OtherFrom);
    assert_eq!(refused(Reader::new(Some(root(&old)), root(&old), 3)), Broken::OtherTo);
    assert_eq!(refused(Reader::new(Some(root(&old)), root(&new), 4)), Broken::OtherTo);
}

#[test]
fn each_break_of_the_format_is_told() {
    let new = pages(3, 1);
    let object = base(&new);
    let apply = |object: &[u8]| apply(None, root(&new), 3, object, 64).unwrap_err();
    let changed = |at: usize, to: u8| {
        let mut changed = object.clone();
        changed[at] = to;
        apply(&changed)
    };
    assert_eq!(apply(b""), Broken::CutShort(0));
    assert_eq!(changed(0, b'X'), Broken::NotPages);
    assert_eq!(changed(4, 9), Broken::Future(9));
    assert_eq!(changed(12, 7), Broken::Head);
    assert_eq!(changed(HEAD_BYTES, 1), Broken::Record(1), "a base that begins with page 1");
    assert_eq!(changed(HEAD_BYTES + 4, 9), Broken::Record(0), "more pages than there are");
    assert_eq!(changed(HEAD_BYTES + 6, 2), Broken::Record(0), "an old page where there is none");
    assert_eq!(changed(HEAD_BYTES + RECORD_HEAD_BYTES, 0), Broken::Data(0));
    assert_eq!(apply(&object[..object.len() - 1]), Broken::CutShort(1));
    assert_eq!(apply(&[&object[..], b"x"].concat()), Broken::TooLong);
}

proptest! {
    #[test]
    fn damaged_objects_never_do_more_than_fail(at in 0usize..4_000, to: u8, cut in 0usize..4_000, piece in 1usize..500) {
        let (old, mut new) = (pages(20, 3), pages(22, 3));
        new[5][9] ^= 1;
        let mut object = delta(&old, &new);
        let length = object.len();
        object[at % length] = to;
        object.truncate(length - cut % length);
        // Whatever comes out is held against the root by whoever asked.
        let _ = apply(Some(&old), root(&new), new.len(), &object, piece);
    }
}

//! What the fuzz targets begin with: whole manifests and page objects, written to the folder given.

use std::{fs, io, path::Path};

use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    page_object::{HEAD_BYTES, Page, RecordMaker, Records, Similar, Snapshot, Told, Which, Writer, Written},
    release::{BaseOffer, DatabaseId, DeltaOffer, FORMAT, Manifest, ReleaseId, SignedManifest},
    voucher::AppVoucher,
};

const OLD_PAGES: u32 = 24;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "protocol/fuzz/corpus".into());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder.join("manifest"))?;
    fs::create_dir_all(folder.join("page_object"))?;
    let signed = SignedManifest::sign(&manifest(), &SecretKey::from_seed([2; 32]));
    fs::write(folder.join("manifest/text"), &signed.manifest)?;
    fs::write(folder.join("manifest/signed"), serde_json::to_vec(&signed)?)?;

    // As the target has them: the first byte says whether there are old pages, and how many new ones.
    let (from, small) = (snapshot(b"from", OLD_PAGES), snapshot(b"to", 3));
    let large = snapshot(b"to", 300);
    write(folder, "base", 0, base(small)?)?;
    write(folder, "base-large", 2, base(large)?)?;
    write(folder, "delta", 1, delta(from, small)?)?;
    write(folder, "delta-large", 3, delta(from, large)?)?;
    write(folder, "rebuilt", 3, rebuilt(from, large)?)
}

/// Without its head, which the target makes.
fn write(folder: &Path, name: &str, choice: u8, object: Written<Vec<u8>>) -> io::Result<()> {
    fs::write(folder.join("page_object").join(name), [&[choice], &object.out[HEAD_BYTES..]].concat())
}

fn snapshot(root: &[u8], pages: u32) -> Snapshot {
    Snapshot { root: Digest::of(root), pages }
}

fn old(number: u32) -> Page {
    std::array::from_fn(|at| (at as u32 * 31 / (number + 1)) as u8)
}

fn new(number: u32) -> Page {
    let mut page = old(number / 3 % OLD_PAGES);
    page.rotate_left(number as usize);
    page
}

fn base(to: Snapshot) -> io::Result<Written<Vec<u8>>> {
    let mut writer = Writer::base(Vec::new(), to)?;
    (0..to.pages).try_for_each(|number| writer.add(number, &new(number), None))?;
    writer.finish()
}

fn delta(from: Snapshot, to: Snapshot) -> io::Result<Written<Vec<u8>>> {
    let mut writer = Writer::delta(Vec::new(), from, to)?;
    for number in (0..to.pages).filter(|number| number % 5 != 1 || *number >= from.pages) {
        let before = (number < from.pages).then(|| old(number));
        writer.add(number, &new(number), before.as_ref())?;
    }
    writer.finish()
}

fn rebuilt(from: Snapshot, to: Snapshot) -> io::Result<Written<Vec<u8>>> {
    let read = |number: u32, page: &mut Page| {
        *page = old(number);
        Ok::<_, io::Error>(())
    };
    let similar = Similar::of(from.pages, read)?;
    let which = Which::All(to.pages);
    let mut maker = RecordMaker::new(which, Told::FromSimilar(&similar), from.pages);
    let mut records = Records::begin(Vec::new(), Some(from), to)?;
    for record in 0..which.records() {
        let made =
            maker.make(record, |number, page| fill(page, new(number)), |number, page| fill(page, old(number)))?;
        records.add(&made)?;
    }
    records.end()
}

fn fill(page: &mut Page, content: Page) -> io::Result<()> {
    *page = content;
    Ok(())
}

fn manifest() -> Manifest {
    let (key, digest, release) = (SecretKey::from_seed([1; 32]), Digest::of(b"app"), ReleaseId { epoch: 1, seq: 2 });
    Manifest {
        format: FORMAT,
        app: "shop".into(),
        database: DatabaseId("d".into()),
        release,
        parent: Some(release),
        created_at_ms: 1,
        applied_commit: 3,
        page_count: 4,
        root: Digest::of(b"root"),
        rolled_back_to: Some(release),
        candidate: None,
        deltas: vec![DeltaOffer { from_release: release, from: digest, pages: 2, bytes: 100 }],
        base: Some(BaseOffer { release, root: digest, page_count: 4, bytes: 900 }),
        app_digest: digest,
        app_archive_bytes: 5,
        app_vouched: AppVoucher::sign("shop", &digest, &key),
        variables: [("A".to_owned(), "b".to_owned())].into(),
        secrets: Some(digest),
        fingerprint: digest,
    }
}

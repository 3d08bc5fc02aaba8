//! Page objects made out of tables of the page store: what a release costs to send.
//!
//! An object is written as a stream, and its records are made side by side, so that memory does not grow with it. Which way
//! is the smallest is found out by making some records of each: making all of them would take as long again.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    sync::mpsc::sync_channel,
};

use nearside_host::pages::{PagesError, Table};
use nearside_protocol::{
    limits,
    page_object::{self, MadeRecord, RecordMaker, Records, Similar, Snapshot, Told, Which, Written},
};

/// How an object came to be the smallest there was, for the log and the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The pages that differ, told from those they take the place of.
    Delta,
    /// The pages that differ, told from those whose content they have: the file was made anew.
    Moved,
    /// Every page, because so little of the release before is of use.
    Base,
    /// Nothing: the pages are those of the release before.
    Nothing,
}

impl Chosen {
    pub fn name(self) -> &'static str {
        match self {
            Chosen::Delta => "page delta",
            Chosen::Moved => "moved pages",
            Chosen::Base => "base",
            Chosen::Nothing => "no pages",
        }
    }
}

/// Whether someone waits for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    Awaited,
    /// One core is enough.
    Beside,
}

/// What makes `to` out of `from`, the smallest way there is, or a base where that is smaller. Nothing is written when the
/// pages are the same.
pub fn smallest(from: &Table, to: &Table, out: File) -> Result<(Chosen, Written<File>), PagesError> {
    if from.root() == to.root() {
        return Ok((Chosen::Nothing, Written { out, pages: 0, bytes: 0 }));
    }
    let changed = to.changed_since(from);
    let job = Job::of(from, to, &changed)?;
    let chosen = job.choose(may_be_a_base(changed.len(), to.pages()))?;
    Ok((chosen, buffered(out, |out| job.write(chosen, out, Haste::Awaited))?))
}

/// The pages of `to` that are not those of `from`, the smaller way.
pub fn delta<W: Write>(from: &Table, to: &Table, out: W) -> Result<Written<W>, PagesError> {
    let changed = to.changed_since(from);
    let job = Job::of(from, to, &changed)?;
    let chosen = job.choose(false)?;
    buffered(out, |out| job.write(chosen, out, Haste::Awaited))
}

/// Every page.
pub fn base<W: Write>(of: &Table, out: W, haste: Haste) -> Result<Written<W>, PagesError> {
    let job = Job { from: of, to: of, changed: &[], similar: None };
    buffered(out, |out| job.write(Chosen::Base, out, haste))
}

/// So much is different that a base, which needs nothing else, may be as small.
fn may_be_a_base(changed: usize, pages: u32) -> bool {
    changed > 64 && changed > pages as usize / 2
}

struct Job<'a> {
    from: &'a Table,
    to: &'a Table,
    changed: &'a [u32],
    /// Of all old pages, when the new ones may be those, elsewhere.
    similar: Option<Similar>,
}

impl<'a> Job<'a> {
    fn of(from: &'a Table, to: &'a Table, changed: &'a [u32]) -> Result<Job<'a>, PagesError> {
        let similar = page_object::is_rebuilt(changed.len() as u32, from.pages())
            .then(|| Similar::of(from.pages(), |number, page| from.read(number, page)))
            .transpose()?;
        Ok(Job { from, to, changed, similar })
    }

    /// The way of which some records, the same share of each, are the smallest.
    fn choose(&self, may_be_a_base: bool) -> Result<Chosen, PagesError> {
        let ways =
            [Some(Chosen::Delta), self.similar.as_ref().map(|_| Chosen::Moved), may_be_a_base.then_some(Chosen::Base)];
        let ways: Vec<Chosen> = ways.into_iter().flatten().collect();
        let [only] = ways[..] else {
            let sizes = ways.iter().map(|way| Ok((self.guess(*way)?, *way))).collect::<Result<Vec<_>, PagesError>>()?;
            let (_, smallest) = sizes.into_iter().min_by_key(|(bytes, _)| *bytes).expect("BUG: there is a way");
            return Ok(smallest);
        };
        Ok(only)
    }

    /// About how many bytes it would be this way.
    fn guess(&self, chosen: Chosen) -> Result<u64, PagesError> {
        let (which, _) = self.told(chosen);
        let all = which.records();
        let some = (all / 8).clamp(limits::ENCODE_SAMPLE_RECORDS_LEAST, limits::ENCODE_SAMPLE_RECORDS).min(all);
        if some == 0 {
            return Ok(0);
        }
        // Spread over the object: tables and indexes stand in different parts of a file.
        let sample: Vec<usize> = (0..some).map(|at| (2 * at + 1) * all / (2 * some)).collect();
        let (mut bytes, mut pages) = (0, 0);
        self.make(chosen, &sample, Haste::Awaited, |record| {
            bytes += record.bytes() as u64;
            pages += u64::from(record.pages());
            Ok(())
        })?;
        Ok(bytes * which.pages() as u64 / pages.max(1))
    }

    fn write<W: Write>(&self, chosen: Chosen, out: W, haste: Haste) -> Result<Written<W>, PagesError> {
        let from = (chosen != Chosen::Base).then(|| snapshot(self.from));
        let mut records = Records::begin(out, from, snapshot(self.to)).map_err(fault)?;
        let all: Vec<usize> = (0..self.told(chosen).0.records()).collect();
        self.make(chosen, &all, haste, |record| records.add(&record).map_err(fault))?;
        records.end().map_err(fault)
    }

    fn told(&self, chosen: Chosen) -> (Which<'_>, Told<'_>) {
        match (chosen, &self.similar) {
            (Chosen::Base, _) => (Which::All(self.to.pages()), Told::Alone),
            (Chosen::Moved, Some(similar)) => (Which::These(self.changed), Told::FromSimilar(similar)),
            _ => (Which::These(self.changed), Told::FromSame),
        }
    }

    /// Makes these records on several threads, and gives them in order.
    fn make(
        &self,
        chosen: Chosen,
        records: &[usize],
        haste: Haste,
        mut each: impl FnMut(MadeRecord) -> Result<(), PagesError>,
    ) -> Result<(), PagesError> {
        let (which, told) = self.told(chosen);
        let maker = || RecordMaker::new(which, told, self.from.pages());
        let make = |maker: &mut RecordMaker<'_>, record: usize| {
            maker.make(record, |number, page| self.to.read(number, page), |number, page| self.from.read(number, page))
        };
        let threads = threads(haste).min(records.len());
        if threads < 2 {
            let mut maker = maker();
            return records.iter().try_for_each(|record| each(make(&mut maker, *record)?));
        }
        std::thread::scope(|scope| {
            let mut lines = Vec::new();
            for thread in 0..threads {
                let (sender, line) = sync_channel::<Result<MadeRecord, PagesError>>(limits::ENCODE_RECORDS_AHEAD);
                lines.push(line);
                scope.spawn(move || {
                    let mut maker = maker();
                    for record in records.iter().skip(thread).step_by(threads) {
                        let made = make(&mut maker, *record);
                        let failed = made.is_err();
                        // Nobody takes it after a failure elsewhere.
                        if sender.send(made).is_err() || failed {
                            return;
                        }
                    }
                });
            }
            (0..records.len())
                .try_for_each(|at| each(lines[at % threads].recv().expect("BUG: a thread gives each of its records")?))
        })
    }
}

fn threads(haste: Haste) -> usize {
    match haste {
        Haste::Beside => 1,
        Haste::Awaited => std::thread::available_parallelism().map_or(1, usize::from).min(limits::ENCODE_THREADS),
    }
}

fn buffered<W: Write>(
    out: W,
    write: impl FnOnce(BufWriter<W>) -> Result<Written<BufWriter<W>>, PagesError>,
) -> Result<Written<W>, PagesError> {
    let Written { out, pages, bytes } = write(BufWriter::new(out))?;
    let out = out.into_inner().map_err(|error| fault(error.into_error()))?;
    Ok(Written { out, pages, bytes })
}

fn snapshot(table: &Table) -> Snapshot {
    Snapshot { root: table.root(), pages: table.pages() }
}

fn fault(error: io::Error) -> PagesError {
    PagesError::Io("an object, while it is made".into(), error)
}

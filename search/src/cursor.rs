//! One term's postings in one segment, in order, with what is known of their impacts ahead.

use crate::{
    bytes::Bytes,
    dictionary::Place,
    documents::{Changes, Documents},
    fault::{Fault, Result},
    limits::{self, RANGE_DOCUMENTS},
    list::{Block, Chunk, Head, Part},
    options::Shape,
    posting::{self, Postings},
    rows::{Rows, chunk_id, places_id},
    score::{Norms, Weights, impact_bound},
};

/// After the last document.
pub const END: u32 = u32::MAX;

/// What all cursors of a segment share.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub rows: &'a dyn Rows,
    pub documents: &'a Documents,
    pub norms: &'a Norms,
    pub weights: &'a Weights,
    pub shape: Shape,
    /// The columns of words, all others being of tags.
    pub text_columns: u32,
    pub segment: u32,
    pub changes: Changes,
    /// The average length of the segment's maxima, and of now.
    pub averages: (f32, f32),
    /// Every document's newest copy is here.
    pub alone: bool,
}

/// How wide a look ahead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Chunk,
    Block,
}

pub struct Cursor<'a> {
    scope: Scope<'a>,
    columns: u32,
    all_columns: bool,
    idf: u64,
    document: u32,
    body: Body,
}

enum Body {
    Short(Short),
    Long(Box<Long>),
}

type RangeBits = [u64; RANGE_DOCUMENTS / 64];

/// What a query may still gather in a segment.
pub struct Room(usize);

impl Default for Room {
    fn default() -> Room {
        Room(limits::QUERY_GATHERED)
    }
}

impl Room {
    fn take(&mut self) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| {
            let most = limits::QUERY_GATHERED;
            let what = format!("what the prefixes and ranges of the query stand for occurs over {most} times together");
            Fault::Refused(format!("{what}: give more letters, or fewer of them"))
        })?;
        Ok(())
    }
}

/// A list that is read: only what counts.
#[derive(Default)]
struct Short {
    documents: Vec<u32>,
    impacts: Vec<u16>,
    at: usize,
    started: bool,
    postings: Postings,
    /// Which posting each document is of.
    origins: Vec<u32>,
}

struct Long {
    list: u32,
    head: Head,
    chunk_at: usize,
    loaded: Option<usize>,
    chunk: Chunk,
    block_at: usize,
    opened: Option<(usize, usize)>,
    block: Block,
    index: usize,
    started: bool,
    places: Places,
}

/// The places of a block, and how far they are read.
#[derive(Default)]
struct Places {
    of: Option<(usize, usize)>,
    row: Vec<u8>,
    index: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn open(scope: Scope<'a>, place: &Place, columns: u32, idf: u64) -> Result<Cursor<'a>> {
        let body = match place {
            Place::Nowhere => Body::Short(Short::default()),
            Place::Here(list) => Body::Short(Short::read(&scope, list, columns)?),
            Place::List(list, _) => Body::Long(Box::new(Long::open(&scope, *list)?)),
        };
        // A word is in no column of tags, and a tag in no other column.
        let text = columns & scope.text_columns;
        let all_columns = text == scope.text_columns || text == 0;
        Ok(Cursor { scope, columns, all_columns, idf, document: 0, body })
    }

    /// Several lists as one; a document has the best impact any of them gives it. One is open at a time.
    pub fn gather<'p>(
        scope: Scope<'a>,
        places: impl Iterator<Item = &'p Place>,
        (columns, idf): (u32, u64),
        room: &mut Room,
    ) -> Result<Cursor<'a>> {
        let cursors = places.map(|place| Cursor::open(scope, place, columns, idf));
        if idf == 0 {
            return Cursor::gather_unscored(scope, cursors, room);
        }
        let mut found: Vec<(u32, u16)> = Vec::new();
        for cursor in cursors {
            let mut cursor = cursor?;
            while cursor.next()? != END {
                room.take()?;
                found.push((cursor.document, cursor.impact()));
            }
        }
        found.sort_unstable_by_key(|(document, impact)| (*document, std::cmp::Reverse(*impact)));
        found.dedup_by_key(|(document, _)| *document);
        let (documents, impacts) = found.into_iter().unzip();
        let body = Body::Short(Short { documents, impacts, ..Short::default() });
        Ok(Cursor { scope, columns: 0, all_columns: true, idf, document: 0, body })
    }

    /// Without scores there is nothing to sort by: a bit a document will do, in those ranges of rowids that are in use.
    fn gather_unscored(
        scope: Scope<'a>,
        cursors: impl Iterator<Item = Result<Cursor<'a>>>,
        room: &mut Room,
    ) -> Result<Cursor<'a>> {
        let mut ranges: Vec<Option<Box<RangeBits>>> = Vec::new();
        for cursor in cursors {
            let mut cursor = cursor?;
            while cursor.next()? != END {
                let (range, at) =
                    (cursor.document as usize / RANGE_DOCUMENTS, cursor.document as usize % RANGE_DOCUMENTS);
                if range >= ranges.len() {
                    ranges.resize_with(range + 1, || None);
                }
                let bits = ranges[range].get_or_insert_with(|| Box::new([0; RANGE_DOCUMENTS / 64]));
                bits[at / 64] |= 1 << (at % 64);
            }
        }
        let mut short = Short::default();
        for (range, bits) in ranges.into_iter().enumerate() {
            for (word, mut bits) in bits.iter().flat_map(|bits| bits.iter()).copied().enumerate() {
                while bits != 0 {
                    room.take()?;
                    short.documents.push((range * RANGE_DOCUMENTS + word * 64) as u32 + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
        short.impacts.resize(short.documents.len(), 0);
        Ok(Cursor { scope, columns: 0, all_columns: true, idf: 0, document: 0, body: Body::Short(short) })
    }

    fn next(&mut self) -> Result<u32> {
        self.seek(if self.started() { self.document + 1 } else { 0 })
    }

    fn started(&self) -> bool {
        match &self.body {
            Body::Short(short) => short.started,
            Body::Long(long) => long.started,
        }
    }

    pub fn document(&self) -> u32 {
        self.document
    }

    /// About how many documents there are.
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Short(short) => short.documents.len(),
            Body::Long(long) => long.head.chunks.len() * 2_000,
        }
    }

    /// To the first document from `target` on. Never backwards.
    #[inline]
    pub fn seek(&mut self, target: u32) -> Result<u32> {
        if self.started() && self.document >= target {
            return Ok(self.document);
        }
        self.document = match &mut self.body {
            Body::Short(short) => short.seek(target),
            Body::Long(long) => long.seek(target, &self.scope, (!self.all_columns).then_some(self.columns))?,
        };
        Ok(self.document)
    }

    pub fn impact(&self) -> u16 {
        match &self.body {
            Body::Short(short) => short.impacts.get(short.at).copied().unwrap_or(0),
            Body::Long(long) => {
                let mut tf = 0.0;
                for column in (0..self.scope.shape.columns).filter(|column| self.columns >> column & 1 == 1) {
                    tf += long.chunk.count(&long.block, column, long.index) as f32 * self.scope.weights.of(column);
                }
                let length = self.scope.documents.length_if_newest(self.document, self.scope.changes);
                self.scope.norms.impact(tf, length.unwrap_or(0))
            }
        }
    }

    pub fn score(&self) -> u64 {
        self.idf * u64::from(self.impact())
    }

    /// Up to where one maximum holds, from `from` on.
    pub fn reach(&mut self, level: Level, from: u32) -> Result<u32> {
        match &mut self.body {
            Body::Short(_) => Ok(END),
            Body::Long(long) => long.reach(level, from, &self.scope),
        }
    }

    /// The most a document of `from..=to` can score, if there can be one. `to` is within a chunk's reach.
    pub fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64> {
        if self.started() && self.document > to {
            return None;
        }
        match &mut self.body {
            Body::Short(short) => short.bound(from, to).map(|impact| self.idf * u64::from(impact)),
            Body::Long(long) => {
                let most = long.bound(level, from, to)?;
                let (then, now) = self.scope.averages;
                Some(self.idf * u64::from(impact_bound(most, then, now)))
            }
        }
    }

    /// The best of the list, the best first, and whether all others come after them.
    pub fn champions(&self) -> Option<(Vec<(u32, u64)>, bool)> {
        let Body::Long(long) = &self.body else { return None };
        if !self.all_columns {
            return None;
        }
        let valid = long.head.champions.iter().filter_map(|(document, tf)| {
            let length = self.scope.documents.length_if_newest(*document, self.scope.changes)?;
            Some((*document, self.idf * u64::from(self.scope.norms.impact(*tf, length))))
        });
        Some((valid.collect(), self.scope.averages.0 == self.scope.averages.1))
    }

    /// The last champion, as the others are ordered by: score, then document.
    pub fn last_champion(&self) -> Option<(u64, u32)> {
        let Body::Long(long) = &self.body else { return None };
        let (document, tf) = long.head.champions.last()?;
        let length = self.scope.documents.length_if_newest(*document, self.scope.changes)?;
        Some((self.idf * u64::from(self.scope.norms.impact(*tf, length)), *document))
    }

    pub fn length_of(&self, document: u32) -> u8 {
        self.scope.documents.length_if_newest(document, self.scope.changes).unwrap_or(0)
    }

    /// The places of the current document.
    pub fn places(&mut self, into: &mut Vec<(u32, u32)>) -> Result<()> {
        let columns = self.scope.shape.columns;
        match &mut self.body {
            Body::Short(short) => {
                let origin = *short.origins.get(short.at).ok_or(Fault::Damaged("places of a gathered list"))? as usize;
                posting::read_places(short.postings.places_of(origin), short.postings.counts_of(origin, columns), into)
            }
            Body::Long(long) => long.places(&self.scope, into),
        }
    }
}

impl Short {
    fn read(scope: &Scope<'_>, list: &[u8], columns: u32) -> Result<Short> {
        let mut short = Short::default();
        posting::read_all(list, scope.shape, &mut short.postings)?;
        for (index, document) in short.postings.documents.iter().enumerate() {
            let (mut tf, mut any) = (0.0, false);
            for (column, count) in short.postings.counts_of(index, scope.shape.columns).iter().enumerate() {
                if columns >> column & 1 == 1 && *count > 0 {
                    any = true;
                    tf += *count as f32 * scope.weights.of(column);
                }
            }
            if let Some(length) = scope.documents.length_if_newest(*document, scope.changes)
                && any
            {
                short.documents.push(*document);
                short.impacts.push(scope.norms.impact(tf, length));
                short.origins.push(index as u32);
            }
        }
        Ok(short)
    }

    fn seek(&mut self, target: u32) -> u32 {
        self.started = true;
        let rest = &self.documents[self.at..];
        // What is looked for is mostly near.
        let near = rest.iter().take(8).position(|document| *document >= target);
        self.at += near.unwrap_or_else(|| rest.partition_point(|document| *document < target));
        self.documents.get(self.at).copied().unwrap_or(END)
    }

    fn bound(&self, from: u32, to: u32) -> Option<u16> {
        let rest = &self.documents[self.at..];
        let first = self.at + rest.partition_point(|document| *document < from);
        let within = self.documents[first..].partition_point(|document| *document <= to);
        self.impacts[first..first + within].iter().copied().max()
    }
}

impl Long {
    fn open(scope: &Scope<'_>, list: u32) -> Result<Long> {
        let mut row = Vec::new();
        if !scope.rows.row(chunk_id(scope.segment, list, 0), &mut row)? {
            return Err(Fault::Damaged("the head of a list is missing"));
        }
        Ok(Long {
            list,
            head: Head::read(&row)?,
            chunk_at: 0,
            loaded: None,
            chunk: Chunk::default(),
            block_at: 0,
            opened: None,
            block: Block::default(),
            index: 0,
            started: false,
            places: Places::default(),
        })
    }

    fn chunk_from(&mut self, from: u32) -> Option<Part> {
        while self.head.chunks.get(self.chunk_at).is_some_and(|chunk| chunk.last < from) {
            self.chunk_at += 1;
        }
        self.head.chunks.get(self.chunk_at).copied()
    }

    fn block_from(&mut self, from: u32, scope: &Scope<'_>) -> Result<Option<Part>> {
        let Some(part) = self.chunk_from(from) else { return Ok(None) };
        if self.loaded != Some(self.chunk_at) {
            (self.loaded, self.opened) = (None, None);
            self.chunk.load(scope.rows, chunk_id(scope.segment, self.list, self.chunk_at + 1), part)?;
            (self.loaded, self.block_at) = (Some(self.chunk_at), 0);
        }
        while self.chunk.blocks.get(self.block_at).is_some_and(|block| block.last < from) {
            self.block_at += 1;
        }
        Ok(self.chunk.blocks.get(self.block_at).copied())
    }

    fn seek(&mut self, mut target: u32, scope: &Scope<'_>, columns: Option<u32>) -> Result<u32> {
        self.started = true;
        while let Some(part) = self.block_from(target, scope)? {
            let at = (self.chunk_at, self.block_at);
            if self.opened != Some(at) {
                self.opened = None;
                self.chunk.open_block(self.block_at, scope.shape, &mut self.block)?;
                (self.opened, self.index) = (Some(at), 0);
            }
            let documents = &self.block.documents[self.index..self.block.len];
            let near = documents.iter().take(8).position(|document| *document >= target);
            self.index += near.unwrap_or_else(|| documents.partition_point(|document| *document < target));
            while self.index < self.block.len {
                let document = self.block.documents[self.index];
                let newest = scope.alone || scope.documents.length_if_newest(document, scope.changes).is_some();
                if newest && columns.is_none_or(|columns| self.is_in(columns)) {
                    return Ok(document);
                }
                self.index += 1;
            }
            target = part.last + 1;
        }
        Ok(END)
    }

    fn is_in(&self, columns: u32) -> bool {
        (0..limits::COLUMNS)
            .filter(|column| columns >> column & 1 == 1)
            .any(|column| self.chunk.count(&self.block, column, self.index) > 0)
    }

    fn reach(&mut self, level: Level, from: u32, scope: &Scope<'_>) -> Result<u32> {
        let part = match level {
            Level::Chunk => self.chunk_from(from),
            Level::Block => self.block_from(from, scope)?,
        };
        Ok(part.map_or(END, |part| part.last))
    }

    fn bound(&self, level: Level, from: u32, to: u32) -> Option<u16> {
        let within = |part: &&Part| part.floor <= to;
        match level {
            Level::Chunk => self.head.chunks[self.chunk_at..].iter().take_while(within).map(|part| part.most).max(),
            Level::Block => {
                let blocks = self.chunk.blocks.get(self.block_at..).filter(|_| self.loaded == Some(self.chunk_at))?;
                let blocks = blocks.iter().skip_while(|part| part.last < from);
                blocks.take_while(within).map(|part| part.most).max()
            }
        }
    }

    fn places(&mut self, scope: &Scope<'_>, into: &mut Vec<(u32, u32)>) -> Result<()> {
        let at = (self.chunk_at, self.block_at);
        let places = &mut self.places;
        if places.of != Some(at) || places.index > self.index {
            places.of = None;
            if !scope.rows.row(places_id(scope.segment, self.list, at.0 + 1, at.1), &mut places.row)? {
                return Err(Fault::Damaged("the places of a block are missing"));
            }
            *places = Places { of: Some(at), row: std::mem::take(&mut places.row), index: 0, at: 0 };
        }
        let count = |index, column| self.chunk.count(&self.block, column, index);
        let skipped: u64 = (places.index..self.index)
            .flat_map(|index| (0..scope.shape.columns).map(move |column| (index, column)))
            .map(|(index, column)| u64::from(count(index, column)))
            .sum();
        places.at += Bytes::new(&places.row[places.at..]).varints(skipped)?.len();
        places.index = self.index;
        let mut counts = [0; limits::COLUMNS];
        for (column, slot) in counts[..scope.shape.columns].iter_mut().enumerate() {
            *slot = count(self.index, column);
        }
        posting::read_places(&places.row[places.at..], &counts[..scope.shape.columns], into)
    }
}

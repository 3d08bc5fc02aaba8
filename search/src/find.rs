//! Finding the best documents of a query: what cannot be among them is passed by, a chunk or some blocks at a time.

use crate::{
    clause::Clause,
    cursor::{Cursor, END, Level},
    fault::Result,
    top::{Hit, Top},
};

/// Documents that are looked at together at the least: bounds of fewer would cost more than they spare.
const WINDOW: u32 = 256;

/// Offers the best of a segment to `top`.
pub fn search(clause: &mut Clause<'_>, top: &mut Top) -> Result<()> {
    if top.most() == 0 {
        return Ok(());
    }
    match clause {
        Clause::List(cursor) => list(cursor, top, Top::offer),
        Clause::Best(cursors) => {
            // The best spelling counts, so a document that is among the best is so by one of the lists alone.
            // What each has read goes with it.
            std::mem::take(cursors).into_iter().try_for_each(|mut cursor| list(&mut cursor, top, Top::offer_again))
        }
        Clause::Any(parts) => {
            expect_champions(parts, top);
            any(clause, top)
        }
        Clause::All(_) => together(clause, top),
        other => generic(other, top),
    }
}

/// The first documents of a segment, in order, with their scores if they are asked for.
pub fn first(clause: &mut Clause<'_>, (scored, most): (bool, usize), mut each: impl FnMut(Hit)) -> Result<()> {
    let mut document = clause.seek(0)?;
    let mut found = 0;
    while document != END && found < most {
        found += 1;
        each(Hit { document, score: if scored { clause.score(document)? } else { 0 } });
        document = clause.seek(document + 1)?;
    }
    Ok(())
}

fn list(cursor: &mut Cursor<'_>, top: &mut Top, offer: impl Fn(&mut Top, Hit)) -> Result<()> {
    if let Some((champions, in_order)) = cursor.champions() {
        // Champions are met again on the way through the list, so what is offered here must not be offered there.
        let enough = champions.len() >= top.most();
        let last = cursor.last_champion();
        let covered = in_order
            && last.is_some_and(|(score, document)| enough || top.shuts_out(score, document.saturating_add(1)));
        if covered {
            champions.into_iter().for_each(|(document, score)| offer(top, Hit { score, document }));
            return Ok(());
        }
        if enough {
            top.expect(champions[top.most() - 1].1);
        }
    }
    let mut next = 0;
    while let Some((from, to)) = next_window(cursor, next, top)? {
        let mut document = cursor.seek(from)?;
        while document <= to && document != END {
            offer(top, Hit { score: cursor.score(), document });
            document = cursor.seek(document + 1)?;
        }
        next = to.saturating_add(1);
    }
    Ok(())
}

/// What knows bounds of the scores ahead.
trait Ahead {
    fn reach(&mut self, level: Level, from: u32) -> Result<u32>;
    fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64>;
}

impl Ahead for Cursor<'_> {
    fn reach(&mut self, level: Level, from: u32) -> Result<u32> {
        Cursor::reach(self, level, from)
    }

    fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64> {
        Cursor::bound(self, level, from, to)
    }
}

impl Ahead for Clause<'_> {
    fn reach(&mut self, level: Level, from: u32) -> Result<u32> {
        Clause::reach(self, level, from)
    }

    fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64> {
        Clause::bound(self, level, from, to)
    }
}

/// The next stretch of documents with one among them that may get in.
fn next_window(ahead: &mut impl Ahead, mut from: u32, top: &Top) -> Result<Option<(u32, u32)>> {
    while from != END {
        let end = ahead.reach(Level::Chunk, from)?;
        if ahead.bound(Level::Chunk, from, end).is_none_or(|bound| top.shuts_out(bound, from)) {
            from = end.saturating_add(1);
            continue;
        }
        while from <= end && from != END {
            let to = ahead.reach(Level::Block, from)?.max(from.saturating_add(WINDOW - 1)).min(end);
            if ahead.bound(Level::Block, from, to).is_some_and(|bound| !top.shuts_out(bound, from)) {
                return Ok(Some((from, to)));
            }
            from = to.saturating_add(1);
        }
    }
    Ok(None)
}

fn generic(clause: &mut Clause<'_>, top: &mut Top) -> Result<()> {
    let mut next = 0;
    while let Some((from, to)) = next_window(clause, next, top)? {
        clause.heed(top);
        let mut document = clause.seek(from)?;
        while document <= to && document != END {
            top.offer(Hit { score: clause.score(document)?, document });
            clause.heed(top);
            document = clause.seek(document + 1)?;
        }
        next = to.saturating_add(1);
    }
    Ok(())
}

/// All of the parts: the rarest leads, and the others are only looked at where it scores enough for them to do the rest.
fn together(clause: &mut Clause<'_>, top: &mut Top) -> Result<()> {
    let mut next = 0;
    while let Some((from, to)) = next_window(clause, next, top)? {
        let Clause::All(parts) = &mut *clause else { return Ok(()) };
        let Some((leader, others)) = parts.split_first_mut() else { return Ok(()) };
        let rest: u64 = others.iter_mut().filter_map(|part| part.bound(Level::Block, from, to)).sum();
        let mut document = leader.seek(from)?;
        while document <= to && document != END {
            let mut score = leader.score(document)?;
            let mut ahead = document + 1;
            if !top.shuts_out(score + rest, document) {
                let mut agreed = true;
                for part in others.iter_mut() {
                    let found = part.seek(document)?;
                    if found != document {
                        (agreed, ahead) = (false, found);
                        break;
                    }
                    score += part.score(document)?;
                }
                if agreed {
                    top.offer(Hit { score, document });
                }
            }
            document = leader.seek(ahead)?;
        }
        next = to.saturating_add(1);
    }
    Ok(())
}

/// MaxScore in windows: documents come from the parts whose bounds could lift one into the best; the others are only
/// looked at for those.
fn any(clause: &mut Clause<'_>, top: &mut Top) -> Result<()> {
    let mut next = 0;
    let mut ranked = Ranked::default();
    while let Some((from, to)) = next_window(clause, next, top)? {
        let Clause::Any(parts) = &mut *clause else { return Ok(()) };
        ranked.rank(parts, from, to);
        window(parts, &mut ranked, (from, to), top)?;
        next = to.saturating_add(1);
    }
    Ok(())
}

/// The parts that have documents in a window, by ascending bound, with the sums of the bounds up to each.
#[derive(Default)]
struct Ranked {
    parts: Vec<(u64, usize)>,
    sums: Vec<u64>,
}

impl Ranked {
    fn rank(&mut self, parts: &mut [Clause<'_>], from: u32, to: u32) {
        let bounds = parts.iter_mut().enumerate();
        self.parts.clear();
        self.parts.extend(bounds.filter_map(|(index, part)| Some((part.bound(Level::Block, from, to)?, index))));
        self.parts.sort_unstable();
        self.sums.clear();
        self.sums.extend(self.parts.iter().scan(0, |sum, (bound, _)| {
            *sum += bound;
            Some(*sum)
        }));
    }
}

fn window(parts: &mut [Clause<'_>], ranked: &mut Ranked, (from, to): (u32, u32), top: &mut Top) -> Result<()> {
    let mut leading = 0;
    let mut document = from;
    loop {
        while ranked.sums.get(leading).is_some_and(|sum| top.shuts_out(*sum, document)) {
            leading += 1;
        }
        let (followers, leaders) = ranked.parts.split_at(leading);
        let mut least = END;
        for (_, part) in leaders {
            least = least.min(parts[*part].seek(document)?);
        }
        document = least;
        if document > to || document == END {
            return Ok(());
        }
        let mut score = 0;
        for (_, part) in leaders {
            if parts[*part].seek(document)? == document {
                score += parts[*part].score(document)?;
            }
        }
        let mut hopeless = false;
        for (place, (_, part)) in followers.iter().enumerate().rev() {
            hopeless = top.shuts_out(score + ranked.sums[place], document);
            if hopeless {
                break;
            }
            if parts[*part].seek(document)? == document {
                score += parts[*part].score(document)?;
            }
        }
        if !hopeless {
            top.offer(Hit { score, document });
        }
        document += 1;
    }
}

/// The champions of the parts are hits: what the best of them add up to is the least a hit needs.
fn expect_champions(parts: &[Clause<'_>], top: &mut Top) {
    let mut known: Vec<(u32, u64)> = Vec::new();
    for part in parts {
        if let Clause::List(cursor) = part
            && let Some((champions, _)) = cursor.champions()
        {
            known.extend(champions);
        }
    }
    known.sort_unstable();
    known.dedup_by(|next, first| {
        let same = next.0 == first.0;
        first.1 += if same { next.1 } else { 0 };
        same
    });
    if known.len() >= top.most() {
        known.sort_unstable_by_key(|(_, score)| std::cmp::Reverse(*score));
        top.expect(known[top.most() - 1].1);
    }
}

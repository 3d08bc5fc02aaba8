//! Who has how much of the cache, and who goes next.
//!
//! Each app has two queues. What is new stands in the small one, a tenth of what the app has, and goes from there unless it
//! was asked for again meanwhile: a flood of keys that are asked for once passes through without touching the main queue.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::ghosts::Ghosts;

/// All apps' shares of one budget.
#[derive(Default)]
pub(super) struct Shares {
    apps: BTreeMap<String, Share>,
    pub bytes: u64,
    last_id: u64,
}

/// What an app has.
#[derive(Default)]
pub(super) struct Share {
    small: Queue,
    main: Queue,
    ghosts: Ghosts,
    pub entries: u64,
    /// Entries that gave way, ever.
    pub evictions: u64,
    took_us: u64,
    /// Places in the queues whose entries were removed.
    empty_places: usize,
}

/// The oldest in front.
#[derive(Default)]
struct Queue {
    places: VecDeque<Place>,
    bytes: u64,
}

/// Where an entry is found: by its key's hash, and a number that no other entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub hash: u64,
    pub id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Small,
    Main,
}

/// What an entry counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    pub bytes: u64,
    pub took_us: u64,
}

/// How often an entry was asked for since it was last looked at; more than this is not counted.
pub(super) const TOUCHES_MOST: u8 = 3;
/// Touches that take an entry from the small queue to the main one.
const TOUCHES_TO_STAY: u8 = 2;
/// One part in so many of an app's bytes is for what is new.
const SMALL_PART: u64 = 10;
/// Remembered, and empty places let be, even of an app that has hardly any entries.
const FEW: usize = 64;

/// What becomes of the entry in front of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Goes,
    /// It goes to the end of the main queue, with so many touches left.
    Stays(u8),
}

impl Weight {
    pub fn new(bytes: usize, took: Duration) -> Weight {
        let took_us = took.as_micros().min(u128::from(u32::MAX));
        Weight { bytes: bytes as u64, took_us: took_us as u64 }
    }
}

impl Shares {
    /// What each app may have when all want more: an equal part. What one does not use is lent to the others.
    pub fn fair_bytes(&self, budget_bytes: u64, wants: &str) -> u64 {
        let others = self.apps.iter().filter(|(name, app)| app.entries > 0 && *name != wants).count();
        budget_bytes / (others as u64 + 1)
    }

    /// The app that is furthest above its part: as all parts are equal, the one that has most.
    pub fn largest(&mut self) -> Option<&mut Share> {
        self.apps.values_mut().filter(|app| app.entries > 0).max_by_key(|app| app.bytes())
    }

    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub fn of(&mut self, app: &str) -> &mut Share {
        if !self.apps.contains_key(app) {
            self.apps.insert(app.to_owned(), Share::default());
        }
        self.apps.get_mut(app).expect("BUG: it was put there")
    }

    pub fn all(&self) -> impl Iterator<Item = (&String, &Share)> {
        self.apps.iter()
    }
}

impl Share {
    pub fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes
    }

    /// A new entry takes its place: among the new ones, or in the main queue if it went from here a short while ago.
    pub fn enter(&mut self, place: Place, weight: Weight) -> Line {
        let line = if self.ghosts.has(place.hash) { Line::Main } else { Line::Small };
        self.queue(line).places.push_back(place);
        self.queue(line).bytes += weight.bytes;
        self.entries += 1;
        self.took_us += weight.took_us;
        line
    }

    /// An entry in this line weighs something else now.
    pub fn reweigh(&mut self, line: Line, before: Weight, after: Weight) {
        let bytes = &mut self.queue(line).bytes;
        *bytes = *bytes - before.bytes + after.bytes;
        self.took_us = self.took_us - before.took_us + after.took_us;
    }

    /// An entry is taken away that stood somewhere in this line. Says whether so many places are empty by now that they
    /// should be swept away.
    pub fn leave(&mut self, line: Line, weight: Weight) -> bool {
        self.forget(line, weight);
        self.empty_places += 1;
        self.empty_places > FEW + self.entries as usize
    }

    /// Keeps the places whose entries are there.
    pub fn sweep(&mut self, is_there: impl Fn(Place) -> bool) {
        self.small.places.retain(|place| is_there(*place));
        self.main.places.retain(|place| is_there(*place));
        self.empty_places = 0;
    }

    /// The place whose turn it is, taken from its queue.
    pub fn next(&mut self) -> Option<(Line, Place)> {
        let small_is_full = self.small.bytes * SMALL_PART > self.bytes();
        let line = match (self.small.places.is_empty(), self.main.places.is_empty()) {
            (false, true) => Line::Small,
            (false, false) if small_is_full => Line::Small,
            _ => Line::Main,
        };
        self.queue(line).places.pop_front().map(|place| (line, place))
    }

    /// The entry whose turn it was had been removed.
    pub fn was_empty(&mut self) {
        self.empty_places -= 1;
    }

    /// Whether the entry whose turn it is has another one, by what it was asked for.
    pub fn turn(&self, line: Line, touches: u8, weight: Weight) -> Turn {
        match line {
            // What was cheap to make has another turn only if it is asked for all the time.
            _ if self.is_cheap(weight) => {
                if touches >= TOUCHES_MOST {
                    Turn::Stays(0)
                } else {
                    Turn::Goes
                }
            }
            Line::Small if touches >= TOUCHES_TO_STAY => Turn::Stays(0),
            Line::Main if touches > 0 => Turn::Stays(touches - 1),
            _ => Turn::Goes,
        }
    }

    pub fn stays(&mut self, line: Line, place: Place, weight: Weight) {
        self.queue(line).bytes -= weight.bytes;
        self.main.bytes += weight.bytes;
        self.main.places.push_back(place);
    }

    pub fn goes(&mut self, line: Line, place: Place, weight: Weight) {
        self.forget(line, weight);
        self.evictions += 1;
        if line == Line::Small {
            let most = FEW.max(self.entries as usize);
            self.ghosts.remember(place.hash, most);
        }
    }

    /// Whether each byte of it saves less than half of what a byte of this app's entries saves.
    fn is_cheap(&self, weight: Weight) -> bool {
        let (ours, all) = (u128::from(weight.took_us) * u128::from(self.bytes()), u128::from(self.took_us));
        ours * 2 < all * u128::from(weight.bytes)
    }

    fn forget(&mut self, line: Line, weight: Weight) {
        self.queue(line).bytes -= weight.bytes;
        self.entries -= 1;
        self.took_us -= weight.took_us;
    }

    /// How many places are not empty, what the small queue holds, and how long all of it took to make.
    #[cfg(test)]
    pub fn counted(&self) -> (usize, u64, u64) {
        (self.places() - self.empty_places, self.small.bytes, self.took_us)
    }

    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.small.places.len() + self.main.places.len()
    }

    fn queue(&mut self, line: Line) -> &mut Queue {
        match line {
            Line::Small => &mut self.small,
            Line::Main => &mut self.main,
        }
    }
}

//! Random numbers that are the same on every machine and in every version of this program.

/// SplitMix64 (Steele, Lea and Flood 2014): one addition and a mix a number. Any seed is a good one.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 when `end` is 0: the high half of a product, which is even enough
    /// for bounds far below 2^64.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items, each as likely.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// Zipf's law: the item of rank r comes up in proportion to 1/r. In whole numbers, because floating
/// point need not round alike everywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zipf {
    cumulative: Vec<u64>,
}

impl Zipf {
    /// The weight of rank 1. A rank past it would weigh nothing.
    const SCALE: u64 = 1 << 32;

    pub(crate) fn of(ranks: usize) -> Self {
        let mut zipf = Self::default();
        (0..ranks).for_each(|_| zipf.grow());
        zipf
    }

    /// Adds one rank, less likely than those before.
    pub(crate) fn grow(&mut self) {
        let rank = self.cumulative.len() as u64 + 1;
        let total = self.cumulative.last().copied().unwrap_or(0);
        self.cumulative.push(total + Self::SCALE / rank);
    }

    /// A rank from 0, or nothing when there are none.
    pub(crate) fn sample(&self, random: &mut Random) -> Option<usize> {
        let point = random.below(*self.cumulative.last()?);
        Some(self.cumulative.partition_point(|&end| end <= point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        let mut random = Random::new(1_234_567);
        let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next(), random.next(), random.next()], first);
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(7) < 7 && (3..=5).contains(&random.between(3, 5))));
        assert_eq!(random.below(0), 0);
        assert_eq!(Zipf::default().sample(&mut random), None);
    }

    #[test]
    fn the_first_rank_leads() {
        let (zipf, mut random) = (Zipf::of(100), Random::new(1));
        let mut counts = [0_u32; 100];
        for _ in 0..100_000 {
            counts[zipf.sample(&mut random).unwrap()] += 1;
        }
        assert!(counts[0] > 15_000 && counts[1] > counts[9] && counts[99] > 0, "{counts:?}");
    }
}

//! The demo's dice: the same seed throws the same numbers on every machine. For variety, never for secrets.

/// SplitMix64 (Steele, Lea and Flood, 2014): eight lines, and no dependency whose next version could throw differently.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `from..to`; `from` where that is empty.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to.saturating_sub(from)).unwrap_or(0).max(1);
        // The remainder's bias is 2⁻⁵⁰ for the small ranges of a demo.
        from + i64::try_from(self.next() % width).unwrap_or(0)
    }

    /// So many of them, drawn without putting back, in the order drawn.
    pub fn draw<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let mut drawn = Vec::new();
        while drawn.len() < count && !from.is_empty() {
            let last = i64::try_from(from.len()).unwrap_or(1);
            let at = usize::try_from(self.between(0, last)).unwrap_or(0);
            drawn.push(from.swap_remove(at));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        let throws = |seed| -> Vec<i64> {
            let mut chance = Chance::new(seed);
            (0..8).map(|_| chance.between(0, 1000)).collect()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
    }

    #[test]
    fn drawing_takes_each_once() {
        let mut drawn = Chance::new(3).draw((0..10).collect(), 20);
        drawn.sort_unstable();
        assert_eq!(drawn, (0..10).collect::<Vec<_>>());
        assert_eq!(Chance::new(3).between(5, 5), 5);
    }
}

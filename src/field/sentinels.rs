//! Sentinels: values that mark points without data, found without being named.
//!
//! In: a field's values. Out: up to [`MAX_SENTINELS`] values that lie far outside of all others, as 1e20 and −9999 do.
//! Left out of the range and kept bit for bit, a value that is data after all makes bounds tighter, and nothing else.

use super::{Element, FieldView, for_each_row};

/// The most sentinels of a field.
pub(crate) const MAX_SENTINELS: usize = 4;

/// How far from all others a sentinel lies, over their range: a value that is used as one so often that chance does not
/// hit it; one that occurs more than once; any other.
const USUAL: f64 = 1.0;
const REPEATED: f64 = 256.0;
const SINGLE: f64 = 65536.0;
/// How far from the outermost value what is data surely is no sentinel, over the whole range.
const NEAR: f64 = 0.99 / (2.0 + USUAL);
/// What marks points without data is a large number.
const SMALLEST: f64 = 99.0;
/// Points whose smallest and largest values are looked at together.
const BLOCK: usize = 512;

/// Smallest and largest values of runs of a field's points, which mostly show that there is no sentinel.
#[derive(Debug, Default)]
pub(super) struct Extremes {
    blocks: Vec<(f64, f64)>,
    points: usize,
}

impl Extremes {
    /// Adds the smallest and the largest of `points` values.
    pub(super) fn add(&mut self, min: f64, max: f64, points: usize) {
        match self.blocks.last_mut() {
            Some((low, high)) if self.points < BLOCK => (*low, *high) = (low.min(min), high.max(max)),
            _ => {
                self.blocks.push((min, max));
                self.points = 0;
            }
        }
        self.points += points;
    }

    /// Whether sentinels may lie below or above the field's other values: runs of points that come near the smallest or
    /// largest value without reaching it say no, where they are more than there can be sentinels.
    pub(super) fn may_hide_sentinels(&self, min: f64, max: f64) -> bool {
        let range = max - min;
        if !range.is_finite() {
            return true;
        }
        // Sentinels at one end alone are further from all data than half of the range; at both, the further ones are by
        // a third, and that end says yes.
        let is_near = |distance: f64| distance > 0.05 * range && distance < NEAR * range;
        let below = is_large(min) && few(self.blocks.iter().map(|block| block.0).filter(|low| is_near(low - min)));
        let above = is_large(max) && few(self.blocks.iter().map(|block| block.1).filter(|high| is_near(max - high)));
        below || above
    }
}

fn is_large(value: f64) -> bool {
    value.abs() >= SMALLEST
}

/// Whether values are no more than there can be sentinels.
fn few(values: impl Iterator<Item = f64>) -> bool {
    let mut distinct = [f64::NAN; MAX_SENTINELS];
    let mut count = 0;
    for value in values {
        if distinct[..count].contains(&value) {
            continue;
        }
        if count == MAX_SENTINELS {
            return false;
        }
        distinct[count] = value;
        count += 1;
    }
    true
}

/// Whether a value of this type is a usual mark of points without data: nines, a power of ten from 10^10 on, or the
/// limit of a type.
pub(super) fn is_usual<T: Element>(value: T) -> bool {
    let is = |usual: f64| value == T::from_f64(usual);
    let magnitude = value.to_f64().abs();
    let nines = (2..=9).any(|digits| is_nines(magnitude, digits, is));
    let power = magnitude >= 9e9
        && (10..=38).any(|power| {
            let usual = libm::pow(10.0, f64::from(power));
            is(usual) || is(-usual)
        });
    // NetCDF's default for f32 and f64; HDF-EOS's and ESMF's; limits of integers and of floating-point types.
    const OTHERS: [f64; 8] =
        [9.969209968386869e36, 1.701_41e38, 32767.0, 32768.0, 65535.0, 2147483647.0, 2147483648.0, f64::MAX];
    nines || power || OTHERS.iter().any(|&other| is(other) || is(-other)) || magnitude == f64::from(f32::MAX)
}

/// Whether a magnitude is written with so many nines, and up to two of them behind the point.
fn is_nines(magnitude: f64, digits: i32, is: impl Fn(f64) -> bool) -> bool {
    let nines = libm::pow(10.0, f64::from(digits)) - 1.0;
    // A type may round nines behind the point up to a power of ten, which is data.
    let parts: &[f64] = if magnitude.fract() == 0.0 { &[1.0] } else { &[10.0, 100.0] };
    let exact = (SMALLEST..1e7).contains(&magnitude);
    (exact || magnitude == nines) && parts.iter().any(|part| is(nines / part) || is(-nines / part))
}

/// A value of a field, and how often it occurs.
#[derive(Clone, Copy, Debug)]
struct Counted<T> {
    value: T,
    count: usize,
}

/// The values at one end of a field's, from the outermost inwards: more than there can be sentinels.
#[derive(Clone, Debug)]
struct End<T> {
    values: Vec<Counted<T>>,
    /// Whether it is the end of large values.
    large: bool,
}

impl<T: Element> End<T> {
    fn new(large: bool) -> Self {
        Self { values: Vec::with_capacity(MAX_SENTINELS + 3), large }
    }

    /// Whether `a` lies further out than `b`.
    fn is_outside(&self, a: T, b: T) -> bool {
        if self.large { a > b } else { a < b }
    }

    /// Whether a value may be among those that are kept.
    fn takes(&self, value: T) -> bool {
        self.values.len() < MAX_SENTINELS + 2
            || self.values.last().is_some_and(|last| !self.is_outside(last.value, value))
    }

    fn add(&mut self, value: T) {
        let at = self.values.iter().position(|known| !self.is_outside(known.value, value));
        match at {
            Some(at) if self.values[at].value == value => self.values[at].count += 1,
            _ => {
                self.values.insert(at.unwrap_or(self.values.len()), Counted { value, count: 1 });
                self.values.truncate(MAX_SENTINELS + 2);
            }
        }
    }

    /// Whether the outermost `n` are sentinels where the next one and `other`, at the other end, are data.
    fn are_sentinels(&self, n: usize, other: f64) -> bool {
        let next = self.values[n].value.to_f64();
        // Halved, since the range of the values of a type may be beyond it.
        let range = (next / 2.0 - other / 2.0).abs();
        self.values[..n].iter().all(|outer| {
            let gap = (outer.value.to_f64() / 2.0 - next / 2.0).abs();
            let factor = match outer.count {
                _ if is_usual(outer.value) => USUAL,
                1 => SINGLE,
                _ => REPEATED,
            };
            let is_constant = range == 0.0;
            is_large(outer.value.to_f64()) && gap >= factor * range && (!is_constant || factor == USUAL)
        })
    }
}

/// Finds the sentinels of values that come part by part, and the range of the others, as [`crate::Options::sentinels`]
/// does of a field.
#[derive(Clone, Debug)]
pub struct SentinelSearch<T> {
    named: Vec<T>,
    below: End<T>,
    above: End<T>,
}

impl<T: Element> SentinelSearch<T> {
    /// Of no values yet; `named` are known to mark points without data.
    pub fn new(named: &[T]) -> Self {
        Self { named: named.to_vec(), below: End::new(false), above: End::new(true) }
    }

    /// Takes in some values.
    pub fn add(&mut self, values: &[T]) {
        for &value in values {
            let (is_below, is_above) = (self.below.takes(value), self.above.takes(value));
            if !(is_below || is_above) || !value.to_f64().is_finite() || self.named.contains(&value) {
                continue;
            }
            if is_below {
                self.below.add(value);
            }
            if is_above {
                self.above.add(value);
            }
        }
    }

    /// Takes the sentinels out of the values, and gives them back: four at most.
    pub fn take_sentinels(&mut self) -> Vec<T> {
        let mut found = Vec::new();
        // Fewest first: what is left may hide more.
        while found.len() < MAX_SENTINELS {
            let Some((low, high)) = outermost(&self.below, &self.above, MAX_SENTINELS - found.len()) else { break };
            let outer = self.below.values[..low].iter().chain(&self.above.values[..high]);
            let taken: Vec<T> = outer.map(|outer| outer.value).collect();
            // Both ends have them, where there are few values.
            self.below.values.retain(|known| !taken.contains(&known.value));
            self.above.values.retain(|known| !taken.contains(&known.value));
            found.extend(taken);
        }
        found
    }

    /// The smallest and the largest of the values, but for those that were taken out; `None` where no other is left.
    pub fn range(&self) -> Option<(T, T)> {
        Some((self.below.values.first()?.value, self.above.values.first()?.value))
    }
}

/// A field's sentinels, of its values that are finite and none of `named`.
pub(super) fn find<T: Element>(field: &FieldView<'_>, values: &[T], named: &[T]) -> Vec<T> {
    let mut search = SentinelSearch::new(named);
    for_each_row(field, values, &mut Vec::new(), |row| search.add(row));
    search.take_sentinels()
}

/// How many values at the lower and at the upper end are sentinels, at most `most`, and as few as there can be.
fn outermost<T: Element>(below: &End<T>, above: &End<T>, most: usize) -> Option<(usize, usize)> {
    if let ([only], [_]) = (&below.values[..], &above.values[..])
        && is_usual(only.value)
    {
        return Some((1, 0));
    }
    let counts = (1..=most).flat_map(|all| (0..=all).map(move |low| (low, all - low)));
    counts.into_iter().find(|&(low, high)| {
        let (Some(smallest), Some(largest)) = (below.values.get(low), above.values.get(high)) else { return false };
        let (smallest, largest) = (smallest.value.to_f64(), largest.value.to_f64());
        smallest <= largest && below.are_sentinels(low, largest) && above.are_sentinels(high, smallest)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{FieldStats, Values};
    use super::*;
    use crate::options::Sentinels;
    use proptest::prelude::*;

    const NONE: [f64; 0] = [];

    /// What is found in these values.
    fn found(values: &[f32]) -> Vec<f64> {
        let view = FieldView::new(values, &[values.len()]).unwrap();
        let mut found = FieldStats::of(&view, None, &Sentinels::Auto).sentinels;
        found.sort_by(f64::total_cmp);
        found
    }

    /// Values from 280 to 290, with others in place of some.
    fn with(others: &[(f32, usize)]) -> Vec<f32> {
        let mut values: Vec<f32> = (0..4000).map(|i| 285.0 + 5.0 * (i as f32 * 0.01).sin()).collect();
        for (k, &(value, count)) in others.iter().enumerate() {
            values[500 * k..500 * k + count].fill(value);
        }
        values
    }

    #[test]
    fn values_far_outside_are_found() {
        for value in
            [1e20, -9999.0, -999.0, 9.969_21e36, -1e34, 32767.0, -32768.0, 1e15, -1e10, f32::MAX, f32::MIN, -99999.0]
        {
            for count in [1, 2, 400] {
                assert_eq!(found(&with(&[(value, count)])), [f64::from(value)], "{value}, {count} times");
            }
        }
        // None that is used so, but it repeats.
        assert_eq!(found(&with(&[(-7777.5, 3)])), [-7777.5]);
        assert_eq!(found(&with(&[(-7777.5, 1)])), NONE);
        assert_eq!(found(&with(&[(1e7, 1)])), [1e7]);
        let several = with(&[(-9999.0, 9), (1e20, 300), (-9998.0, 2), (9.969_21e36, 5)]);
        assert_eq!(found(&several), [-9999.0, -9998.0, f64::from(1e20f32), f64::from(9.969_21e36f32)]);
        let both = with(&[(-9999.0, 9), (9999.0, 300)]);
        assert_eq!(found(&both), [-9999.0, 9999.0]);
    }

    #[test]
    fn data_is_data() {
        assert_eq!(found(&with(&[])), NONE);
        // Heights, where some are at -9999 but not far away, and a peak.
        let heights: Vec<f32> = (0..4000).map(|i| (i * 7 % 4000) as f32 * 5.0 - 11000.0).collect();
        assert_eq!(found(&heights), NONE);
        assert_eq!(found(&[0.0, 1.0, 0.0, 1.0, 1.0]), NONE);
        assert_eq!(found(&[0.0, 1e6, 0.0, 1e6]), NONE);
        let decades: Vec<f32> = (0..4000).map(|i| (i as f32 * 0.02).exp2()).collect();
        assert_eq!(found(&decades), NONE);
        assert_eq!(
            found(&(0..600).map(|i| if i == 300 { 1000.0 } else { i as f32 / 600.0 }).collect::<Vec<_>>()),
            NONE
        );
    }

    #[test]
    fn constants_with_marks_keep_their_range() {
        let rain: Vec<f32> = (0..2000).map(|i| if i % 3 == 0 { 1e20 } else { 0.0 }).collect();
        assert_eq!(found(&rain), [f64::from(1e20f32)]);
        let stats = FieldStats::of(&FieldView::new(&rain, &[2000]).unwrap(), None, &Sentinels::Auto);
        assert_eq!((stats.min, stats.max, stats.valid), (0.0, 0.0, 1333));
        let land = vec![1e20f32; 100];
        let stats = FieldStats::of(&FieldView::new(&land, &[100]).unwrap(), None, &Sentinels::Auto);
        assert_eq!((stats.valid, stats.range(), stats.uniform.is_some()), (0, 0.0, true));
    }

    /// Marks at both ends, neither of them half of the range away.
    #[test]
    fn marks_at_both_ends_are_found() {
        let mut values: Vec<f32> = (0..4000).map(|i| 15000.0 + 8000.0 * (i * 7 % 4000) as f32 / 4000.0).collect();
        (values[0], values[1]) = (999.0, 32767.0);
        assert_eq!(found(&values), [999.0, 32767.0]);
    }

    proptest! {
        /// The first look at runs of points misses nothing that the walk over all of them finds.
        #[test]
        fn the_first_look_misses_nothing(
            (low, width) in (-1e5f32..1e5, 0.001f32..1e4),
            marks in prop::collection::vec((0usize..10, 0usize..3000, 1usize..900), 0..6),
            seed in any::<u32>(),
        ) {
            const MARKS: [f32; 10] = [-9999.0, 9999.0, 99999.0, 65535.0, 1e20, -1e34, 32767.0, -7777.5, 999.0, 255.0];
            let noise = |i: usize| (i as u32 ^ seed).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
            let mut values: Vec<f32> = (0..4000).map(|i| low + width * noise(i)).collect();
            for &(mark, from, count) in &marks {
                values[from..from + count].fill(MARKS[mark]);
            }
            let view = FieldView::new(&values, &[4000]).unwrap();
            let walked: Vec<f64> = find(&view, &values, &[]).into_iter().map(f64::from).collect();
            prop_assert_eq!(FieldStats::of(&view, None, &Sentinels::Auto).sentinels, walked);
        }
    }

    #[test]
    fn nothing_is_looked_for_where_it_is_not_wanted() {
        let values = with(&[(1e20, 7)]);
        let view = FieldView::new(&values, &[4000]).unwrap();
        assert!(matches!(view.values, Values::F32(_)));
        assert!(FieldStats::of(&view, None, &Sentinels::Off).sentinels.is_empty());
        assert!(FieldStats::of(&view, Some(1e20), &Sentinels::Auto).sentinels.is_empty());
        let doubles: Vec<f64> = values.iter().map(|&v| if v > 1e19 { f64::MAX } else { f64::from(v) }).collect();
        let view = FieldView::new(&doubles, &[40, 100]).unwrap();
        let stats = FieldStats::of(&view, None, &Sentinels::Auto);
        assert_eq!((stats.sentinels, stats.valid), (vec![f64::MAX], 3993));
    }
}

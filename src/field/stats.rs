//! One pass over a field: range, mean, and the values that are masked.

use super::sentinels::{self, Extremes};
use super::{Element, FieldView, Specials, Values, for_each_row};
use crate::options::Sentinels;

/// Statistics of a field's valid points.
#[derive(Clone, Debug)]
pub(crate) struct FieldStats {
    /// Points that are neither NaN, ±Inf, the fill value nor a sentinel.
    pub(crate) valid: usize,
    /// Smallest and largest valid value; 0 where there is none.
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Mean of the valid values.
    pub(crate) mean: f64,
    /// Patterns of the masked values; `None` where there are too many for a mask.
    pub(crate) specials: Option<Specials>,
    /// Values that mark points without data, although nobody has named them.
    pub(crate) sentinels: Vec<f64>,
    /// Whether all values share one bit pattern.
    pub(crate) uniform: Option<u64>,
}

const LANES: usize = 8;

struct Accumulator {
    min: f64,
    max: f64,
    sum: f64,
    valid: usize,
    specials: Option<Specials>,
    extremes: Extremes,
}

impl Accumulator {
    fn new() -> Self {
        Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: 0.0,
            valid: 0,
            specials: Some(Specials::new()),
            extremes: Extremes::default(),
        }
    }

    /// Adds a row; `marks` are values of points without data.
    fn row<T: Element>(&mut self, row: &[T], marks: &[T]) {
        for chunk in row.chunks(LANES * 64) {
            let ordinary = chunk.iter().fold(true, |ok, v| ok & v.to_f64().is_finite())
                && marks.iter().all(|mark| !chunk.contains(mark));
            if !ordinary {
                self.chunk_with_specials(chunk, marks);
                continue;
            }
            let mut sums = [0.0; LANES];
            let (mut min, mut max) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
            let pieces = chunk.chunks_exact(LANES);
            for (k, v) in pieces.remainder().iter().enumerate() {
                let v = v.to_f64();
                sums[k] += v;
                min[k] = min[k].min(v);
                max[k] = max[k].max(v);
            }
            for piece in pieces {
                for k in 0..LANES {
                    let v = piece[k].to_f64();
                    sums[k] += v;
                    min[k] = if v < min[k] { v } else { min[k] };
                    max[k] = if v > max[k] { v } else { max[k] };
                }
            }
            self.sum += sums.iter().sum::<f64>();
            self.range(
                min.iter().copied().fold(f64::INFINITY, f64::min),
                max.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                chunk.len(),
            );
        }
    }

    fn chunk_with_specials<T: Element>(&mut self, chunk: &[T], marks: &[T]) {
        let (mut min, mut max, mut valid) = (f64::INFINITY, f64::NEG_INFINITY, 0);
        for &v in chunk {
            let value = v.to_f64();
            if value.is_finite() && !marks.contains(&v) {
                self.sum += value;
                min = min.min(value);
                max = max.max(value);
                valid += 1;
            } else if let Some(specials) = &mut self.specials
                && !specials.add(v.to_bits_u64())
            {
                self.specials = None;
            }
        }
        if valid > 0 {
            self.range(min, max, valid);
        }
    }

    /// Adds the range of some valid points.
    fn range(&mut self, min: f64, max: f64, points: usize) {
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.valid += points;
        self.extremes.add(min, max, points);
    }
}

impl FieldStats {
    /// Gathers the statistics of `field`, with `fill`, and the sentinels that are given or to be found, as values that
    /// are masked.
    pub(crate) fn of(field: &FieldView<'_>, fill: Option<f64>, sentinels: &Sentinels) -> Self {
        match field.values {
            Values::F32(values) => gather(field, values, fill, sentinels),
            Values::F64(values) => gather(field, values, fill, sentinels),
        }
    }

    /// max − min.
    pub(crate) fn range(&self) -> f64 {
        self.max - self.min
    }
}

fn gather<T: Element>(field: &FieldView<'_>, values: &[T], fill: Option<f64>, sentinels: &Sentinels) -> FieldStats {
    let given: &[f64] = if let Sentinels::Given(values) = sentinels { values } else { &[] };
    let mut marks: Vec<T> = fill.iter().chain(given).map(|&value| T::from_f64(value)).collect();
    let named = marks.len();
    let mut all = Accumulator::new();
    let first = values[0].to_bits_u64();
    let mut uniform = true;
    let mut buffer = Vec::new();
    for_each_row(field, values, &mut buffer, |row| {
        uniform = uniform && row.iter().all(|v| v.to_bits_u64() == first);
        all.row(row, &marks);
    });
    let mut found = Vec::new();
    if *sentinels == Sentinels::Auto && all.valid > 0 && all.extremes.may_hide_sentinels(all.min, all.max) {
        found = sentinels::find(field, values, &marks);
    }
    let maskable = all.specials.is_some();
    while !found.is_empty() {
        marks.truncate(named);
        marks.extend(&found);
        all = Accumulator::new();
        for_each_row(field, values, &mut buffer, |row| all.row(row, &marks));
        if all.specials.is_some() || !maskable {
            break;
        }
        // As many as a mask has room for.
        found.pop();
    }
    let none = all.valid == 0;
    FieldStats {
        valid: all.valid,
        min: if none { 0.0 } else { all.min },
        max: if none { 0.0 } else { all.max },
        mean: if none { 0.0 } else { all.sum / all.valid as f64 },
        specials: all.specials,
        sentinels: found.into_iter().map(T::to_f64).collect(),
        uniform: uniform.then_some(first),
    }
}

/// The affine map between a field's values and working values: `value = working · 2^exponent + mean`. The power of two
/// is exact and brings the range to between 1/2 and 1, whatever the field's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Normalisation {
    pub(crate) mean: f64,
    /// What takes the place of the mean for a frame before the field: what is predicted from it does not move with the
    /// mean of what is decoded.
    pub(crate) reference_mean: f64,
    pub(crate) exponent: i16,
    /// Decoded values are clamped to the field's own range.
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Normalisation {
    /// The map for a field of these statistics. `None` where the range cannot be represented.
    pub(crate) fn of(stats: &FieldStats) -> Option<Self> {
        let range = stats.range();
        if !(range.is_finite() && range > 0.0 && stats.mean.is_finite()) {
            return None;
        }
        let mut exponent = libm::ilogb(range) + 1;
        exponent = exponent.clamp(-1020, 1020);
        let mean = stats.mean;
        Some(Self { mean, reference_mean: mean, exponent: exponent as i16, min: stats.min, max: stats.max })
    }

    /// The map for a field all of whose data are one value, which is finite.
    pub(crate) fn of_constant(stats: &FieldStats) -> Option<Self> {
        let constant = stats.valid > 0 && stats.range() == 0.0;
        let mean = stats.min;
        constant.then_some(Self { mean, reference_mean: mean, exponent: 0, min: stats.min, max: stats.max })
    }

    /// 2^exponent: working units to the field's.
    pub(crate) fn scale(&self) -> f64 {
        libm::ldexp(1.0, i32::from(self.exponent))
    }

    /// Whether a frame before the field has another mean taken off than its own frames.
    pub(crate) fn apart(&self) -> bool {
        self.mean.to_bits() != self.reference_mean.to_bits()
    }

    /// The field's value of a working value, clamped to the field's range.
    #[inline(always)]
    pub(crate) fn restore(&self, working: f64, scale: f64) -> f64 {
        let value = working * scale + self.mean;
        if value < self.min {
            self.min
        } else if value > self.max {
            self.max
        } else {
            value
        }
    }
}

/// Whether f32 is fine enough to work in, for a field of this range and an error of `error` (root mean square, or the
/// half-width of a pointwise bound), both in the field's units.
pub(crate) fn f32_suffices(range: f64, error: f64) -> bool {
    // Rounding in the transforms stays near 2^-21 of the range; the margin keeps it under a twentieth of the error.
    error > range * 1e-5
}

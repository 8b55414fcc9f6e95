//! Offsets of predictions with which the errors of a window cancel, so that the mean of its values is kept.
//!
//! Errors of points whose index is 0 are those of their predictions, which lean to one side where values do: beside a
//! floor that many lie on, as rain on its dry days. Every so many points the encoder chooses an offset that is added to
//! their predictions, before anything is quantised: the bound holds as it does without. What errors there are is known
//! to it alone, so that offsets are coded.

use super::indices::Model;
use crate::entropy::BitCoder;
use crate::error::{Error, Result};

/// Offsets are at most a bin over this: half of its half-width.
const PARTS: i32 = 4;
/// The binary logarithm of how many units a bin has: at least, and for a window's last points, at most for others.
const COARSE: u32 = 4;
const FINE: u32 = 16;
/// How often an offset is tried, and how often that of a window's last points, which have the last word.
const TRIALS: usize = 3;
const LAST_TRIALS: usize = 12;
/// Multiples of it, less what is whole, are spread evenly.
const GOLDEN: f64 = 0.618_033_988_75;

/// What the errors of the points coded so far add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// Points with data.
    pub(crate) points: usize,
    /// Their decoded less their original values.
    pub(crate) sum: f64,
    /// What the sum may come to in the end.
    allowed: f64,
}

/// The next points to be coded: how many, and whether a window ends with them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) points: usize,
    pub(super) last: bool,
    /// The width of their bins.
    pub(super) bin: f64,
}

impl Next {
    /// How many units a bin has, of which offsets are multiples: the more points an offset is for, the more. What is left
    /// is less than errors that are not alike come to.
    fn units(&self) -> i32 {
        let bits = usize::BITS - self.points.leading_zeros();
        1 << if self.last { FINE } else { (bits / 2 + 1).clamp(COARSE, FINE) }
    }

    /// The offset of so many units.
    fn offset(&self, number: i32) -> f64 {
        f64::from(number) * (self.bin / f64::from(self.units()))
    }

    /// Codes an offset as its number of units, and gives it.
    ///
    /// # Errors
    /// `Corrupt` where no encoder wrote the bytes.
    pub(super) fn code<C: BitCoder>(&self, coder: &mut C, model: &mut Model, number: i32) -> Result<f64> {
        let (number, most) = (model.offset(coder, number)?, self.units() / PARTS);
        if number.abs() > most {
            return Err(Error::corrupt(format!("predictions are offset by {number} units, of {most} at most")));
        }
        Ok(self.offset(number))
    }
}

impl Account {
    /// An account of no errors, that may come to so much in the end.
    pub(crate) fn allowing(sum: f64) -> Self {
        Self { allowed: sum, ..Self::default() }
    }

    /// The number of units with which the errors so far and those of the next points come nearest to cancelling, and the
    /// account after these; `trial` says what they come to with an offset.
    pub(super) fn choose(self, next: Next, mut trial: impl FnMut(f64) -> f64) -> (i32, Self) {
        // A part of what errors that are not alike come to: the next points cancel that.
        let noise = 0.5 * next.bin * (next.points as f64).sqrt();
        let (enough, trials) = if next.last { (self.allowed, LAST_TRIALS) } else { (noise, TRIALS) };
        let mut tried: Vec<(i32, f64)> = Vec::with_capacity(trials);
        let mut number = 0;
        loop {
            let sum = self.sum + trial(next.offset(number));
            if !sum.is_finite() {
                break;
            }
            tried.push((number, sum));
            if sum.abs() <= enough || tried.len() == trials {
                break;
            }
            let limit = next.units() / PARTS;
            number = following(&tried, next.points as f64 * next.offset(1), limit);
            if tried.iter().any(|before| before.0 == number) {
                // Where the sum jumps over zero, others are as good as any.
                number = (f64::from(limit) * ((tried.len() as f64 * GOLDEN).fract() - 0.5)) as i32;
            }
        }
        let best = tried.into_iter().min_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
        best.map_or((0, self), |(number, sum)| (number, Self { sum, ..self }))
    }
}

/// The number within ±`limit` to try after these, each with the sum that it gave; a unit changes the sum by `most` at
/// most.
fn following(tried: &[(i32, f64)], most: f64, limit: i32) -> i32 {
    let nearest = |positive: bool| {
        let of_sign = tried.iter().filter(move |(_, sum)| (*sum > 0.0) == positive);
        of_sign.min_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
    };
    let (number, sum) = tried[tried.len() - 1];
    let next = match (nearest(true), nearest(false)) {
        (Some(a), Some(b)) => {
            let between = f64::from(a.0) + f64::from(b.0 - a.0) * (a.1 / (a.1 - b.1)).clamp(0.05, 0.95);
            return between.round() as i32;
        }
        _ if tried.len() == 1 => -sum / most,
        _ => {
            let before = tried[tried.len() - 2];
            let slope = (sum - before.1) / f64::from(number - before.0);
            f64::from(number) - sum / slope.max(0.1 * most)
        }
    };
    next.round().clamp(-f64::from(limit), f64::from(limit)) as i32
}

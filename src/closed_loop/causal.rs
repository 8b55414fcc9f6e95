//! A predictor in C order whose weights are fitted to the window: which points behind it sees, and what they weigh.

use super::indices::Model;
use super::levels::{AXES, Grid, INNER};
use super::quantise::Quantiser;
use super::samples::Samples;
use super::taps::WEIGHT_BITS;
use super::work::Work;
use crate::entropy::BitCoder;
use crate::error::Result;
use crate::field::Element;

/// The most samples taken.
const SAMPLES: usize = 6000;
/// The variance of an error spread evenly over a bin, in squared bins.
const EVEN: f64 = 1.0 / 12.0;

/// Offsets along each axis of the points seen; the first is the point that others are compared with.
fn pattern(grid: &Grid) -> Vec<[i32; AXES]> {
    let axes: Vec<usize> = (0..AXES).rev().filter(|&axis| grid.dims[axis] > 1).collect();
    let at = |parts: &[(usize, i32)]| {
        let mut offset = [0; AXES];
        for &(axis, by) in parts {
            offset[axis] = by;
        }
        offset
    };
    let Some(&x) = axes.first() else { return Vec::new() };
    let mut all = vec![at(&[(x, -1)]), at(&[(x, -2)])];
    if axes.len() == 1 {
        all.extend([at(&[(x, -3)]), at(&[(x, -4)])]);
    }
    if let Some(&y) = axes.get(1) {
        all.extend([-2, -1, 0, 1, 2].map(|i| at(&[(x, i), (y, -1)])));
        all.push(at(&[(y, -2)]));
    }
    for (k, &z) in axes.iter().enumerate().skip(2) {
        all.push(at(&[(z, -1)]));
        all.push(at(&[(z, -2)]));
        for &other in &axes[..k] {
            all.extend([at(&[(other, -1), (z, -1)]), at(&[(other, 1), (z, -1)])]);
        }
        if k == 2 {
            let y = axes[1];
            all.extend([(-1, -1), (-1, 1), (1, -1), (1, 1)].map(|(i, j)| at(&[(x, i), (y, j), (z, -1)])));
        }
    }
    all
}

/// The points behind that a fitted predictor sees, as distances in C order, and their weights.
pub(super) struct Fitted {
    pub(super) taps: Vec<(usize, f64)>,
    /// How far from each axis's first and last index all points exist.
    low: [usize; AXES],
    high: [usize; AXES],
}

impl Fitted {
    /// Whether all points exist around a place.
    #[inline(always)]
    pub(super) fn reaches(&self, grid: &Grid, at: &[usize; AXES]) -> bool {
        (0..AXES).all(|axis| at[axis] >= self.low[axis] && at[axis] + self.high[axis] < grid.dims[axis])
    }

    /// Where along a row all points exist, if they do at all: from which index on, and up to which.
    pub(super) fn reaches_from(&self) -> usize {
        self.low[INNER]
    }

    pub(super) fn reaches_until(&self, grid: &Grid) -> usize {
        grid.dims[INNER] - self.high[INNER]
    }

    /// The predictor of a window; fitted to the values when encoding, and coded. `None` for a window too small for one.
    pub(super) fn code<T: Element, C: BitCoder>(
        coder: &mut C,
        model: &mut Model,
        work: &Work<'_, T>,
        quantiser: &Quantiser,
    ) -> Result<Option<Self>> {
        let grid = &work.grid;
        if !Self::fits(grid) {
            return Ok(None);
        }
        let pattern = pattern(grid);
        let (mut low, mut high) = ([0; AXES], [0; AXES]);
        for axis in 0..AXES {
            low[axis] = pattern.iter().map(|tap| (-tap[axis]).max(0)).max().unwrap_or(0) as usize;
            high[axis] = pattern.iter().map(|tap| tap[axis].max(0)).max().unwrap_or(0) as usize;
        }
        let distances: Vec<usize> = pattern
            .iter()
            .map(|tap| {
                (0..AXES).map(|axis| -i64::from(tap[axis]) * grid.strides[axis] as i64).sum::<i64>().max(0) as usize
            })
            .collect();
        let mut fitted = Self { taps: distances.iter().map(|&distance| (distance, 0.0)).collect(), low, high };
        let count = distances.len().saturating_sub(1);
        let mut weights = vec![0; count];
        if C::ENCODES {
            weights = fitted.fit(work, quantiser).unwrap_or(weights);
        }
        for (k, weight) in weights.iter_mut().enumerate() {
            *weight = model.number(coder, *weight, 2 + k.min(13))?;
        }
        let one = f64::from(1 << WEIGHT_BITS);
        for (tap, &weight) in fitted.taps[1..].iter_mut().zip(&weights) {
            tap.1 = f64::from(weight) / one;
        }
        fitted.taps[0].1 = f64::from((1 << WEIGHT_BITS) - weights.iter().sum::<i32>()) / one;
        Ok(Some(fitted))
    }

    /// Weights of all points but the first.
    fn fit<T: Element>(&self, work: &Work<'_, T>, quantiser: &Quantiser) -> Option<Vec<i32>> {
        let (grid, width) = (&work.grid, self.taps.len() - 1);
        let n = grid.len().min(SAMPLES);
        let mut samples = Samples { width, ..Samples::default() };
        for i in 0..n {
            let flat = (i as u128 * grid.len() as u128 / n as u128) as usize;
            if !self.reaches(grid, &grid.coordinates(flat)) || work.is_masked(flat) {
                continue;
            }
            let value = |distance: usize| work.source[flat - distance].to_f64();
            if self.taps.iter().any(|&(distance, _)| work.is_masked(flat - distance)) {
                continue;
            }
            let first = value(self.taps[0].0);
            samples.rows.extend(self.taps[1..].iter().map(|&(distance, _)| value(distance) - first));
            samples.targets.push(work.source[flat].to_f64() - first);
        }
        let mut weights = vec![0; width];
        for _ in 0..3 {
            weights = samples.fit(&weights, quantiser, EVEN)?;
        }
        Some(weights)
    }

    /// Whether a grid is large enough for one.
    pub(super) fn fits(grid: &Grid) -> bool {
        grid.dims[INNER] >= 8 && grid.len() >= 512 && (0..AXES).all(|axis| grid.dims[axis] == 1 || grid.dims[axis] >= 5)
    }
}

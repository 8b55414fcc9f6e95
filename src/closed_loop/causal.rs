//! A predictor in C order whose weights are fitted to the field: which points behind it sees, and what they weigh.

use super::fit;
use super::indices::Model;
use super::levels::{AXES, Grid, INNER};
use super::quantise::Quantiser;
use super::taps::WEIGHT_BITS;
use super::work::Work;
use crate::entropy::BitCoder;
use crate::error::{Error, Result};
use crate::field::Element;

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

    /// The predictor of a grid; fitted to the values when encoding, and coded.
    pub(super) fn code<T: Element, C: BitCoder>(
        coder: &mut C,
        model: &mut Model,
        work: &Work<'_, T>,
        quantiser: &Quantiser,
    ) -> Result<Self> {
        let grid = &work.grid;
        if !Self::fits(grid) {
            return Err(Error::corrupt("a field is too small for a fitted predictor"));
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
            weights = fit::causal(&fitted, grid, work.source, work.mask, quantiser).unwrap_or(weights);
        }
        for (k, weight) in weights.iter_mut().enumerate() {
            *weight = model.number(coder, *weight, 2 + k.min(13))?;
        }
        let one = f64::from(1 << WEIGHT_BITS);
        for (tap, &weight) in fitted.taps[1..].iter_mut().zip(&weights) {
            tap.1 = f64::from(weight) / one;
        }
        fitted.taps[0].1 = f64::from((1 << WEIGHT_BITS) - weights.iter().sum::<i32>()) / one;
        Ok(fitted)
    }

    /// Whether a grid is large enough for one.
    pub(super) fn fits(grid: &Grid) -> bool {
        grid.dims[INNER] >= 8 && grid.len() >= 512 && (0..AXES).all(|axis| grid.dims[axis] == 1 || grid.dims[axis] >= 5)
    }
}

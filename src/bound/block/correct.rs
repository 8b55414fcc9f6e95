//! How one block is corrected: bases, the choice of coefficients, and their application.
//!
//! In: a block's error in units of τ. Out: a [`Plan`], with which [`apply`] brings the block under the bound, in both
//! directions alike.

use super::grid::{Block, Grid, POINTS, SIDE};
use crate::residual::basis::Basis;
use std::sync::LazyLock;

/// The most PCA vectors that are stored.
pub(super) const MAX_VECTORS: usize = 64;
/// Bits of a step's index.
pub(super) const STEP_BITS: u32 = 5;
/// Halvings of the step that a block may ask for; this many stand for a block that is stored bit for bit.
pub(super) const EXACT: u32 = 24;
/// The largest magnitude of a quantised coefficient.
pub(super) const MAX_MAGNITUDE: u64 = 1 << 50;
/// Entries of a stored vector are in units of 1 / ENTRY_UNITS.
pub(super) const ENTRY_UNITS: f64 = 128.0;
/// The coarsest coefficient step in units of τ; each index halves it twice as slowly: 2^(1 − i/2).
const COARSEST: f64 = 2.0;
/// The squared norm of a block's error, in units of τ², up to which the estimate from its coefficients counts as met.
const PLANNED: f64 = 1.0 - 1e-7;

/// Orthonormal cosine bases of 1 to 8 points.
static COSINES: LazyLock<[Basis; SIDE]> = LazyLock::new(|| std::array::from_fn(|n| Basis::cosine(n + 1)));

/// The direction of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Inverse,
}

/// The cosine transform of a block, in place, along each axis.
fn cosine_transform(values: &mut [f64; POINTS], size: [usize; 3], direction: Direction) {
    for (axis, stride) in [SIDE * SIDE, SIDE, 1].into_iter().enumerate() {
        let n = size[axis];
        let basis = &COSINES[n - 1];
        let others: [usize; 2] = std::array::from_fn(|i| [[1, 2], [0, 2], [0, 1]][axis][i]);
        let strides = others.map(|a| [SIDE * SIDE, SIDE, 1][a]);
        for i in 0..size[others[0]] {
            for j in 0..size[others[1]] {
                let start = i * strides[0] + j * strides[1];
                let line: [f64; SIDE] = std::array::from_fn(|k| if k < n { values[start + k * stride] } else { 0.0 });
                let mut out = [0.0; SIDE];
                for (k, &value) in line[..n].iter().enumerate() {
                    if direction == Direction::Inverse {
                        for (o, b) in out[..n].iter_mut().zip(basis.row(k)) {
                            *o += value * b;
                        }
                    } else {
                        out[k] = line[..n].iter().zip(basis.row(k)).map(|(v, b)| v * b).sum();
                    }
                }
                for (k, &value) in out[..n].iter().enumerate() {
                    values[start + k * stride] = value;
                }
            }
        }
    }
}

/// The stored PCA vectors, nearly orthonormal.
#[derive(Clone, Debug, Default)]
pub(super) struct Vectors {
    pub(super) entries: Vec<[i8; POINTS]>,
    pub(super) rows: Vec<[f64; POINTS]>,
}

impl Vectors {
    pub(super) fn push(&mut self, entries: [i8; POINTS]) {
        self.rows.push(entries.map(|v| f64::from(v) / ENTRY_UNITS));
        self.entries.push(entries);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn first(&self, count: usize) -> Self {
        Self { entries: self.entries[..count].to_vec(), rows: self.rows[..count].to_vec() }
    }

    /// The leading vectors of `errors`, by falling energy.
    pub(super) fn pca(errors: &[[f64; POINTS]], count: usize) -> Self {
        let mut out = Self::default();
        let dot = |a: &[f64; POINTS], b: &[f64; POINTS]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        // The smaller of the two second-moment matrices: over blocks, or over points.
        let over_blocks = errors.len() < POINTS;
        let n = errors.len().min(POINTS);
        let mut moments = faer::Mat::<f64>::zeros(n, n);
        if over_blocks {
            for i in 0..n {
                for j in 0..=i {
                    moments[(i, j)] = dot(&errors[i], &errors[j]);
                }
            }
        } else {
            for error in errors {
                for (j, &b) in error.iter().enumerate() {
                    if b != 0.0 {
                        for (i, &a) in error.iter().enumerate().skip(j) {
                            moments[(i, j)] += a * b;
                        }
                    }
                }
            }
        }
        let Ok(eigen) = moments.self_adjoint_eigen(faer::Side::Lower) else {
            return out; // the cosine basis does it alone
        };
        // faer sorts by rising eigenvalue.
        for column in (0..n).rev().take(count) {
            let mut vector = [0.0; POINTS];
            for k in 0..n {
                let weight = eigen.U()[(k, column)];
                if over_blocks {
                    for (v, e) in vector.iter_mut().zip(&errors[k]) {
                        *v += weight * e;
                    }
                } else {
                    vector[k] = weight;
                }
            }
            let norm = dot(&vector, &vector).sqrt();
            if !(norm.is_finite() && norm > 0.0) {
                break;
            }
            out.push(vector.map(|v| (v / norm * ENTRY_UNITS).round() as i8));
        }
        out
    }
}

/// How a block is corrected: halvings of the step, coefficients (position, value) by rising position, or its bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) refinement: u32,
    pub(super) vectors: Vec<(u16, i64)>,
    pub(super) cosines: Vec<(u16, i64)>,
    pub(super) exact: Vec<u64>,
}

/// The step in units of τ: that of index `step`, halved `refinement` times.
fn step_size(step: u32, refinement: u32) -> f64 {
    let halvings = (step / 2 + refinement) as i32;
    let coarse = if step.is_multiple_of(2) { COARSEST } else { COARSEST * std::f64::consts::FRAC_1_SQRT_2 };
    coarse / (1u64 << halvings) as f64
}

/// The blocks of a window, their coefficients' step (its index), and the bound.
pub(super) struct Scheme<'a> {
    pub(super) grid: &'a Grid,
    pub(super) step: u32,
    pub(super) tau: f64,
}

/// Corrects a block. The one place that does, for both directions.
pub(super) fn apply(plan: &Plan, scheme: &Scheme<'_>, block: &Block, vectors: &Vectors, decoded: &mut [f64]) {
    let &Scheme { grid, step, tau } = scheme;
    if plan.refinement == EXACT {
        let mut bits = plan.exact.iter();
        for (at, _) in grid.rows(block) {
            for (value, &bits) in decoded[at..][..block.size[2]].iter_mut().zip(&mut bits) {
                *value = f64::from_bits(bits);
            }
        }
        return;
    }
    let unit = step_size(step, plan.refinement);
    let mut correction = [0.0; POINTS];
    if !plan.cosines.is_empty() {
        for &(at, value) in &plan.cosines {
            correction[usize::from(at)] = value as f64 * unit;
        }
        cosine_transform(&mut correction, block.size, Direction::Inverse);
    }
    for &(at, value) in &plan.vectors {
        let scale = value as f64 * unit;
        for (c, v) in correction.iter_mut().zip(&vectors.rows[usize::from(at)]) {
            *c += scale * v;
        }
    }
    for (at, local) in grid.rows(block) {
        for (value, c) in decoded[at..][..block.size[2]].iter_mut().zip(&correction[local..]) {
            *value += tau * c;
        }
    }
}

/// A block's error and its cosine coefficients by falling magnitude.
pub(super) struct Prepared {
    pub(super) energy: f64,
    error: [f64; POINTS],
    cosines: Vec<(f64, u16)>,
}

fn by_magnitude(error: &[f64; POINTS], size: [usize; 3]) -> Vec<(f64, u16)> {
    let mut values = *error;
    cosine_transform(&mut values, size, Direction::Forward);
    let mut out: Vec<(f64, u16)> =
        values.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, &v)| (v, i as u16)).collect();
    out.sort_unstable_by(|a, b| b.0.abs().total_cmp(&a.0.abs()).then(a.1.cmp(&b.1)));
    out
}

impl Prepared {
    pub(super) fn new(energy: f64, error: [f64; POINTS], block: &Block) -> Self {
        Self { energy, error, cosines: by_magnitude(&error, block.size) }
    }

    /// The coefficients with which the bound should hold at this step; `None` where the step is too coarse.
    fn plan(&self, block: &Block, step: u32, refinement: u32, vectors: &Vectors) -> Option<Plan> {
        let unit = step_size(step, refinement);
        let mut plan = Plan { refinement, ..Plan::default() };
        let mut energy = self.energy;
        let changed;
        let mut cosines = &self.cosines;
        if vectors.len() > 0 {
            let dot = |a: &[f64; POINTS], b: &[f64; POINTS]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
            let mut left = self.error;
            let mut order: Vec<(f64, usize)> =
                vectors.rows.iter().enumerate().map(|(i, row)| (dot(row, &left).abs(), i)).collect();
            order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
            for (magnitude, i) in order {
                if energy <= PLANNED || magnitude < 0.4 * unit {
                    break;
                }
                let value = quantise(dot(&vectors.rows[i], &left), unit)?;
                if value == 0 {
                    continue;
                }
                for (l, v) in left.iter_mut().zip(&vectors.rows[i]) {
                    *l -= value as f64 * unit * v;
                }
                energy = dot(&left, &left);
                plan.vectors.push((i as u16, value));
            }
            plan.vectors.sort_unstable();
            if energy > PLANNED {
                changed = by_magnitude(&left, block.size);
                cosines = &changed;
            }
        }
        for &(coefficient, at) in cosines {
            if energy <= PLANNED {
                break;
            }
            let value = quantise(coefficient, unit)?;
            if value == 0 {
                return None;
            }
            let left = coefficient - value as f64 * unit;
            energy += left * left - coefficient * coefficient;
            plan.cosines.push((at, value));
        }
        if energy > PLANNED || energy.is_nan() {
            return None;
        }
        plan.cosines.sort_unstable();
        Some(plan)
    }

    /// Plans worth trying, the cheapest by estimate first, then finer and finer ones.
    pub(super) fn plans<'a>(
        &'a self,
        block: &'a Block,
        step: u32,
        vectors: &'a Vectors,
    ) -> impl Iterator<Item = Plan> + 'a {
        let mut at = 0;
        let mut next = move || {
            while at < EXACT {
                at += 1;
                if let Some(plan) = self.plan(block, step, at - 1, vectors) {
                    return Some(plan);
                }
            }
            None
        };
        let mut waiting = if self.energy.is_finite() { next() } else { None };
        let mut first = true;
        std::iter::from_fn(move || {
            let mut plan = waiting.take()?;
            waiting = next();
            if first
                && let Some(finer) = &mut waiting
                && finer.estimate() < plan.estimate()
            {
                std::mem::swap(finer, &mut plan);
            }
            first = false;
            Some(plan)
        })
    }
}

impl Plan {
    /// About how many bits it takes.
    fn estimate(&self) -> f64 {
        let kept = (self.cosines.len() + self.vectors.len()) as f64;
        let magnitudes: u32 = self.cosines.iter().chain(&self.vectors).map(|v| 2 * v.1.unsigned_abs().ilog2()).sum();
        kept * ((POINTS as f64 / kept.max(1.0)).log2() + 3.0) + f64::from(magnitudes)
    }
}

/// Nearest multiple of `unit`; `None` beyond the largest that is coded.
fn quantise(value: f64, unit: f64) -> Option<i64> {
    let value = (value / unit).round();
    (value.abs() < MAX_MAGNITUDE as f64).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_transforms_invert() {
        let mut state = 9u64;
        for size in [[8, 8, 8], [1, 8, 3], [5, 1, 1], [2, 7, 8]] {
            let mut values = [0.0; POINTS];
            for (i, v) in values.iter_mut().enumerate() {
                if i / 64 < size[0] && i / 8 % 8 < size[1] && i % 8 < size[2] {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *v = (state >> 40) as f64;
                }
            }
            let before = values;
            cosine_transform(&mut values, size, Direction::Forward);
            let energy = |v: &[f64; POINTS]| v.iter().map(|v| v * v).sum::<f64>();
            assert!((energy(&values) / energy(&before) - 1.0).abs() < 1e-12);
            cosine_transform(&mut values, size, Direction::Inverse);
            assert!(values.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}

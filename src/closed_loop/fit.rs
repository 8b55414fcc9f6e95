//! The encoder's choice of a pass's weights: interpolants, or weights fitted to the values around.

use super::causal::Fitted;
use super::levels::{Grid, Pass};
use super::quantise::Quantiser;
use super::taps::{Taps, WEIGHT_BITS};
use crate::field::Element;

/// Samples of a pass: each group's difference from the first, and the value's.
struct Samples {
    width: usize,
    rows: Vec<f64>,
    targets: Vec<f64>,
}

/// The most samples taken.
const SAMPLES: usize = 6000;
/// The least samples for a weight that fitting is tried with.
const PER_WEIGHT: usize = 24;
/// Weights fitted lie within this, in units.
const MOST: f64 = 4.0;

/// The weights with the least cost on a sample, and whether they were fitted: (kind, weights).
pub(super) fn choose<T: Element>(
    taps: &mut Taps<'_>,
    grid: &Grid,
    pass: &Pass,
    source: &[T],
    known: &[T],
    mask: Option<&[bool]>,
    quantiser: &Quantiser,
) -> (usize, Vec<i32>) {
    let samples = sample(taps, grid, pass, source, known, mask);
    let mut best = (0, taps.interpolation(false));
    let mut least = samples.cost(&best.1, quantiser);
    let scale = pass.len() as f64 / samples.targets.len().max(1) as f64;
    for kind in 1..kinds(taps) {
        let weights = fixed(taps, kind);
        let cost = samples.cost(&weights, quantiser);
        if cost < least {
            (least, best) = (cost, (kind, weights));
        }
    }
    if samples.targets.len() >= PER_WEIGHT * taps.len() && taps.len() > 0 {
        let mut weights = best.1.clone();
        for _ in 0..2 {
            let Some(next) = samples.fit(&weights, quantiser, 0.0) else { break };
            weights = next;
            let cost = samples.cost(&weights, quantiser);
            let side = 7.0 * weights.len() as f64;
            if cost * scale + side < least * scale {
                (least, best) = (cost + side / scale, (kinds(taps), weights.clone()));
            }
        }
    }
    best
}

/// How many fixed sets of weights a pass has.
pub(super) fn kinds(taps: &Taps<'_>) -> usize {
    if taps.odd_axes() == 1 { 2 } else { 2 + 2 * taps.odd_axes() }
}

/// A fixed set of weights.
pub(super) fn fixed(taps: &Taps<'_>, kind: usize) -> Vec<i32> {
    match kind {
        0 | 1 => taps.interpolation(kind == 1),
        _ => taps.along((kind - 2) / 2, kind % 2 == 1),
    }
}

/// The variance of an error spread evenly over a bin, in squared bins.
const EVEN: f64 = 1.0 / 12.0;

/// Weights of a predictor in C order, of all points but the first.
pub(super) fn causal<T: Element>(
    fitted: &Fitted,
    grid: &Grid,
    source: &[T],
    mask: Option<&[bool]>,
    quantiser: &Quantiser,
) -> Option<Vec<i32>> {
    let width = fitted.taps.len() - 1;
    let n = grid.len().min(SAMPLES);
    let mut samples = Samples { width, rows: Vec::new(), targets: Vec::new() };
    for i in 0..n {
        let flat = (i as u128 * grid.len() as u128 / n as u128) as usize;
        let masked = |at: usize| mask.is_some_and(|mask| mask[at]);
        if !fitted.reaches(grid, &grid.coordinates(flat)) || masked(flat) {
            continue;
        }
        let value = |distance: usize| source[flat - distance].to_f64();
        if fitted.taps.iter().any(|&(distance, _)| masked(flat - distance)) {
            continue;
        }
        let first = value(fitted.taps[0].0);
        samples.rows.extend(fitted.taps[1..].iter().map(|&(distance, _)| value(distance) - first));
        samples.targets.push(source[flat].to_f64() - first);
    }
    let mut weights = vec![0; width];
    for _ in 0..3 {
        weights = samples.fit(&weights, quantiser, EVEN)?;
    }
    Some(weights)
}

fn sample<T: Element>(
    taps: &mut Taps<'_>,
    grid: &Grid,
    pass: &Pass,
    source: &[T],
    known: &[T],
    mask: Option<&[bool]>,
) -> Samples {
    let width = taps.len();
    let total = pass.len();
    let n = (total / 4).clamp(256, SAMPLES).min(total);
    let mut samples = Samples { width, rows: Vec::with_capacity(n * width), targets: Vec::with_capacity(n) };
    for i in 0..n {
        // Spread evenly, at places that change from row to row.
        let index = (i as u128 * total as u128 / n as u128) as usize;
        let inner = pass.count[3];
        let mut at = pass.row(index / inner);
        at[3] += index % inner * pass.stride[3];
        let flat: usize = (0..4).map(|axis| at[axis] * grid.strides[axis]).sum();
        if mask.is_some_and(|mask| mask[flat]) {
            continue;
        }
        let template = taps.template(&at);
        let template = taps.get(template);
        let mean = |group: &[(isize, f64)], causal: &[T]| -> f64 {
            group.iter().map(|&(offset, share)| causal[flat.wrapping_add_signed(offset)].to_f64() * share).sum()
        };
        let first = mean(&template.groups[0], known);
        for (k, group) in template.groups.iter().enumerate().skip(1) {
            let values = if taps.is_causal(k) { source } else { known };
            samples.rows.push(mean(group, values) - first);
        }
        samples.targets.push(source[flat].to_f64() - first);
    }
    samples
}

impl Samples {
    fn residual(&self, i: usize, weights: &[f64]) -> f64 {
        let row = &self.rows[i * self.width..][..self.width];
        self.targets[i] - row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()
    }

    /// About how many bits the residuals take.
    fn cost(&self, weights: &[i32], quantiser: &Quantiser) -> f64 {
        let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w) / f64::from(1 << WEIGHT_BITS)).collect();
        // One logarithm for many factors.
        let (mut bits, mut product) = (0.0, 1.0f64);
        for i in 0..self.targets.len() {
            let r = quantiser.bins(self.residual(i, &weights)).abs().min(1e50);
            product *= 1.0 + 4.0 * r * r;
            if product > 1e100 {
                bits += product.log2();
                product = 1.0;
            }
        }
        bits + product.log2()
    }

    /// Least squares with each sample weighted by what its residual under `weights` costs; `None` where it cannot be
    /// solved. `noise`: the variance of each point used, in squared bins, that the samples do not have.
    fn fit(&self, weights: &[i32], quantiser: &Quantiser, noise: f64) -> Option<Vec<i32>> {
        let n = self.width;
        let one = f64::from(1 << WEIGHT_BITS);
        let start: Vec<f64> = weights.iter().map(|&w| f64::from(w) / one).collect();
        let mut normal = vec![0.0; n * n];
        let mut right = vec![0.0; n];
        for i in 0..self.targets.len() {
            let r = quantiser.bins(self.residual(i, &start));
            let weight = 1.0 / (0.25 + r * r);
            let row = &self.rows[i * n..][..n];
            for a in 0..n {
                let x = quantiser.bins(row[a]) * weight;
                // All are differences from one point, whose noise they share.
                right[a] += x * quantiser.bins(self.targets[i]) + noise * weight;
                for b in 0..=a {
                    normal[a * n + b] += x * quantiser.bins(row[b]) + noise * weight;
                }
                normal[a * n + a] += noise * weight;
            }
        }
        let trace: f64 = (0..n).map(|a| normal[a * n + a]).sum();
        if !trace.is_finite() || trace <= 0.0 {
            return None;
        }
        for a in 0..n {
            // Towards the weights that it starts from.
            let ridge = 1e-4 * trace / n as f64 + 1e-4 * normal[a * n + a];
            right[a] += ridge * start[a];
            normal[a * n + a] += ridge;
        }
        let solved = cholesky(&mut normal, &mut right, n)?;
        Some(solved.iter().map(|w| (w.clamp(-MOST, MOST) * one).round() as i32).collect())
    }
}

/// Solves a symmetric positive system given by its lower triangle.
fn cholesky(a: &mut [f64], b: &mut [f64], n: usize) -> Option<Vec<f64>> {
    for j in 0..n {
        for k in 0..j {
            for i in j..n {
                a[i * n + j] -= a[i * n + k] * a[j * n + k];
            }
        }
        let d = a[j * n + j];
        if d.is_nan() || d <= 0.0 {
            return None;
        }
        let root = d.sqrt();
        for i in j..n {
            a[i * n + j] /= root;
        }
    }
    for i in 0..n {
        for k in 0..i {
            b[i] -= a[i * n + k] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            b[i] -= a[k * n + i] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    b.iter().all(|v| v.is_finite()).then(|| b.to_vec())
}

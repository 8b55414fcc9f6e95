//! Points that weights are fitted to: what a predictor sees of each, and the value.

use super::quantise::Quantiser;
use super::taps::WEIGHT_BITS;

/// Weights fitted lie within this, in units.
const MOST: f64 = 4.0;

/// Differences of what a predictor sees from the first of it, and the values' from that.
#[derive(Default)]
pub(super) struct Samples {
    /// Differences of a sample.
    pub(super) width: usize,
    pub(super) rows: Vec<f64>,
    pub(super) targets: Vec<f64>,
}

impl Samples {
    fn residual(&self, i: usize, weights: &[f64]) -> f64 {
        let row = &self.rows[i * self.width..][..self.width];
        self.targets[i] - row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()
    }

    /// About how many bits the residuals take.
    pub(super) fn cost(&self, weights: &[i32], quantiser: &Quantiser) -> f64 {
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
    pub(super) fn fit(&self, weights: &[i32], quantiser: &Quantiser, noise: f64) -> Option<Vec<i32>> {
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

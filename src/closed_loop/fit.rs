//! The encoder's choice of a pass's weights: interpolants, or weights fitted to the values around.

use super::levels::{AXES, INNER, Pass};
use super::quantise::Quantiser;
use super::samples::Samples;
use super::taps::{Degree, Taps};
use super::work::Work;
use crate::field::Element;

/// The most samples taken.
const SAMPLES: usize = 6000;
/// The least samples for a weight that fitting is tried with.
const PER_WEIGHT: usize = 24;

/// The weights with the least cost on a sample, and whether they were fitted: (kind, weights).
pub(super) fn choose<T: Element>(
    taps: &mut Taps<'_>,
    pass: &Pass,
    work: &Work<'_, T>,
    quantiser: &Quantiser,
) -> (usize, Vec<i32>) {
    let samples = sample(taps, pass, work);
    let mut best = (0, taps.interpolation(Degree::Linear));
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
    // Both lists have linear and cubic in turn.
    let degree = if kind.is_multiple_of(2) { Degree::Linear } else { Degree::Cubic };
    match kind {
        0 | 1 => taps.interpolation(degree),
        _ => taps.along((kind - 2) / 2, degree),
    }
}

fn sample<T: Element>(taps: &mut Taps<'_>, pass: &Pass, work: &Work<'_, T>) -> Samples {
    let width = taps.len();
    let total = pass.len();
    let n = (total / 4).clamp(256, SAMPLES).min(total);
    let mut samples = Samples { width, rows: Vec::with_capacity(n * width), targets: Vec::with_capacity(n) };
    for i in 0..n {
        // Spread evenly, at places that change from row to row.
        let index = (i as u128 * total as u128 / n as u128) as usize;
        let inner = pass.count[INNER];
        let mut at = pass.row(index / inner);
        at[INNER] += index % inner * pass.stride[INNER];
        let flat: usize = (0..AXES).map(|axis| at[axis] * work.grid.strides[axis]).sum();
        if work.is_masked(flat) {
            continue;
        }
        let template = taps.template(&at);
        let template = taps.get(template);
        let mean = |group: &[(isize, f64)], values: &[T]| -> f64 {
            group.iter().map(|&(offset, share)| values[flat.wrapping_add_signed(offset)].to_f64() * share).sum()
        };
        let first = mean(&template.groups[0], work.known);
        for (k, group) in template.groups.iter().enumerate().skip(1) {
            // Points of the same pass are not known yet.
            let values = if taps.is_causal(k) { work.source } else { &*work.known };
            samples.rows.push(mean(group, values) - first);
        }
        samples.targets.push(work.source[flat].to_f64() - first);
    }
    samples
}

//! What an encoder knows of its own output: a fingerprint of what each window is reconstructed from.

use crate::bound::check::Errors;
use crate::predict::CodedWindow;
use crate::residual::real::{Index, Real};
use crate::stream::SegmentHeader;

/// What an encoder knows of its own output.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) errors: Errors,
    /// A fingerprint of each window.
    pub(crate) windows: Vec<u64>,
    /// The segment's header, which has its basis.
    pub(crate) header: SegmentHeader,
}

/// Sums that are taken side by side.
const LANES: usize = 16;
/// Odd numbers near the golden ratio of 2^32 and 2^64.
const FACTOR: u32 = 0x9e37_79b1;
const WIDE_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of what a window is reconstructed from; `classes`: its mask, where there is one.
pub(super) fn fingerprint<R: Real>(coded: &CodedWindow<R>, classes: &[u8]) -> u64 {
    let mut lanes = [FACTOR; LANES];
    for indices in coded.indices.chunks(LANES) {
        for (lane, index) in lanes.iter_mut().zip(indices) {
            let bits = index.to_i64() as u64;
            // Their upper half tells negative ones apart.
            let word = (bits as u32).wrapping_add(((bits >> 32) as u32).wrapping_mul(FACTOR));
            *lane = (lane.rotate_left(5) ^ word).wrapping_mul(FACTOR);
        }
    }
    let mut hash = WIDE_FACTOR;
    let mut take = |value: u64| hash = (hash.rotate_left(23) ^ value).wrapping_mul(WIDE_FACTOR);
    lanes.iter().for_each(|&lane| take(u64::from(lane)));
    take(coded.count as u64);
    take(coded.indices.len() as u64);
    take(coded.step.0 as u64);
    coded.centroids.0.iter().for_each(|&centroid| take(centroid as u64));
    coded.weights.iter().flatten().for_each(|&weight| take(weight as u64));
    for classes in classes.chunks(8) {
        take(classes.iter().fold(0, |word, &class| word << 8 | u64::from(class)));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::Step;

    #[test]
    fn a_fingerprint_tells_any_change() {
        let window = CodedWindow::<f32> {
            count: 2,
            step: Step(-300),
            weights: vec![[3, -1], [0, 7]],
            indices: (0..90).map(|k| k * k % 7 - 3).collect(),
            ..Default::default()
        };
        let classes = [0, 0, 1, 0, 2];
        let usual = fingerprint(&window, &classes);
        assert_eq!(usual, fingerprint(&window.clone(), &classes));
        let mut seen = vec![usual];
        let mut note = |hash| {
            assert!(!seen.contains(&hash));
            seen.push(hash);
        };
        for at in 0..90 {
            for by in [1, -1, 1 << 20] {
                let mut other = window.clone();
                other.indices[at] += by;
                note(fingerprint(&other, &classes));
            }
        }
        note(fingerprint(&CodedWindow { step: Step(-299), ..window.clone() }, &classes));
        note(fingerprint(&CodedWindow { count: 3, ..window.clone() }, &classes));
        note(fingerprint(&CodedWindow { weights: vec![[3, -1], [1, 7]], ..window.clone() }, &classes));
        note(fingerprint(&window, &[0, 0, 1, 0, 1]));
        note(fingerprint(&window, &[]));
    }
}

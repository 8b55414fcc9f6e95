//! Streams of a size: the tightest bound whose stream fits. A search over `nrmse` that makes some streams and compares
//! them; the codec knows nothing of it.

use crate::dataset::VariableBound;
use crate::failure::Failure;
use fieldpress::{Bound, Codec, FieldView, Report};
use std::str::FromStr;

/// Bounds that are tried, and the first of them.
const LOOSEST: f64 = 0.5;
const FIRST: f64 = 1e-3;
const TIGHTEST: f64 = 1e-8;
/// What the logarithm of a stream's size grows by with that of one over the bound, about, and how many times more or less
/// it may turn out to be.
const SLOPE: f64 = 0.5;
const BEND: f64 = 4.0;
/// A stream is close enough that is so little smaller than asked.
const CLOSE: f64 = 0.02;
/// Of the gap between a bound that fits and one that does not, the least that is kept to both sides.
const INSIDE: f64 = 0.1;
/// Streams that are made, at most.
const TRIALS: usize = 8;

/// A place on the line of bounds, −ln of one, and the logarithm of its stream's size over what it may have.
type Place = (f64, f64);

/// What a field is compressed to.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// Values under a bound.
    Bound(VariableBound),
    /// A stream of at most the field's bytes over this.
    Ratio(f64),
}

impl FromStr for Goal {
    type Err = fieldpress::Error;

    fn from_str(text: &str) -> fieldpress::Result<Self> {
        let Some(ratio) = text.strip_prefix("ratio=") else { return text.parse().map(Self::Bound) };
        let number = ratio.parse().ok().filter(|ratio| (1.0..f64::INFINITY).contains(ratio));
        let expected =
            || fieldpress::Error::invalid(format!("ratio={ratio} is not valid; expected a number from 1 on"));
        number.map(Self::Ratio).ok_or_else(expected)
    }
}

/// The stream of the tightest bound of kind `nrmse`, or lossless, that has at most the field's bytes over `ratio`.
///
/// # Errors
/// Bad usage for a ratio that no bound gives; what compressing gives.
pub fn compress(codec: &Codec, field: &FieldView<'_>, ratio: f64) -> Result<(Vec<u8>, Report), Failure> {
    let mut best: Option<(Vec<u8>, Report)> = None;
    let mut smallest = 0.0f64;
    let mut tried: Vec<Place> = Vec::new();
    let mut at = -FIRST.ln();
    for _ in 0..TRIALS {
        let (stream, report) = codec.compress(field, Bound::Nrmse(rounded((-at).exp())))?;
        let own = report.input_bytes as f64 / report.stream_bytes as f64;
        smallest = smallest.max(own);
        if own >= ratio && best.as_ref().is_none_or(|(other, _)| stream.len() > other.len()) {
            best = Some((stream, report));
        }
        tried.push((at, (ratio / own).ln()));
        match next(&tried) {
            Some(place) => at = place,
            None => break,
        }
    }
    let Some((stream, report)) = best else {
        return Err(Failure::bound(format!(
            "ratio={ratio} cannot be had: the smallest stream, under nrmse={LOOSEST}, has a ratio of {smallest:.4}"
        )));
    };
    // Where the tightest bound fits, so may every bit.
    if report.info.bound.value() <= 1.01 * TIGHTEST {
        let (exact, exact_report) = codec.compress(field, Bound::Lossless)?;
        if exact_report.input_bytes as f64 >= ratio * exact_report.stream_bytes as f64 {
            return Ok((exact, exact_report));
        }
    }
    Ok((stream, report))
}

/// A bound of four digits, as people read it.
fn rounded(bound: f64) -> f64 {
    format!("{bound:.3e}").parse().unwrap_or(bound)
}

/// Where to try next, a little inside of where the size is expected; nothing where the last place is good enough.
fn next(tried: &[Place]) -> Option<f64> {
    let (low, high) = (-LOOSEST.ln(), -TIGHTEST.ln());
    let &(at, value) = tried.last()?;
    let fits = tried.iter().copied().filter(|one| one.1 <= 0.0).max_by(|a, b| a.0.total_cmp(&b.0));
    let beyond = |one: &Place| one.1 > 0.0 && fits.is_none_or(|fits| one.0 > fits.0);
    let fails = tried.iter().copied().filter(beyond).min_by(|a, b| a.0.total_cmp(&b.0));
    if fits.is_some_and(|fits| fits.1 >= -CLOSE) || (value <= 0.0 && at >= high) || (value > 0.0 && at <= low) {
        return None;
    }
    let Some(((at_fit, below), (at_fail, above))) = fits.zip(fails) else {
        let slope = match tried {
            [.., (before, other), _] => ((value - other) / (at - before)).clamp(SLOPE / BEND, SLOPE * BEND),
            _ => SLOPE,
        };
        return Some((at - (value + CLOSE / 2.0) / slope).clamp(low, high));
    };
    let gap = at_fail - at_fit;
    let expected = at_fit - (below + CLOSE / 2.0) * gap / (above - below);
    Some(expected.clamp(at_fit + INSIDE * gap, at_fail - INSIDE * gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place that the search ends at, of a size that grows so.
    fn found(excess: impl Fn(f64) -> f64) -> Option<f64> {
        let mut tried = vec![(-FIRST.ln(), excess(-FIRST.ln()))];
        while tried.len() < TRIALS
            && let Some(at) = next(&tried)
        {
            tried.push((at, excess(at)));
        }
        tried.into_iter().filter(|one| one.1 <= 0.0).map(|one| one.0).max_by(f64::total_cmp)
    }

    #[test]
    fn sizes_are_used_up() {
        for zero in [1.0, 3.0, 6.9, 10.0, 17.0] {
            for slope in [0.15, 0.4, 1.0, 1.8] {
                let at = found(|at| slope * (at - zero)).unwrap();
                assert!(at <= zero && slope * (zero - at) <= 2.0 * CLOSE, "{zero} {slope}: {at}");
            }
            // As streams grow: slowly where little is left, fast where noise is coded.
            let at = found(|at| 0.02 * (at * at - zero * zero)).unwrap();
            assert!(at <= zero && 0.02 * (zero * zero - at * at) <= 0.1, "{zero}: {at}");
        }
        assert_eq!(found(|_| 1.0), None);
        assert_eq!(found(|_| -1.0), Some(-TIGHTEST.ln()));
    }
}

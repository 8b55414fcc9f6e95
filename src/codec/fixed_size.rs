//! Streams of a size: the tightest bound whose stream fits, by a search over `nrmse` that makes some streams and compares
//! them.

use super::codec::Codec;
use super::report::Report;
use crate::bound::Bound;
use crate::error::{Error, Result};
use crate::field::FieldView;

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
/// Excesses are cut to this, so that one place where a stream is far too small does not bend the line.
const MOST: f64 = 8.0;
/// Streams that are made, at most.
const TRIALS: usize = 8;

/// A place on the line of bounds, −ln of one, and the logarithm of its stream's size over what it may have.
type Place = (f64, f64);

impl Codec {
    /// Compresses a field to a size: the stream of the tightest bound of kind `nrmse`, or lossless, that is found to have
    /// at most the field's bytes over `ratio`. Some streams are made and compared; the bound that was found is the
    /// report's, and holds as that of [`Codec::compress`] does.
    ///
    /// # Errors
    /// `InvalidArgument` for a ratio below 1, or one that no bound gives; as [`Codec::compress`].
    pub fn compress_to_ratio(&self, field: &FieldView<'_>, ratio: f64) -> Result<(Vec<u8>, Report)> {
        if !(1.0..f64::INFINITY).contains(&ratio) {
            return Err(Error::invalid(format!("ratio={ratio} is not valid; expected a number from 1 on")));
        }
        let fits = |report: &Report| report.input_bytes as f64 >= ratio * report.stream_bytes as f64;
        let mut best: Option<(Vec<u8>, Report)> = None;
        let mut smallest = 0.0f64;
        let mut tried: Vec<Place> = Vec::new();
        let mut at = Some(-FIRST.ln());
        while let (Some(place), true) = (at, tried.len() < TRIALS) {
            let (stream, report) = self.compress(field, Bound::Nrmse(rounded((-place).exp())))?;
            let own = report.input_bytes as f64 / report.stream_bytes as f64;
            smallest = smallest.max(own);
            if fits(&report) && best.as_ref().is_none_or(|(other, _)| stream.len() > other.len()) {
                best = Some((stream, report));
            }
            tried.push((place, (ratio / own).ln().clamp(-MOST, MOST)));
            // Where nothing has fitted yet, the last trial is the one that is most likely to.
            let last = tried.len() + 1 == TRIALS && best.is_none();
            at = next(&tried).map(|at| if last { -LOOSEST.ln() } else { at });
        }
        let Some((stream, report)) = best else {
            return Err(Error::invalid(format!(
                "ratio={ratio} cannot be had: the smallest stream, under nrmse={LOOSEST}, has a ratio of {smallest:.4}"
            )));
        };
        // Where the tightest bound fits, so may every bit.
        if report.info.bound.value() <= 1.01 * TIGHTEST {
            let exact = self.compress(field, Bound::Lossless)?;
            if fits(&exact.1) {
                return Ok(exact);
            }
        }
        Ok((stream, report))
    }
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
    // An end that has stayed where it was counts for less each time (the Illinois algorithm): where the sizes bend, the
    // other one would creep.
    let same = tried.iter().rev().take_while(|one| (one.1 <= 0.0) == (value <= 0.0)).count();
    let less = 0.5f64.powi(same as i32 - 1);
    let (below, above) = if value <= 0.0 { (below, above * less) } else { (below * less, above) };
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
        // As where noise begins to be coded: a cliff that straight lines creep towards.
        for zero in [3.0, 6.9, 10.0] {
            let size = |at: f64| if at < zero { 0.05 * (at - zero) - 0.01 } else { 3.0 + at - zero };
            let at = found(size).unwrap();
            assert!(at <= zero && size(at) >= -0.1, "{zero}: {at}");
        }
        assert_eq!(found(|_| 1.0), None);
        assert_eq!(found(|_| -1.0), Some(-TIGHTEST.ln()));
    }
}

//! The step at which transforms and the corrections of their points together cost least, by trial on boxes of a segment.
//!
//! Finer steps make more of the coefficients, coarser ones leave more points to corrections. Where the two balance
//! depends on how much of a segment there is to say: from about twice the half-width of the bound in lively ones to five
//! times in quiet ones.

use super::{Attempt, Passes};
use crate::closed_loop::{Place, Subject, boxes};
use crate::codec::plan::candidate::{Candidate, untried};
use crate::codec::rate::budget::Goal;
use crate::codec::segment::closed_loop::Closed;
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::encode::encode;
use crate::codec::segment::state::Buffers;
use crate::error::Result;
use crate::field::Element;
use crate::predict::Step;
use crate::predict::hierarchical::ModelUse;
use crate::residual::kernels::Kernel;
use crate::stream::SegmentHeader;
use crate::window::Source;

/// The step over the half-width of the bound that is tried first.
pub(super) const USUAL: f64 = 2.4;
/// From one step that is tried to the next, and how many are tried at most.
pub(super) const NEXT: f64 = 1.3;
const TRIALS: usize = 6;
/// Points of a box; and bits that boxes must take, or they are taken so many times as large, if that is no more than one
/// in so many points: a code of few bits is still learning.
const BOX: usize = 1 << 15;
pub(super) const ENOUGH: f64 = 8.0 * 4096.0;
const LARGER: usize = 4;
const SHARE: usize = 4;
/// Corrections learn faster than coefficients, which makes coarser steps look cheaper on boxes than they are: the power
/// of the step that bits are weighed with for that.
const LEARNING: f64 = 0.04;

/// What transforms take of some boxes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Priced {
    pub(super) step: f64,
    pub(super) bits: f64,
}

impl<T: Element> Passes<'_, T> {
    /// The step near `start` at which transforms take the fewest bits of boxes of a segment, their points corrected;
    /// `start` where they cannot be coded so.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn cheapest<R: Kernel>(&self, index: usize, closed: &Closed<'_, T>, start: f64) -> Result<f64> {
        let dims = closed.dims();
        let points: usize = dims.iter().product();
        let (mut size, mut from) = (BOX, start);
        loop {
            let boxes = boxes(dims, size);
            let found = cheapest(from, |step| {
                let bits = self.bits_of_boxes::<R>(index, &boxes, step)?;
                Ok(bits.map(|bits| bits * (step / start).powf(LEARNING)))
            })?;
            tracing::debug!(segment = index, size, from, ?found, "the cheapest step");
            let Some(Priced { step, bits }) = found else { return Ok(from) };
            from = step;
            size *= LARGER;
            if bits > ENOUGH || SHARE * size > points {
                return Ok(step);
            }
        }
    }

    /// The bits that transforms take of a segment's boxes at a step.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn bits_of_boxes<R: Kernel>(&self, index: usize, boxes: &[Place], step: f64) -> Result<Option<f64>> {
        let knobs = self.knobs();
        let along = self.cut.strides(&self.field.strides);
        // Boxes are of one frame where frames are volumes; transforms take all of them at once.
        let [frames, depth, ..] = self.cut.segments[index].sizes();
        let alike = if depth > 1 { frames as f64 } else { 1.0 };
        let mut bits = 0.0;
        for (origin, dims) in boxes {
            let segment = self.cut.part(&self.cut.segments[index], *origin, *dims);
            let placement = segment.place(&self.field.strides, along);
            let source = Source { values: self.values, segment: &segment, placement };
            let header = SegmentHeader { step: Step::at_most(step), ..untried(&segment, knobs.index_coder) };
            let candidate = Candidate::plain(header);
            let goal = Goal { step, budget: None, knobs };
            let context = FieldContext { progress: None, ..self.context };
            let mut buffers = Buffers::<R>::default();
            match encode::<T, R>(&source, context, &candidate, &goal, ModelUse::Off, &mut buffers)? {
                Attempt::Done(encoded) => bits += 8.0 * encoded.bytes.len() as f64,
                _ => return Ok(None),
            }
        }
        Ok(Some(bits / alike))
    }
}

/// The step near `start` with the fewest bits, downhill from there; between those that were tried, by a parabola.
fn cheapest(start: f64, mut bits: impl FnMut(f64) -> Result<Option<f64>>) -> Result<Option<Priced>> {
    let Some(first) = bits(start)? else { return Ok(None) };
    // By rising step.
    let mut tried = vec![Priced { step: start, bits: first }];
    for coarser in [true, false] {
        // Bits that fall one way rise the other.
        if tried.len() > 2 {
            break;
        }
        while tried.len() < TRIALS {
            let from = if coarser { tried[tried.len() - 1] } else { tried[0] };
            let step = if coarser { from.step * NEXT } else { from.step / NEXT };
            let Some(bits) = bits(step)? else { break };
            tried.insert(if coarser { tried.len() } else { 0 }, Priced { step, bits });
            if bits >= from.bits {
                break;
            }
        }
    }
    // Of several equal ones, the start.
    let far = |at: &Priced| (at.step / start).ln().abs();
    let order = |a: &Priced, b: &Priced| a.bits.total_cmp(&b.bits).then(far(a).total_cmp(&far(b)));
    let least = (0..tried.len()).min_by(|&a, &b| order(&tried[a], &tried[b])).unwrap_or(0);
    let Priced { step, bits } = tried[least];
    if least == 0 || least + 1 == tried.len() {
        return Ok(Some(tried[least]));
    }
    let (before, after) = (tried[least - 1].bits, tried[least + 1].bits);
    let curved = before - 2.0 * bits + after;
    let vertex = if curved > 0.0 { 0.5 * (before - after) / curved } else { 0.0 };
    Ok(Some(Priced { step: step * NEXT.powf(vertex), bits }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Bits that fall by less than one for each octave and rise with what is missed.
        #[test]
        fn steps_cost_least_near_the_least(start in 0.5f64..8.0, least in 1f64..6.0, curve in 0.05f64..2.0) {
            let bits = |step: f64| 1e3 * (1.0 + curve * (step / least).log2().powi(2));
            let mut trials = 0;
            let found = cheapest(start, |step| { trials += 1; Ok(Some(bits(step))) }).unwrap().unwrap();
            prop_assert!(trials <= TRIALS);
            let near = (start / least).log2().abs() < 1.0;
            prop_assert!(!near || (found.step / least).log2().abs() < 0.01, "{found:?} of {least}");
            prop_assert!(found.bits <= bits(start));
        }
    }

    #[test]
    fn flat_costs_change_nothing() {
        assert_eq!(cheapest(2.0, |_| Ok(Some(80.0))).unwrap(), Some(Priced { step: 2.0, bits: 80.0 }));
        assert_eq!(cheapest(2.0, |_| Ok(None)).unwrap(), None);
        // Where finer steps make indices that are too large.
        let found = cheapest(2.0, |step| Ok((step > 1.9).then_some(step))).unwrap().unwrap();
        assert_eq!(found.step, 2.0);
    }
}

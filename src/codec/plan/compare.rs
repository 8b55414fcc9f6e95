//! Comparing candidates at equal error: a trial whose error is far from the first one's is repeated at other steps, and
//! what differs still is levelled by the slope of rate over error.

use super::candidate::{Candidate, over};
use super::trial::TrialOutcome;
use crate::codec::rate::step::STEP_POWER;
use crate::error::Result;
use crate::stream::SegmentHeader;

/// Bits fall with the squared error to a power between 0.2 and 1, which differs from field to field; this one levels
/// the differences of error that are left between trials until two trials of a candidate tell better.
const ERROR_POWER: f64 = 0.75;
/// A trial whose error differs by more than this factor is repeated at a step that brings it near.
const ERROR_NEAR: f64 = 1.06;
/// The same where each trial runs the model.
const ERROR_NEAR_MODEL: f64 = 1.3;
/// Such repetitions, at most; and the factor over the best candidate so far from which on the first is the last.
const AGAIN: usize = 3;
const NO_RIVAL: f64 = 1.08;

/// Candidates that were tried at about one step.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) step: f64,
    /// The squared error of the first trial: the one at which all are compared.
    pub(super) error: Option<f64>,
    /// Bits fall with the squared error to about this power here.
    pub(super) power: f64,
    /// The best candidate, and its bits.
    pub(super) best: Option<(f64, Candidate)>,
}

/// A candidate's trial, compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    /// Bits at the common error.
    pub(super) bits: f64,
    /// Squared error at the comparison's step.
    pub(super) error: f64,
}

impl Comparison {
    /// Nothing tried yet, at a step.
    pub(super) fn new(step: f64) -> Self {
        Self { step, error: None, power: ERROR_POWER, best: None }
    }

    /// The bits of the best so far.
    pub(super) fn least(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |(bits, _)| *bits)
    }

    /// The best so far, or `base` where nothing could be tried.
    pub(super) fn chosen(&self, base: SegmentHeader) -> (f64, Candidate) {
        self.best.clone().unwrap_or_else(|| (f64::INFINITY, Candidate::plain(base)))
    }

    /// Tries a candidate, again at other steps while its error is not near the common one and it may be the best.
    /// `try_at` makes a trial at a step, `None` where that cannot be coded.
    ///
    /// # Errors
    /// Those of `try_at`.
    pub(super) fn consider(
        &mut self,
        header: SegmentHeader,
        mut try_at: impl FnMut(f64) -> Result<Option<TrialOutcome>>,
    ) -> Result<Option<Compared>> {
        let first = try_at(self.step)?;
        let near = if header.uses_model { ERROR_NEAR_MODEL } else { ERROR_NEAR };
        let (mut step, mut found, mut slope) = (self.step, first, STEP_POWER);
        for round in 0..AGAIN {
            let (Some(TrialOutcome { bits, error, .. }), Some(common)) = (found, self.error) else { break };
            let ratio = common / error.max(f64::MIN_POSITIVE);
            let hopeless = || bits * ratio.powf(-self.power) > self.least() * NO_RIVAL;
            if (1.0 / near..near).contains(&ratio) || round > 0 && hopeless() {
                break;
            }
            let next = step * ratio.powf(1.0 / slope).clamp(0.5, 2.0);
            let again = try_at(next)?;
            if let Some(TrialOutcome { bits: bits_again, error: error_again, .. }) = again {
                let power = (bits / bits_again).ln() / (error_again / error).ln();
                if power.is_finite() {
                    self.power = power.clamp(0.15, 1.5);
                }
                let steeper = (error_again / error).ln() / (next / step).ln();
                if steeper.is_finite() {
                    slope = steeper.clamp(0.8, 3.0);
                }
            }
            (step, found) = (next, again);
        }
        let bits = self.weigh(found, header, 0);
        Ok(bits.zip(first).map(|(bits, first)| Compared { bits, error: first.error }))
    }

    /// Levels a trial's bits to the common error, and keeps the candidate where it is the best.
    pub(super) fn weigh(&mut self, found: Option<TrialOutcome>, header: SegmentHeader, gain: usize) -> Option<f64> {
        let TrialOutcome { bits, error, coefficients } = found?;
        let common = *self.error.get_or_insert(error);
        let bits = bits * (error / common.max(f64::MIN_POSITIVE)).max(1e-12).powf(self.power);
        tracing::debug!(mode = header.mode.name(), window = header.window, model = header.uses_model, bits, "tried");
        if self.best.as_ref().is_none_or(|(least, _)| bits < *least) {
            let over_forecast = over(error, coefficients);
            self.best = Some((bits, Candidate { gain, over_forecast, ..Candidate::plain(header) }));
        }
        Some(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidate::{FAST_CONTEXTS, untried};
    use super::*;
    use crate::field::MAX_DIMS;
    use crate::window::Segment;
    use proptest::prelude::*;

    fn window(window: usize) -> SegmentHeader {
        let segment = Segment { origin: [0; MAX_DIMS], count: 64, depth: 1, h: 8, w: 8 };
        SegmentHeader { window, ..untried(&segment, FAST_CONTEXTS) }
    }

    /// Trials of a candidate whose error at a step of 1 is `error`, and whose bits at an error of 1 are `bits`, falling
    /// with a power.
    fn trials(error: f64, bits: f64, power: f64) -> impl FnMut(f64) -> Result<Option<TrialOutcome>> {
        move |step| {
            let error = error * step.powf(STEP_POWER);
            Ok(Some(TrialOutcome { bits: bits * error.powf(-power), error, coefficients: error }))
        }
    }

    proptest! {
        /// Whatever their errors at the same step, the candidate with fewer bits at the same error is chosen.
        #[test]
        fn the_candidate_with_fewer_bits_at_equal_error_is_the_best(
            errors in prop::array::uniform3(0.1f64..10.0),
            better in 0usize..3,
            power in 0.2f64..1.0,
            step in 0.001f64..0.1,
        ) {
            let mut comparison = Comparison::new(step);
            for (k, &error) in errors.iter().enumerate() {
                let bits = if k == better { 1000.0 } else { 1100.0 };
                comparison.consider(window(k + 1), trials(error, bits, power)).unwrap();
            }
            prop_assert_eq!(comparison.chosen(window(9)).1.header.window, better + 1);
        }
    }

    #[test]
    fn errors_that_are_near_are_not_tried_again() {
        let mut comparison = Comparison::new(0.1);
        comparison.consider(window(1), trials(1.0, 1000.0, 0.5)).unwrap();
        let mut runs = 0;
        let mut near = trials(1.05, 1000.0, 0.5);
        comparison
            .consider(window(2), |step| {
                runs += 1;
                near(step)
            })
            .unwrap();
        assert_eq!(runs, 1);
        let mut far = trials(4.0, 1000.0, 0.5);
        comparison
            .consider(window(3), |step| {
                runs += 1;
                far(step)
            })
            .unwrap();
        assert!(runs > 2);
        // The power to which bits fall was learnt from the pair.
        assert!((comparison.power - 0.5).abs() < 0.01, "{}", comparison.power);
    }

    #[test]
    fn what_cannot_be_coded_is_not_chosen() {
        let mut comparison = Comparison::new(0.1);
        assert!(comparison.consider(window(1), |_| Ok(None)).unwrap().is_none());
        assert!(comparison.error.is_none() && comparison.least() == f64::INFINITY);
        assert_eq!(comparison.chosen(window(9)).1.header.window, 9);
    }

    #[test]
    fn forecasts_are_corrected_as_far_as_is_credible() {
        assert_eq!((over(1.2, 1.0), over(9.0, 1.0), over(0.1, 1.0), over(1.0, 0.0)), (1.2, 2.0, 0.5, 1.0));
    }
}

//! What the passes over a field teach each other: how much of the error budget the next one may spend, and predict to
//! spend.

use crate::codec::effort::OvershootCorrection;

/// How well the effect of enhancement is known after a pass, below 1.
const SURE_ENHANCED: f64 = 0.998;
/// How well errors are known otherwise.
const SURE: f64 = 0.9995;
/// Budgets are not cut to less than this share.
const LEAST_BUDGET: f64 = 1e-3;

/// See the module's description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateFeedback {
    /// The share of the error budget that a pass aims at.
    pub(crate) budget_share: f64,
    /// The share of that which forecasts may add up to; the rest is a reserve for the last window.
    pub(crate) predicted_share: f64,
    /// Errors over their forecasts.
    pub(crate) over_forecast: f64,
}

impl Default for RateFeedback {
    fn default() -> Self {
        Self { budget_share: 1.0, predicted_share: 1.0, over_forecast: 1.0 }
    }
}

impl RateFeedback {
    /// The windows before the last spent so many times the prediction, which led the last one's step far from theirs.
    pub(crate) fn overshot(&mut self, ratio: f64, correction: OvershootCorrection) {
        match correction {
            OvershootCorrection::None => {}
            OvershootCorrection::Reserve => self.predicted_share /= ratio,
            OvershootCorrection::Forecasts => self.over_forecast *= ratio,
        }
    }

    /// The bound holds, and the error could be `room` times as large.
    pub(crate) fn unused(&mut self, room: f64) {
        self.budget_share *= room * SURE_ENHANCED;
    }

    /// The bound does not hold: the error may only be `room` times as large. False where nothing will help.
    pub(crate) fn missed(&mut self, room: f64, enhanced: bool) -> bool {
        self.budget_share *= room.min(0.999) * if enhanced { SURE_ENHANCED } else { SURE };
        self.budget_share >= LEAST_BUDGET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pass over a field whose errors are `over` times their forecasts: the share of the whole budget that it spends.
    fn pass(feedback: RateFeedback, over: f64) -> f64 {
        feedback.budget_share * feedback.predicted_share * over / feedback.over_forecast
    }

    #[test]
    fn a_missed_bound_holds_after_the_next_pass() {
        for enhanced in [false, true] {
            let mut feedback = RateFeedback::default();
            let spent = pass(feedback, 1.3);
            assert!(feedback.missed(1.0 / spent, enhanced));
            let spent = pass(feedback, 1.3);
            assert!(spent < 1.0 && spent > 0.99, "{spent}");
        }
        // Hopeless: a hundredth of the error would be needed, and again.
        let mut feedback = RateFeedback::default();
        assert!(feedback.missed(0.01, false) && !feedback.missed(0.01, false));
    }

    #[test]
    fn room_that_was_left_is_used() {
        let mut feedback = RateFeedback::default();
        feedback.unused(1.0 / pass(feedback, 0.8));
        let spent = pass(feedback, 0.8);
        assert!(spent < 1.0 && spent > 0.99, "{spent}");
    }

    #[test]
    fn overshoots_are_corrected_as_the_effort_says() {
        for correction in [OvershootCorrection::Reserve, OvershootCorrection::Forecasts] {
            let mut feedback = RateFeedback::default();
            feedback.overshot(1.5, correction);
            assert!((pass(feedback, 1.5) - 1.0).abs() < 1e-12);
        }
        let mut feedback = RateFeedback::default();
        feedback.overshot(1.5, OvershootCorrection::None);
        assert_eq!(pass(feedback, 1.0), 1.0);
    }
}

//! Each window's step, such that a segment's squared error comes out at its budget. All steps should be nearly the same, which is
//! cheapest; a forecast of the windows' errors tells early where the account is heading, and the last window settles it.

use super::budget::Goal;
use super::step::STEP_POWER;
use crate::codec::segment::frames::Frames;
use crate::codec::segment::state::{Prepared, SegmentState};
use crate::error::Result;
use crate::predict::{CodedWindow, Reconstruction, Step};
use crate::residual::kernels::Kernel;
use crate::residual::spectrum::Spectrum;

/// The share of the budget that the last window may leave unused; and where time matters most.
const SLACK: f64 = 0.006;
const SLACK_FAST: f64 = 0.02;
/// Errors are known this well, below 1.
const SURE: f64 = 1.0 - 1e-5;
/// How far a window's step may stray from the goal's, but for the last's; more where the budget runs short.
const STRAY: f64 = 1.06;
const STRAY_FINER: f64 = 1.25;
/// How far the step of the last may stray before the segment is better coded once more, where there are few before it.
const EVEN: f64 = 1.3;
const EVENED: usize = 8;
/// Trials for the last window's step, until one meets the budget.
const TRIALS: usize = 12;
/// Trials after which one that meets the budget, though not closely, is taken; fewer where each needs the model, or time
/// matters most.
const TRIALS_ENOUGH: usize = 4;
const TRIALS_ENOUGH_MODEL: usize = 1;
const TRIALS_ENOUGH_FAST: usize = 2;
/// The share of the budget that may then be left unused.
const SLACK_ENOUGH: f64 = 0.03;
/// Estimates before each trial.
const ESTIMATES: usize = 5;
/// How near to its target an estimate's logarithm must come.
const ESTIMATE_NEAR: f64 = 0.001;

/// One way to code a window: what is written, what its decoder gets, and the error.
pub(crate) struct Trial<R: Kernel> {
    pub(crate) coded: CodedWindow<R>,
    pub(crate) decoded: Reconstruction<R>,
    pub(crate) squared_error: f64,
    /// The squared error of its coefficients.
    near: f64,
}

/// A window to be coded.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a, R> {
    pub(crate) frames: &'a Frames<R>,
    pub(crate) prepared: &'a Prepared<R>,
    pub(crate) count: usize,
    /// Its place among the segment's.
    pub(crate) index: usize,
}

/// The account of a segment.
pub(crate) struct Rate<'a> {
    goal: &'a Goal<'a>,
    /// The squared error that the segment may come to.
    budget: f64,
    /// Squared error so far, and what of it was predicted_error.
    spent: f64,
    predicted_error: f64,
    /// The squared error of the coefficients so far, which is near that of the frames.
    near: f64,
    /// How many times what was predicted_error had been spent, where that made the last window's step stray far from the goal's.
    overshoot: Option<f64>,
}

impl<'a> Rate<'a> {
    pub(crate) fn new(goal: &'a Goal<'a>) -> Self {
        let budget = goal.budget.as_ref().map_or(f64::INFINITY, |budget| budget.squared_error);
        Self { goal, budget, spent: 0.0, predicted_error: 0.0, near: 0.0, overshoot: None }
    }

    /// Sets what the segment may come to, where that has become known better.
    pub(crate) fn revise(&mut self, budget: f64) {
        self.budget = budget;
    }

    /// How many times what was predicted_error has been spent; infinite where there is no budget, and 1 before the first window.
    pub(crate) fn overspend_ratio(&self) -> f64 {
        if self.goal.budget.is_some() { quotient(self.spent, self.predicted_error) } else { f64::INFINITY }
    }

    /// How many times what was predicted_error had been spent, where that made the last window's step stray far from the goal's.
    pub(crate) fn overshoot(&self) -> Option<f64> {
        self.overshoot
    }

    /// Tries to code the next window; `None` where its budget cannot be met. `coded` lends its buffers.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn code<R: Kernel>(
        &mut self,
        state: &mut SegmentState<'_, R>,
        window: Window<'_, R>,
        coded: CodedWindow<R>,
    ) -> Result<Option<Trial<R>>> {
        let Some(budget) = &self.goal.budget else {
            return attempt(state, window, self.goal.step, coded);
        };
        let left = self.budget - self.spent;
        let expected: f64 = (window.index..budget.forecast.windows())
            .map(|index| budget.forecast.window(index, self.goal.step))
            .sum::<f64>()
            * quotient(self.spent, self.predicted_error).clamp(0.5, 2.0);
        let factor = (left.max(0.0) / expected.max(f64::MIN_POSITIVE)).powf(1.0 / STEP_POWER);
        let step = self.goal.step * factor.clamp(1.0 / STRAY_FINER, STRAY);
        let found = if budget.settle && window.index + 1 == budget.forecast.windows() {
            let bias = match window.prepared {
                Prepared::Transform(_) => {
                    quotient(self.spent, self.predicted_error) * budget.forecast.over_spectrum(window.index)
                }
                Prepared::Frames => quotient(self.spent, self.near),
            };
            let found = solve(state, window, step, left, bias, coded)?;
            if let Some(trial) = &found {
                self.note_overshoot(window.index, trial);
            }
            found
        } else {
            attempt(state, window, step, coded)?
        };
        Ok(found)
    }

    /// Notes whether the last window's step has strayed from the goal's.
    pub(crate) fn note_overshoot<R: Kernel>(&mut self, index: usize, trial: &Trial<R>) {
        let far = !(1.0 / EVEN..EVEN).contains(&(trial.coded.step.value() / self.goal.step));
        self.overshoot = (far && (1..=EVENED).contains(&index)).then(|| quotient(self.spent, self.predicted_error));
    }

    /// Takes a window's trial into the account.
    pub(crate) fn accept<R: Kernel>(&mut self, index: usize, trial: &Trial<R>) {
        if let Some(budget) = &self.goal.budget {
            self.spent += trial.squared_error;
            self.near += trial.near;
            self.predicted_error += budget.forecast.window(index, trial.coded.step.value());
        }
    }
}

/// `a / b` where both are known; else 1.
fn quotient(a: f64, b: f64) -> f64 {
    if a > 0.0 && b > 0.0 { a / b } else { 1.0 }
}

/// Codes a window at a step; `None` where an index would be too large.
///
/// # Errors
/// What the model says.
pub(crate) fn attempt<R: Kernel>(
    state: &mut SegmentState<'_, R>,
    window: Window<'_, R>,
    step: f64,
    mut coded: CodedWindow<R>,
) -> Result<Option<Trial<R>>> {
    let Window { frames, prepared, count, .. } = window;
    let found = state.encode(&frames.frames, prepared, count, Step::at_most(step), &mut coded)?;
    Ok(found.map(|(near, decoded)| {
        let squared_error = frames.squared_error(&decoded.frames);
        Trial { coded, decoded, squared_error, near }
    }))
}

/// The step, as a logarithm between `bounds`, at which the `error` of coefficients comes to `target`, as a logarithm.
fn estimated(
    start: f64,
    target: f64,
    [low, high]: [f64; 2],
    mut error: impl FnMut(Step) -> Result<Option<f64>>,
) -> Result<f64> {
    let mut log_step = start.clamp(low, high);
    let mut before: Option<(f64, f64)> = None;
    for _ in 0..ESTIMATES {
        let step = Step::at_most(log_step.exp());
        let Some(near) = error(step)? else {
            break;
        };
        let log_error = near.max(f64::MIN_POSITIVE).ln();
        if (log_error - target).abs() < ESTIMATE_NEAR {
            break;
        }
        let point = (step.value().ln(), log_error);
        let slope = before.map_or(STEP_POWER, |b| (point.1 - b.1) / (point.0 - b.0));
        let slope = if slope.is_finite() { slope.clamp(0.5, 3.0) } else { STEP_POWER };
        before = Some(point);
        log_step = (log_step + ((target - log_error) / slope).clamp(-4.0, 2.0)).clamp(low, high);
    }
    Ok(log_step)
}

/// The coarsest step found whose squared error is at most `budget`, and close to it. `None` where there is none. `scale` is what
/// errors are expected to be over what estimates say.
fn solve<R: Kernel>(
    state: &mut SegmentState<'_, R>,
    window: Window<'_, R>,
    start: f64,
    budget: f64,
    scale: f64,
    coded: CodedWindow<R>,
) -> Result<Option<Trial<R>>> {
    if budget <= 0.0 {
        return Ok(None);
    }
    let mut best: Option<Trial<R>> = None;
    let mut spare = Some(coded);
    let mut scale = scale;
    // (log step, log error) of the coarsest success and the finest failure.
    let mut low: Option<(f64, f64)> = None;
    let mut high: Option<(f64, f64)> = None;
    let (trials_enough, slack) = match (state.header.uses_model, state.header.mixing) {
        (true, _) => (TRIALS_ENOUGH_MODEL, SLACK),
        (false, true) => (TRIALS_ENOUGH, SLACK),
        // The lowest effort's.
        (false, false) => (TRIALS_ENOUGH_FAST, SLACK_FAST),
    };
    let target = (budget * (1.0 - slack / 3.0)).ln();
    let mut log_step = start.ln();
    let spectrum = match window.prepared {
        Prepared::Transform(analysed) => Some(Spectrum::of(analysed.residual())),
        Prepared::Frames => None,
    };
    for k in 0..TRIALS {
        let enough = |b: &Trial<R>| b.squared_error >= budget * (1.0 - SLACK_ENOUGH);
        if k >= trials_enough && best.as_ref().is_some_and(enough) {
            break;
        }
        let mut coded = spare.take().unwrap_or_default();
        // Inside the bracket, away from its ends.
        let bounds = match (low, high) {
            (Some(a), Some(b)) => {
                let margin = 0.05 * (b.0 - a.0);
                [a.0 + margin, b.0 - margin]
            }
            (Some(a), None) => [a.0 + 0.004, a.0 + 2.0],
            (None, Some(b)) => [b.0 - 4.0, b.0 - 0.004],
            (None, None) => [log_step - 4.0, log_step + 4.0],
        };
        let near = target - scale.ln();
        log_step = match &spectrum {
            Some(spectrum) => estimated(log_step, near, bounds, |step| Ok(Some(spectrum.error(step.value()))))?,
            // The model's corrections are those of the last trial.
            None if k > 0 || !state.header.uses_model => estimated(log_step, near, bounds, |step| {
                let found = state.estimate(&window.frames.frames, window.count, step, &mut coded)?;
                Ok(found.map(|(error, decoded)| {
                    state.discard(decoded);
                    error
                }))
            })?,
            None => log_step,
        };
        let Some(trial) = attempt(state, window, log_step.exp(), coded)? else {
            break;
        };
        let log_error = trial.squared_error.max(f64::MIN_POSITIVE).ln();
        let told = spectrum.as_ref().map_or(trial.near, |spectrum| spectrum.error(trial.coded.step.value()));
        if trial.squared_error > 0.0 && told > 0.0 {
            scale = trial.squared_error / told;
        }
        let point = (log_step, log_error);
        if trial.squared_error <= budget * SURE {
            let close = trial.squared_error >= budget * (1.0 - slack);
            low = Some(point);
            let out = if best.as_ref().is_none_or(|b| trial.squared_error >= b.squared_error) {
                best.replace(trial)
            } else {
                Some(trial)
            };
            if let Some(Trial { coded, decoded, .. }) = out {
                state.discard(decoded);
                spare = Some(coded);
            }
            // All error there can be is already made: a coarser step would not spend more.
            if close || high.is_none() && log_error < target - 30.0 {
                break;
            }
        } else {
            high = Some(point);
            state.discard(trial.decoded);
            spare = Some(trial.coded);
        }
        if let (Some(a), Some(b)) = (low, high)
            && b.0 - a.0 < 2.0 / 256.0 * std::f64::consts::LN_2
        {
            break;
        }
    }
    Ok(best)
}

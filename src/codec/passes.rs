//! A field's passes over its segments: the steps at which they are coded, and the check of what comes out.

mod exact;
mod mean;
mod plan;
mod pointwise;
mod pricing;
mod root;
mod segment;
#[cfg(test)]
mod tests;

use super::effort::{EffortKnobs, OvershootCorrection};
use super::plan::candidate::Candidate;
use super::rate::account::{Account, Next};
use super::rate::budget::{Attempt, Target};
use super::rate::feedback::RateFeedback;
use super::report::StageSeconds;
use super::segment::context::FieldContext;
use super::tools::Tools;
use crate::bound::check::Errors;
use crate::error::Result;
use crate::field::{Element, FieldView};
use crate::residual::kernels::Kernel;
use crate::stream::SegmentHeader;
use crate::window::{Cut, Source};
pub(super) use mean::Centred;
use plan::Plan;
use segment::CodedSegment;
use std::collections::HashMap;
use std::time::Instant;

/// Passes over the field until its bound holds.
const PASSES: usize = 4;
/// Fields of so many segments are coded once more where the last window's step strays far.
const EVENED: usize = 4;

/// One field on its way through the segments.
pub(super) struct Passes<'a, T> {
    pub(super) field: &'a FieldView<'a>,
    pub(super) values: &'a [T],
    pub(super) cut: &'a Cut,
    pub(super) context: FieldContext<'a>,
    pub(super) target: Target,
    /// Points with data.
    pub(super) valid: usize,
    pub(super) tools: &'a Tools<'a>,
}

/// A field's sections, checked.
pub(super) struct PassResult {
    pub(super) sections: Vec<Vec<u8>>,
    pub(super) errors: Errors,
    pub(super) uses_model: bool,
    enhanced: bool,
    /// Bytes that the segments would take without the model, as samples tell.
    pub(super) without_model: f64,
    /// The overspend ratio before the last window, where its step suffers from that.
    overshoot: Option<f64>,
    /// RMSE margin for device drift, in the field's units.
    pub(super) drift: f64,
    /// Segments coded on the way.
    #[cfg_attr(not(test), allow(dead_code))]
    codings: usize,
}

impl PassResult {
    fn bytes(&self) -> usize {
        self.sections.iter().map(Vec::len).sum()
    }
}

/// Segments' candidates, by their number.
type Candidates = HashMap<usize, Candidate>;

impl<T: Element> Passes<'_, T> {
    /// The smallest of the passes' results whose bound holds; `None` where it cannot be met in this working precision.
    ///
    /// # Errors
    /// What the model says, and `Internal` where the check of the own output fails.
    pub(super) fn run<R: Kernel>(&self, stages: &mut StageSeconds) -> Result<Option<PassResult>> {
        let scale = self.context.normalisation.scale();
        let knobs = self.knobs();
        let mut feedback = RateFeedback::default();
        let mut candidates = HashMap::new();
        let mut best: Option<PassResult> = None;
        for pass in 0..PASSES {
            if let Some(progress) = self.context.progress {
                progress.restart();
            }
            let done = match self.target {
                Target::Pointwise(bound) => self.pointwise::<R>(bound, stages)?,
                Target::Rms(_) | Target::Block(_) => {
                    let budget = (self.target.size() / scale).powi(2) * self.valid as f64 * feedback.budget_share;
                    // The square of what is next to nothing is none.
                    if budget < f64::MIN_POSITIVE {
                        return Ok(best);
                    }
                    self.pass::<R>(budget, feedback, &mut candidates, stages)?
                }
            };
            let Some(done) = done else { return Ok(best) };
            // The squared error that there is room for, over that of this pass.
            let room = match self.target {
                Target::Rms(rms) => ((rms - done.drift).max(0.0) / scale / done.errors.rms()).powi(2),
                _ => 1.0,
            };
            let evened = pass == 0 && self.cut.segments.len() <= EVENED && knobs.overshoot != OvershootCorrection::None;
            let overshoot = done.overshoot.filter(|_| evened);
            if let Some(ratio) = overshoot {
                feedback.overshot(ratio, knobs.overshoot);
            }
            if !done.errors.hold(self.context.bound, self.context.range, done.drift) {
                tracing::debug!(pass, errors = ?done.errors, "the bound does not hold yet");
                // What rounding to the caller's type, or device drift, adds.
                match self.target {
                    Target::Rms(_) if feedback.missed(room, done.enhanced) => continue,
                    Target::Rms(_) => break,
                    _ => return Ok(None),
                }
            }
            let unused = done.enhanced && room >= 1.0 + knobs.slack_enhanced;
            let settled = best.is_some() || !unused && overshoot.is_none();
            if best.as_ref().is_none_or(|best| done.bytes() < best.bytes()) {
                best = Some(done);
            }
            if settled {
                break;
            }
            if unused {
                feedback.unused(room);
            }
        }
        Ok(best)
    }

    fn knobs(&self) -> &'static EffortKnobs {
        self.tools.knobs()
    }

    /// RMSE margin for device drift of a field some of whose segments have these headers, in its units.
    fn drift<'m>(&self, headers: impl Iterator<Item = &'m SegmentHeader>) -> f64 {
        headers.map(|header| self.context.drift(header)).fold(self.context.inherited_drift(), f64::max)
    }

    fn source(&self, index: usize) -> Source<'_, T> {
        let segment = &self.cut.segments[index];
        let along = self.cut.strides(&self.field.strides);
        Source { values: self.values, segment, placement: segment.place(&self.field.strides, along) }
    }

    fn size(&self, index: usize) -> usize {
        self.cut.segments[index].points()
    }

    /// What segments, all of a field, come to.
    fn result(&self, segments: Vec<CodedSegment>) -> PassResult {
        let mut done = PassResult {
            sections: Vec::with_capacity(segments.len()),
            errors: Errors::new(self.context.normalisation.scale()),
            uses_model: false,
            enhanced: false,
            without_model: 0.0,
            overshoot: None,
            drift: self.context.inherited_drift(),
            codings: segments.len(),
        };
        for CodedSegment { encoded, errors, candidate, .. } in segments {
            done.errors.merge(&errors);
            done.uses_model |= candidate.header.needs_model();
            done.without_model += encoded.bytes.len() as f64 / candidate.model_ratio;
            done.enhanced |= candidate.header.enhance.is_some();
            done.drift = done.drift.max(self.context.drift(&candidate.header));
            done.overshoot = done.overshoot.or(encoded.overshoot);
            done.sections.push(encoded.bytes);
        }
        done
    }

    /// Codes every segment, as `candidates` say, to which those are added that are not yet there; `None` where no step
    /// reaches the bound.
    fn pass<R: Kernel>(
        &self,
        budget: f64,
        feedback: RateFeedback,
        candidates: &mut Candidates,
        stages: &mut StageSeconds,
    ) -> Result<Option<PassResult>> {
        let begin = Instant::now();
        let Some(plan) = self.plan::<R>(budget, feedback, candidates)? else {
            return Ok(None);
        };
        stages.mode_decision += begin.elapsed().as_secs_f64();
        let mut pass = Pass { passes: self, plan: &plan, candidates, stages, coded: HashMap::new(), codings: 0 };
        let done = match self.target {
            Target::Rms(_) => pass.balance::<R>(plan.budget, budget)?,
            Target::Block(_) if self.cut.segments.len() == 1 => pass.aim::<R>(plan.budget)?,
            Target::Block(_) | Target::Pointwise(_) => pass.code_all::<R>()?,
        };
        Ok(done.then(|| pass.result()))
    }
}

/// A pass on its way.
struct Pass<'a, T> {
    passes: &'a Passes<'a, T>,
    plan: &'a Plan,
    candidates: &'a mut Candidates,
    stages: &'a mut StageSeconds,
    coded: HashMap<usize, CodedSegment>,
    /// Segments coded, those that were coded again as often as they were.
    codings: usize,
}

impl<T: Element> Pass<'_, T> {
    /// Codes segments at a step; false where one cannot be.
    fn code<R: Kernel>(&mut self, segments: &[usize], step: f64) -> Result<bool> {
        let (passes, plan, known) = (self.passes, self.plan, &*self.candidates);
        let coded = passes.tools.map(0..segments.len(), |k| passes.code_at::<R>(segments[k], plan, step, known))?;
        for (&segment, coded) in segments.iter().zip(coded) {
            let Attempt::Done(coded) = coded else {
                return Ok(false);
            };
            self.keep(segment, coded);
        }
        Ok(true)
    }

    fn keep(&mut self, segment: usize, coded: CodedSegment) {
        self.stages.add(&coded.encoded.stages);
        self.codings += coded.codings;
        self.candidates.entry(segment).or_insert_with(|| coded.candidate.clone());
        self.coded.insert(segment, coded);
    }

    /// Codes all segments at the plan's step; false where one cannot be.
    fn code_all<R: Kernel>(&mut self) -> Result<bool> {
        let all: Vec<usize> = (0..self.passes.cut.segments.len()).collect();
        self.code::<R>(&all, self.plan.step)
    }

    /// Codes a field of one segment so that its error comes to what is typical of a bound on blocks, or at the plan's
    /// step: corrections have the last word.
    fn aim<R: Kernel>(&mut self, budget: f64) -> Result<bool> {
        match self.passes.settle_once::<R>(0, self.plan, budget, self.candidates)? {
            Attempt::Done(coded) => self.keep(0, coded),
            Attempt::Overspent(_) => return self.code_all::<R>(),
            Attempt::Unreachable => return Ok(false),
        }
        Ok(true)
    }

    /// Codes all segments so that their squared errors come to the budget; false where they cannot. `whole` is the
    /// budget before room is left for device drift.
    fn balance<R: Kernel>(&mut self, budget: f64, whole: f64) -> Result<bool> {
        let (probes, expected) = self.plan.expected();
        let mut account = Account::new(budget, expected, probes);
        loop {
            let next = account.next();
            tracing::debug!(?next, "account");
            match next {
                Next::Code { segments, step } => {
                    if !self.code::<R>(&segments, step)? {
                        return Ok(false);
                    }
                    for segment in segments {
                        account.note(segment, step, self.coded[&segment].errors.squared);
                    }
                    account.revise(self.passes.less_drift(whole, self.drift()));
                }
                Next::Settle(due) => {
                    // One that was neither looked at nor coded has none yet.
                    if !self.candidates.contains_key(&due.segment) {
                        let candidate = self.passes.candidate_at::<R>(due.segment, self.plan, due.step)?;
                        self.candidates.insert(due.segment, candidate);
                    }
                    let Attempt::Done(coded) = self.passes.settle::<R>(due, self.plan, self.candidates)? else {
                        return Ok(false);
                    };
                    account.note(due.segment, due.step, coded.errors.squared);
                    self.keep(due.segment, coded);
                }
                Next::Done => return Ok(true),
                Next::Unreachable => return Ok(false),
            }
        }
    }

    /// RMSE margin for device drift of the segments so far, in the field's units.
    fn drift(&self) -> f64 {
        self.passes.drift(self.candidates.values().map(|candidate| &candidate.header))
    }

    /// What came out, once all segments are coded.
    fn result(mut self) -> PassResult {
        let segments = 0..self.passes.cut.segments.len();
        let coded = segments.filter_map(|segment| self.coded.remove(&segment)).collect();
        PassResult { codings: self.codings, ..self.passes.result(coded) }
    }
}

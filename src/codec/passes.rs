//! A field's passes over its segments: the steps at which they are coded, and the check of what comes out.

use super::effort::{EffortKnobs, EnhancedAt, ModeDecision, OvershootCorrection};
use super::plan::candidate::{Candidate, FAST_CONTEXTS, untried};
use super::plan::choose::choose;
use super::rate::budget::{Attempt, Budget, Goal, Role, Target};
use super::rate::feedback::RateFeedback;
use super::rate::forecast::{Forecast, Looked, Subject};
use super::rate::step::{STEP_POWER, step_for};
use super::report::StageSeconds;
use super::segment::context::{FieldContext, with_interpolator};
use super::segment::decode::{Part, Work, decode};
use super::segment::encode::{EncodedSegment, encode, predict_latents};
use super::segment::frames::Frames;
use super::segment::state::Buffers;
use super::tools::Tools;
use crate::bound::check::Errors;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Element, FieldView};
use crate::predict::{Step, fm};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::{PredictionMode, SegmentHeader};
use crate::window::{Cut, Source};
use std::collections::HashMap;
use std::time::Instant;

/// Segments whose errors are known before the next ones' steps are set.
const BATCH: usize = 16;
/// Segments whose samples set the first step.
const PROBES: usize = 8;
/// Passes over the field until its bound holds.
const PASSES: usize = 4;
/// Fields of so many segments are coded once more where the last window's step strays far.
const EVENED: usize = 4;
/// Forecasts of the probes at the step that the one before led to, at most.
const RUNS: usize = 2;

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
}

impl PassResult {
    fn bytes(&self) -> usize {
        self.sections.iter().map(Vec::len).sum()
    }
}

/// What a pass sets out with.
struct Plan {
    /// The squared error that the segments may come to, in working units; infinite where only points are bounded.
    budget: f64,
    /// The step at which candidates were compared, and the one that forecasts led to.
    compared_at: f64,
    step: f64,
    /// Of the probes.
    forecasts: HashMap<usize, Forecast>,
}

/// Segments' candidates, by their number.
type Candidates = HashMap<usize, Candidate>;

/// A segment, encoded and checked.
struct CodedSegment {
    encoded: EncodedSegment,
    errors: Errors,
    candidate: Candidate,
}

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
                    self.pass::<R>(budget, feedback, &mut candidates, stages)?
                }
            };
            let done = match done {
                Attempt::Done(done) => done,
                Attempt::Overspent(ratio) => {
                    feedback.overspent(ratio);
                    continue;
                }
                Attempt::Unreachable => return Ok(best),
            };
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
        Source { values: self.values, segment, placement: segment.place(&self.field.strides, along, 0) }
    }

    fn size(&self, index: usize) -> usize {
        let segment = &self.cut.segments[index];
        segment.count * segment.h * segment.w
    }

    /// Codes every segment once, as `candidates` say, to which those are added that are not yet there.
    fn pass<R: Kernel>(
        &self,
        budget: f64,
        feedback: RateFeedback,
        candidates: &mut Candidates,
        stages: &mut StageSeconds,
    ) -> Result<Attempt<PassResult>> {
        let begin = Instant::now();
        let Some(plan) = self.plan::<R>(budget, feedback, candidates)? else {
            return Ok(Attempt::Unreachable);
        };
        stages.mode_decision += begin.elapsed().as_secs_f64();
        self.code_all::<R>(&plan, feedback, candidates, stages)
    }

    /// Sets a pass's step, by the probes; `None` where no step reaches the bound.
    fn plan<R: Kernel>(
        &self,
        budget: f64,
        feedback: RateFeedback,
        candidates: &mut Candidates,
    ) -> Result<Option<Plan>> {
        let _span = tracing::debug_span!("choose").entered();
        let count = self.cut.segments.len();
        let wanted = PROBES.min(count);
        // Evenly spaced, and the last one, which settles the account.
        let probes: Vec<usize> = (1..=wanted).map(|k| k * count / wanted - 1).collect();
        let first = self.first_step::<R>(&probes, budget)?.map(|step| step * feedback.predicted_share);
        let Some(compared_at) = first else {
            return Ok(None);
        };
        let unknown: Vec<usize> = probes.iter().copied().filter(|k| !candidates.contains_key(k)).collect();
        let chosen = self.tools.map(0..unknown.len(), |k| self.candidate::<R>(unknown[k], compared_at))?;
        candidates.extend(unknown.iter().copied().zip(chosen));
        let headers = candidates.values().map(|candidate| &candidate.header);
        let drift = self.drift(headers) / self.context.normalisation.scale();
        let valid = self.valid as f64;
        let budget = ((budget / valid).sqrt() - drift).max(0.0).powi(2) * valid;
        let refined = self.refine_step::<R>(&probes, candidates, compared_at, budget, feedback)?;
        Ok(refined.map(|(step, forecasts)| {
            tracing::debug!(compared_at, step, "step");
            let forecasts = probes.into_iter().zip(forecasts).collect();
            Plan { budget, compared_at, step, forecasts }
        }))
    }

    fn code_all<R: Kernel>(
        &self,
        plan: &Plan,
        feedback: RateFeedback,
        candidates: &mut Candidates,
        stages: &mut StageSeconds,
    ) -> Result<Attempt<PassResult>> {
        let count = self.cut.segments.len();
        let values = self.field.shape().len();
        let mut done = self.nothing_yet();
        let (mut step, mut spent, mut seen) = (plan.step, 0.0, 0);
        let mut next = 0;
        while next < count {
            // The last segment alone settles the account.
            let end = if next + 1 < count { (next + BATCH).min(count - 1) } else { count };
            let last = end == count;
            let left = last.then_some(plan.budget - spent);
            if left.is_some_and(|left| left <= 0.0) {
                let predicted = plan.budget * seen as f64 / values as f64;
                return Ok(Attempt::Overspent(if predicted > 0.0 { spent / predicted } else { 1.0 }));
            }
            let known = &*candidates;
            let segments = self.tools.map(next..end, |k| self.code_segment::<R>(k, plan, step, left, known.get(&k)))?;
            for (k, segment) in (next..end).zip(segments) {
                let segment = match segment {
                    Attempt::Done(segment) => segment,
                    // With little left for the last window, finer steps before it help; else nothing will.
                    Attempt::Overspent(ratio) if last && feedback.may_reserve_more() => {
                        return Ok(Attempt::Overspent(ratio));
                    }
                    Attempt::Overspent(_) | Attempt::Unreachable => return Ok(Attempt::Unreachable),
                };
                spent += segment.encoded.squared_error;
                seen += self.size(k);
                tracing::debug!(segment = k, step, spent, budget = plan.budget, "coded");
                stages.add(&segment.encoded.stages);
                candidates.insert(k, self.take(&mut done, segment));
            }
            if !last {
                let per_value = spent / seen as f64;
                let wanted = (plan.budget - spent).max(plan.budget * 1e-3) / (values - seen) as f64;
                step *= (wanted / per_value.max(f64::MIN_POSITIVE)).powf(0.5 / STEP_POWER).clamp(0.7, 1.4);
            }
            next = end;
        }
        Ok(Attempt::Done(done))
    }

    /// A pass's result before its first segment.
    fn nothing_yet(&self) -> PassResult {
        PassResult {
            sections: Vec::with_capacity(self.cut.segments.len()),
            errors: Errors::new(self.context.normalisation.scale()),
            uses_model: false,
            enhanced: false,
            without_model: 0.0,
            overshoot: None,
            drift: self.context.inherited_drift(),
        }
    }

    /// Adds a segment to a pass's result; gives back its candidate.
    fn take(&self, done: &mut PassResult, segment: CodedSegment) -> Candidate {
        let CodedSegment { encoded, errors, candidate } = segment;
        done.errors.merge(&errors);
        done.uses_model |= candidate.header.needs_model();
        done.without_model += encoded.bytes.len() as f64 / candidate.model_ratio;
        done.enhanced |= candidate.header.enhance.is_some();
        done.drift = done.drift.max(self.context.drift(&candidate.header));
        done.overshoot = encoded.overshoot;
        done.sections.push(encoded.bytes);
        candidate
    }

    /// The step at which the probes' first windows come out at the budget, coded without prediction.
    fn first_step<R: Kernel>(&self, probes: &[usize], budget: f64) -> Result<Option<f64>> {
        let start = 3.0 * (budget / self.valid as f64).sqrt();
        let candidates = probes.iter().map(|&k| {
            let header = untried(self.cut.segments[k].count, FAST_CONTEXTS);
            (k, Candidate::plain(SegmentHeader { mode: PredictionMode::Transform, ..header }))
        });
        let forecasts = self.forecasts::<R>(probes, &candidates.collect(), start, Looked::First)?;
        Ok(forecasts.map(|forecasts| {
            step_for(|step| forecasts.iter().map(|f| f.total_enhanced(step)).sum(), self.share(probes, budget), start)
        }))
    }

    /// Some segments' share of a budget.
    fn share(&self, segments: &[usize], budget: f64) -> f64 {
        budget * segments.iter().map(|&k| self.size(k)).sum::<usize>() as f64 / self.field.shape().len() as f64
    }

    /// The step at which whole probes are predicted to come out at the budget, and their forecasts.
    fn refine_step<R: Kernel>(
        &self,
        probes: &[usize],
        candidates: &Candidates,
        step: f64,
        budget: f64,
        feedback: RateFeedback,
    ) -> Result<Option<(f64, Vec<Forecast>)>> {
        let wanted = self.share(probes, budget) * feedback.predicted_share;
        let looked = Looked::OneIn(self.knobs().window_stride);
        let mut step = step;
        for run in 1.. {
            let Some(forecasts) = self.forecasts::<R>(probes, candidates, step, looked)? else {
                return Ok(None);
            };
            // Corrected each, and not only their sum: windows are steered by them.
            let forecasts: Vec<Forecast> =
                forecasts.into_iter().map(|forecast| forecast.times(feedback.over_forecast)).collect();
            let before = step;
            step = step_for(|step| forecasts.iter().map(|f| f.total_enhanced(step)).sum(), wanted, before);
            let moved = (step / before).log2().abs();
            if run == RUNS || forecasts.iter().all(|f| moved < f.reach()) {
                return Ok(Some((step, forecasts)));
            }
        }
        unreachable!("the last run returns")
    }

    /// Forecasts of the errors of segments coded as their candidates say, at about `step`.
    fn forecasts<R: Kernel>(
        &self,
        segments: &[usize],
        candidates: &Candidates,
        step: f64,
        looked: Looked,
    ) -> Result<Option<Vec<Forecast>>> {
        let _span = tracing::debug_span!("forecast").entered();
        let forecasts = self.tools.map(0..segments.len(), |k| {
            let source = self.source(segments[k]);
            let candidate = &candidates[&segments[k]];
            let segment = source.segment;
            let layout = Layout::new(segment.h, segment.w);
            let load = |first: usize, count: usize, frames: &mut Frames<R>| {
                frames.load(&source, &self.context, first, count);
                predict_latents(frames, &source, &self.context, candidate).map(|_| ())
            };
            let reference = self.context.reference_frame::<R>(segment);
            let (frames, header, reference) = (segment.count, &candidate.header, reference.as_deref());
            let subject = Subject { frames, layout: &layout, header, reference };
            let forecast = Forecast::of(subject, step, looked, load)?;
            Ok(forecast.map(|f| f.times(candidate.over_forecast).enhanced(candidate.enhancement_ratio)))
        })?;
        Ok(forecasts.into_iter().collect())
    }

    /// Decides how a segment is coded at about `step`.
    fn candidate<R: Kernel>(&self, index: usize, step: f64) -> Result<Candidate> {
        let source = self.source(index);
        match self.knobs().mode_decision {
            ModeDecision::None => {
                let header = untried(source.segment.count, self.knobs().mixes_contexts);
                Ok(Candidate::plain(SegmentHeader { step: Step::at_most(step), ..header }))
            }
            ModeDecision::Trials => choose::<T, R>(&source, step, self.tools, &self.context),
        }
    }

    /// Encodes and checks one segment at a step, as its candidate says, if it has one yet; `left` of the budget where
    /// it is the last.
    fn code_segment<R: Kernel>(
        &self,
        index: usize,
        plan: &Plan,
        step: f64,
        left: Option<f64>,
        candidate: Option<&Candidate>,
    ) -> Result<Attempt<CodedSegment>> {
        let knobs = self.knobs();
        let candidate = match candidate {
            Some(candidate) => candidate.clone(),
            None if knobs.enhanced_at == EnhancedAt::OwnStep => self.candidate::<R>(index, plan.compared_at)?,
            None => self.candidate::<R>(index, step)?,
        };
        // Segments before the last are steered by what was predicted for the common step.
        let budget = plan.forecasts.get(&index).map(|forecast| match left {
            Some(left) => Budget { squared_error: left, forecast, role: Role::Settles },
            None => Budget { squared_error: forecast.total_enhanced(step), forecast, role: Role::Steers },
        });
        let goal = &Goal { step, budget, knobs };
        let source = self.source(index);
        let memo = fm::Memo::default();
        let mut buffers = Buffers::default();
        let context = FieldContext { memo: Some(&memo), ..self.context };
        let size = [source.segment.h, source.segment.w];
        let (header, package, fm_mode) = (&candidate.header, context.package, self.tools.options.fm);
        let encoded = tracing::debug_span!("encode").in_scope(|| {
            with_interpolator(header, package, size, fm_mode, Some(&memo), |model| {
                encode::<T, R>(&source, context, &candidate, goal, model, &mut buffers)
            })
        })?;
        let mut encoded = match encoded {
            Attempt::Done(encoded) => encoded,
            Attempt::Overspent(ratio) => return Ok(Attempt::Overspent(ratio)),
            Attempt::Unreachable => return Ok(Attempt::Unreachable),
        };
        let _span = tracing::debug_span!("check").entered();
        let begin = Instant::now();
        let mut errors = self.check::<R>(&source, &encoded.bytes, context, &mut buffers)?;
        errors.guard(self.context.drift(header));
        encoded.stages.check += begin.elapsed().as_secs_f64();
        if header.enhance.is_some() {
            encoded.squared_error = errors.squared;
        }
        Ok(Attempt::Done(CodedSegment { encoded, errors, candidate }))
    }

    /// Decodes a segment's bytes as a reader will, and compares with the original.
    fn check<R: Kernel>(
        &self,
        source: &Source<'_, T>,
        bytes: &[u8],
        context: FieldContext<'_>,
        buffers: &mut Buffers<R>,
    ) -> Result<Errors> {
        let mut errors = Errors::new(self.context.normalisation.scale());
        let mut exact = Vec::new();
        let segment = source.segment;
        let mut ignored = StageSeconds::default();
        let work = Work { stages: &mut ignored, buffers };
        let whole = Part { from: 0, until: segment.count, halvings: 0 };
        decode::<T, R>(bytes, segment, context, whole, work, |window| {
            let _span = tracing::debug_span!("compare").entered();
            source.starting_at(window.first).original(window.count, &mut exact);
            let dims = [window.count, window.h, window.w];
            errors.add(&exact, window.values, dims, self.context.specials, self.context.block_bound())
        })
        .map_err(|error| match error.kind() {
            // What fails is not the stream.
            ErrorKind::Runtime => error.context("the check of the own output"),
            _ => Error::internal(format!("the check of the own output failed: {error}")),
        })?;
        Ok(errors)
    }
}

mod pointwise;
#[cfg(test)]
mod tests;

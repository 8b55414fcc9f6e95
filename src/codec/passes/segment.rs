//! Coding one segment in a pass: at a step, or so that its error comes to what is left of the budget; and the check of
//! what comes out.

use super::plan::Plan;
use super::{Candidates, Passes};
use crate::bound::check::Errors;
use crate::codec::effort::EnhancedAt;
use crate::codec::plan::candidate::Candidate;
use crate::codec::rate::account::Settlement;
use crate::codec::rate::budget::{Attempt, Budget, Goal, Role};
use crate::codec::rate::step::{StepBracket, step_for};
use crate::codec::report::StageSeconds;
use crate::codec::segment::context::{FieldContext, with_interpolator};
use crate::codec::segment::decode::{Part, Work, corrected_anew, decode, verify};
use crate::codec::segment::encode::{EncodedSegment, encode};
use crate::codec::segment::fingerprint::Checked;
use crate::codec::segment::state::Buffers;
use crate::error::{Error, ErrorKind, Result};
use crate::field::Element;
use crate::predict::fm;
use crate::residual::kernels::Kernel;
use crate::window::Source;
use std::time::Instant;

/// Attempts to have a segment's last window settle what is left.
const ATTEMPTS: usize = 3;
/// The share of what is left that windows are led to after one attempt, and after more.
const RESERVES: [f64; 2] = [0.99, 0.95];
/// Steps that are tried where no attempt did.
const STEPS: usize = 20;
/// The share of what is left that is aimed at then; and the share that is enough of an attempt.
const AIM: f64 = 0.996;
const ENOUGH_AT_ONCE: f64 = 0.97;
/// A segment whose error grows by less over this factor on its step makes all the error that it can.
const COARSER: f64 = 1.25;
const FLAT: f64 = 1.05;
/// A last window whose step is further from the segment's than by this factor settled what forecasts should have told.
const UNEVEN: f64 = 2.0;
/// What others tell of a segment's error, over what its forecast does, is believed within this factor.
const CREDIBLE: f64 = 4.0;
/// How well errors are known beforehand, below 1.
const SURE: f64 = 0.9995;
const SURE_ENHANCED: f64 = 0.998;

/// A segment, encoded and checked.
pub(super) struct CodedSegment {
    pub(super) encoded: EncodedSegment,
    pub(super) errors: Errors,
    pub(super) candidate: Candidate,
    /// How often it was coded for that.
    pub(super) codings: usize,
}

impl<T: Element> Passes<'_, T> {
    /// Encodes and checks one segment at a step, as its candidate says, if it has one yet.
    pub(super) fn code_segment<R: Kernel>(
        &self,
        index: usize,
        plan: &Plan,
        step: f64,
        budget: Option<Budget<'_>>,
        candidate: Option<&Candidate>,
    ) -> Result<Attempt<CodedSegment>> {
        let knobs = self.knobs();
        let begin = Instant::now();
        let candidate = match candidate {
            Some(candidate) => candidate.clone(),
            None => self.candidate_at::<R>(index, plan, step)?,
        };
        let deciding = begin.elapsed().as_secs_f64();
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
            Attempt::Overspent(spent) => return Ok(Attempt::Overspent(spent)),
            Attempt::Unreachable => return Ok(Attempt::Unreachable),
        };
        let _span = tracing::debug_span!("check").entered();
        let begin = Instant::now();
        let mut errors = match encoded.checked.take() {
            Some(checked) => self.compare::<R>(&source, &encoded.bytes, context, checked, &mut buffers)?,
            None => self.check::<R>(&source, &encoded.bytes, context, &mut buffers)?,
        };
        errors.guard(self.context.drift(header));
        encoded.stages.check += begin.elapsed().as_secs_f64();
        encoded.stages.mode_decision += deciding;
        Ok(Attempt::Done(CodedSegment { encoded, errors, candidate, codings: 1 }))
    }

    /// Decides how a segment is coded that is to have about `step`.
    pub(super) fn candidate_at<R: Kernel>(&self, index: usize, plan: &Plan, step: f64) -> Result<Candidate> {
        let own_step = self.knobs().enhanced_at == EnhancedAt::OwnStep;
        self.candidate::<R>(index, if own_step { plan.compared_at } else { step })
    }

    /// Encodes a segment at about a step, windows being steered by what was predicted for them.
    pub(super) fn code_at<R: Kernel>(
        &self,
        index: usize,
        plan: &Plan,
        step: f64,
        candidates: &Candidates,
    ) -> Result<Attempt<CodedSegment>> {
        let budget = plan.forecasts.get(&index).map(|forecast| Budget {
            squared_error: forecast.total_enhanced(step),
            forecast,
            role: Role::Steers,
        });
        self.code_segment::<R>(index, plan, step, budget, candidates.get(&index))
    }

    /// One attempt to encode a probe at the plan's step so that its error comes to a budget.
    pub(super) fn settle_once<R: Kernel>(
        &self,
        index: usize,
        plan: &Plan,
        squared_error: f64,
        candidates: &Candidates,
    ) -> Result<Attempt<CodedSegment>> {
        let budget = Budget { squared_error, forecast: &plan.forecasts[&index], role: Role::Settles };
        self.code_segment::<R>(index, plan, plan.step, Some(budget), candidates.get(&index))
    }

    /// Encodes a probe at about a step so that its error comes to what is left of the budget: its last window settles
    /// that, or else the step of the whole segment. Where no step leads there, the attempt with the least error.
    pub(super) fn settle<R: Kernel>(
        &self,
        due: Settlement,
        plan: &Plan,
        candidates: &Candidates,
    ) -> Result<Attempt<CodedSegment>> {
        let Settlement { segment: index, step, expected, left } = due;
        let mut forecast = match plan.forecasts.get(&index) {
            Some(forecast) => forecast.clone(),
            None => match self.closer::<R>(index, step, left, candidates)? {
                Some(forecast) => forecast,
                None => return Ok(Attempt::Unreachable),
            },
        };
        let predicted = forecast.total_enhanced(step);
        if expected > 0.0 && predicted > 0.0 {
            forecast = forecast.times((expected / predicted).clamp(1.0 / CREDIBLE, CREDIBLE));
        }
        let grows = forecast.total_enhanced(step * COARSER) > FLAT * forecast.total_enhanced(step);
        let (mut aim, mut step, mut looked) = (left, step, false);
        let mut best: Option<CodedSegment> = None;
        for attempt in 1..=ATTEMPTS {
            let budget = Budget { squared_error: aim, forecast: &forecast, role: Role::Settles };
            let spent = match self.code_segment::<R>(index, plan, step, Some(budget), candidates.get(&index))? {
                Attempt::Done(mut done) => {
                    done.codings = attempt;
                    let error = done.errors.squared;
                    tracing::debug!(segment = index, used = error / left, "settled");
                    if error > left {
                        // What rounding to the caller's type adds, or what enhancement leaves more than was thought.
                        let sure = if done.candidate.header.enhance.is_some() { SURE_ENHANCED } else { SURE };
                        aim = (aim - (error - left)).min(aim * left / error) - (1.0 - sure) * left;
                        if aim <= 0.0 {
                            break;
                        }
                        continue;
                    }
                    let spent = done.encoded.spent.clone();
                    let last = spent.last().filter(|_| spent.len() > 1).map_or(step, |last| last.step);
                    let even = (1.0 / UNEVEN..UNEVEN).contains(&(last / step));
                    let enough = best.is_some() || even && (error >= ENOUGH_AT_ONCE * left || !grows);
                    if best.as_ref().is_none_or(|best| done.encoded.bytes.len() < best.encoded.bytes.len()) {
                        best = Some(done);
                    }
                    if enough {
                        break;
                    }
                    // Quiet windows at the end cannot make up for what those before them left unused, nor lively ones for
                    // what those spent.
                    spent
                }
                Attempt::Overspent(spent) => spent,
                Attempt::Unreachable => return Ok(Attempt::Unreachable),
            };
            tracing::debug!(segment = index, windows = spent.len(), "the forecast misled");
            if !std::mem::replace(&mut looked, true)
                && let Some(closer) = self.closer::<R>(index, step, left, candidates)?
            {
                forecast = closer;
            }
            forecast = forecast.learnt(&spent);
            step = step_for(|step| forecast.total_enhanced(step), aim * RESERVES[(attempt - 1).min(1)], step);
        }
        if let Some(best) = best {
            return Ok(Attempt::Done(best));
        }
        let start = step_for(|step| forecast.total_enhanced(step), left * AIM, step);
        self.search::<R>(index, plan, start, left, candidates)
    }

    /// Encodes a segment at one step after another until its error uses up what is left, or the least error is found.
    fn search<R: Kernel>(
        &self,
        index: usize,
        plan: &Plan,
        start: f64,
        left: f64,
        candidates: &Candidates,
    ) -> Result<Attempt<CodedSegment>> {
        let mut best: Option<CodedSegment> = None;
        let mut bracket = StepBracket::new(start, left);
        for tried in 1..=STEPS {
            let coded = self.code_segment::<R>(index, plan, bracket.step(), None, candidates.get(&index))?;
            let Attempt::Done(done) = coded else { break };
            let done = CodedSegment { codings: ATTEMPTS + tried, ..done };
            let error = done.errors.squared;
            if bracket.note(error) {
                best = Some(done);
            }
            if bracket.is_done(tried) {
                break;
            }
        }
        Ok(best.map_or(Attempt::Unreachable, Attempt::Done))
    }

    /// Decodes a segment's bytes as a reader will, and compares with the original.
    pub(super) fn check<R: Kernel>(
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
        .map_err(failed)?;
        Ok(errors)
    }

    /// A segment's section with corrections for another context than that which it was encoded in; `None` where nothing
    /// will do.
    pub(super) fn corrected_anew<R: Kernel>(
        &self,
        source: &Source<'_, T>,
        bytes: &[u8],
        context: FieldContext<'_>,
        buffers: &mut Buffers<R>,
    ) -> Result<Option<Vec<u8>>> {
        let work = Work { stages: &mut StageSeconds::default(), buffers };
        corrected_anew::<T, R>(bytes, source, context, work).map_err(failed)
    }

    /// Reads a segment's bytes as a reader will, and compares what it makes values of with what they were made of.
    fn compare<R: Kernel>(
        &self,
        source: &Source<'_, T>,
        bytes: &[u8],
        context: FieldContext<'_>,
        checked: Checked,
        buffers: &mut Buffers<R>,
    ) -> Result<Errors> {
        verify::<T, R>(bytes, source.segment, context, &checked, buffers).map_err(failed)?;
        Ok(checked.errors)
    }
}

/// What a check of the own output failed with.
fn failed(error: Error) -> Error {
    match error.kind() {
        // What fails is not the stream.
        ErrorKind::Runtime => error.context("the check of the own output"),
        _ => Error::internal(format!("the check of the own output failed: {error}")),
    }
}

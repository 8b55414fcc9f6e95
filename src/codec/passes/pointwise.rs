//! Bounds on points: every segment is coded for itself, by transforms and corrections or by closed-loop prediction,
//! whichever is smaller.

use super::plan::Plan;
use super::segment::CodedSegment;
use super::{Attempt, PassResult, Passes};
use crate::bound::check::Errors;
use crate::closed_loop::{Account, Choice, Parameters, Search};
use crate::codec::plan::candidate::{Candidate, untried};
use crate::codec::rate::budget::Goal;
use crate::codec::report::StageSeconds;
use crate::codec::segment::closed_loop::{self, Closed};
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::decode::Part;
use crate::codec::segment::encode::{EncodedSegment, encode};
use crate::codec::segment::state::Buffers;
use crate::error::{Error, Result};
use crate::field::Element;
use crate::options::FmMode;
use crate::predict::Step;
use crate::predict::hierarchical::ModelUse;
use crate::residual::kernels::Kernel;
use crate::stream::{SegmentHeader, is_closed_loop};
use crate::window::Source;
use std::time::Instant;

/// The step over the half-width of the bound.
const STEP: f64 = 1.5;
/// What boxes must say of the bytes of one way over the other's for the other not to be tried: boxes err.
const SURE: f64 = 1.25;
/// As much for the first look at a segment to be the last.
const HOPELESS: f64 = 1.6;

/// How much larger closed-loop prediction may be in one segment for others to try it.
const NEAR: f64 = 1.05;
/// One in how many segments is tried in every way, and how many at most: a trial takes as long as some segments.
const PILOT_SHARE: usize = 24;
const PILOTS: usize = 6;

/// The segments of `count` that are tried in every way, in order.
fn pilots(count: usize) -> Vec<usize> {
    let pilots = count.div_ceil(PILOT_SHARE).min(PILOTS);
    (0..pilots).map(|k| (2 * k + 1) * count / (2 * pilots)).collect()
}

/// A segment after trials.
struct Found {
    segment: Attempt<CodedSegment>,
    /// The parameters of closed-loop prediction, where it was smaller or nearly so.
    closed_loop: Option<Parameters>,
}

/// A section of closed-loop prediction, not yet checked.
pub(super) struct EncodedClosed {
    pub(super) bytes: Vec<u8>,
    pub(super) parameters: Parameters,
    /// What its errors add up to.
    pub(super) account: Account,
    pub(super) seconds: f64,
}

/// What a look at a segment says.
struct Looked {
    index: usize,
    /// The bits of closed-loop prediction over those of transforms.
    ratio: f64,
    choice: Option<Choice>,
    seconds: f64,
}

impl<T: Element> Passes<'_, T> {
    /// Codes every segment so that no point is further from the original than `bound`; `None` where that cannot be met.
    ///
    /// # Errors
    /// What the model says, and `Internal` where the check of the own output fails.
    pub(super) fn pointwise<R: Kernel>(&self, bound: f64, stages: &mut StageSeconds) -> Result<Option<PassResult>> {
        let plan = Plan::at(bound / self.context.normalisation.scale() * STEP);
        let count = self.cut.segments.len();
        let pilots = pilots(count);
        let found = self.tools.map(0..pilots.len(), |k| self.smaller::<R>(pilots[k], &plan, bound))?;
        let mut lessons = Vec::new();
        for parameters in found.iter().filter_map(|found| found.closed_loop) {
            if !lessons.contains(&parameters) {
                lessons.push(parameters);
            }
        }
        let mut found: Vec<(usize, Attempt<CodedSegment>)> =
            pilots.iter().copied().zip(found.into_iter().map(|found| found.segment)).collect();
        let others: Vec<usize> = (0..count).filter(|index| !pilots.contains(index)).collect();
        let coded = self.tools.map(0..others.len(), |k| self.taught::<R>(others[k], &plan, bound, &lessons))?;
        found.extend(others.into_iter().zip(coded));
        found.sort_by_key(|(index, _)| *index);
        let mut segments = Vec::with_capacity(count);
        for (_, segment) in found {
            let Attempt::Done(segment) = segment else { return Ok(None) };
            stages.add(&segment.encoded.stages);
            segments.push(segment);
        }
        let mut done = self.result(segments);
        if done.sections.iter().all(|section| is_closed_loop(section)) {
            done.drift = 0.0;
        }
        Ok(Some(done))
    }

    /// A segment, coded in the way that is smaller, after trials of every kind.
    fn smaller<R: Kernel>(&self, index: usize, plan: &Plan, bound: f64) -> Result<Found> {
        // Asked for by name, the model is always used.
        if self.tools.options.fm == FmMode::On {
            let segment = self.code_segment::<R>(index, plan, plan.step, None, None)?;
            return Ok(Found { segment, closed_loop: None });
        }
        let begin = Instant::now();
        let source = self.source(index);
        let silent = FieldContext { progress: None, ..self.context };
        let closed = Closed { source: &source, context: &silent, bound };
        let mut search = Some(Search::new(&closed, self.knobs().mixes_contexts()));
        let (mut ratio, mut choice) = (1.0, None);
        tracing::debug_span!("choose").in_scope(|| -> Result<()> {
            if let Some(first) = search.as_ref().map(Search::first) {
                ratio = self.ratio::<R>(index, plan.step, &first)?;
            }
            if ratio < HOPELESS {
                choice = search.take().map(Search::finish);
            }
            if let Some(choice) = &choice {
                ratio = self.ratio::<R>(index, plan.step, choice)?;
            }
            Ok(())
        })?;
        let looked = Looked { index, ratio, choice, seconds: begin.elapsed().as_secs_f64() };
        self.smaller_of::<R>(looked, plan, &closed, || search.take().map(Search::finish))
    }

    /// A segment, coded in the way that is smaller; closed-loop prediction with what other segments have shown alone, and
    /// where they have shown nothing, transforms.
    fn taught<R: Kernel>(
        &self,
        index: usize,
        plan: &Plan,
        bound: f64,
        lessons: &[Parameters],
    ) -> Result<Attempt<CodedSegment>> {
        if self.tools.options.fm == FmMode::On {
            return self.code_segment::<R>(index, plan, plan.step, None, None);
        }
        let begin = Instant::now();
        let source = self.source(index);
        let silent = FieldContext { progress: None, ..self.context };
        let closed = Closed { source: &source, context: &silent, bound };
        let mixing = self.knobs().mixes_contexts();
        let _span = tracing::debug_span!("choose").entered();
        let choice = if lessons.is_empty() { None } else { Search::among(&closed, mixing, lessons) };
        let ratio = match &choice {
            Some(choice) => self.ratio::<R>(index, plan.step, choice)?,
            None => f64::INFINITY,
        };
        drop(_span);
        let looked = Looked { index, ratio, choice, seconds: begin.elapsed().as_secs_f64() };
        let search = || Some(Search::new(&closed, mixing).finish());
        Ok(self.smaller_of::<R>(looked, plan, &closed, search)?.segment)
    }

    /// Codes a segment in the way that a look at it says is smaller, or in both where it is in doubt. `search` is for a
    /// segment that transforms do not bring within the bound.
    fn smaller_of<R: Kernel>(
        &self,
        looked: Looked,
        plan: &Plan,
        closed: &Closed<'_, T>,
        search: impl FnOnce() -> Option<Choice>,
    ) -> Result<Found> {
        let Looked { index, ratio, mut choice, seconds } = looked;
        let parameters = choice.as_ref().map(|choice| choice.parameters);
        tracing::debug!(segment = index, ?parameters, ratio, "closed-loop prediction over transforms");
        let mut best = None;
        // Boxes of volumes are of one frame, which need not be like the others.
        if ratio > 1.0 / SURE || closed.source.segment.depth > 1 {
            match self.code_segment::<R>(index, plan, plan.step, None, None)? {
                // Held to the bound by corrections, but for what rounding to the caller's type adds.
                Attempt::Done(segment) if segment.errors.guarded <= closed.bound => best = Some(segment),
                _ => choice = choice.or_else(search),
            }
        }
        let mut closed_loop = None;
        if let Some(choice) = choice.filter(|_| ratio < SURE || best.is_none()) {
            // A segment's progress is counted once.
            let context = if best.is_some() { closed.context } else { &self.context };
            let closed = Closed { context, ..*closed };
            let coded = self.encode_closed(&closed, choice.parameters, Account::default())?;
            let size = coded.bytes.len() as f64;
            let other = best.as_ref().map_or(f64::INFINITY, |best| best.encoded.bytes.len() as f64);
            if size < NEAR * other {
                closed_loop = Some(choice.parameters);
            }
            if size < other {
                best = Some(self.finish_closed(&closed, coded, other)?);
            }
        }
        let segment = best.map_or(Attempt::Unreachable, |mut segment| {
            segment.encoded.stages.mode_decision += seconds;
            Attempt::Done(segment)
        });
        Ok(Found { segment, closed_loop })
    }

    /// The bits of closed-loop prediction over those of transforms, on the boxes of a choice; 1 where they are the whole
    /// segment.
    fn ratio<R: Kernel>(&self, index: usize, step: f64, choice: &Choice) -> Result<f64> {
        if choice.points() >= self.size(index) {
            return Ok(1.0);
        }
        let knobs = self.knobs();
        let along = self.cut.strides(&self.field.strides);
        let mut bits = 0.0;
        // Boxes are of one frame where frames are volumes; transforms take all of them at once.
        let [frames, depth, ..] = self.cut.segments[index].sizes();
        let alike = if depth > 1 { frames as f64 } else { 1.0 };
        for (origin, dims) in &choice.boxes {
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
                _ => return Ok(0.0),
            }
        }
        Ok(alike * choice.bits / bits.max(1.0))
    }

    /// Codes a segment in closed loop; `account` says how closely its errors are to cancel.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn encode_closed(
        &self,
        closed: &Closed<'_, T>,
        parameters: Parameters,
        account: Account,
    ) -> Result<EncodedClosed> {
        let begin = Instant::now();
        let (bytes, account) = tracing::debug_span!("encode").in_scope(|| closed.encode(&parameters, account))?;
        Ok(EncodedClosed { bytes, parameters, account, seconds: begin.elapsed().as_secs_f64() })
    }

    /// A segment that was coded in closed loop; coded again where its mean strays and it stays below `other` bytes, and
    /// checked.
    ///
    /// # Errors
    /// `Internal` where the check of the own output fails.
    pub(super) fn finish_closed(
        &self,
        closed: &Closed<'_, T>,
        coded: EncodedClosed,
        other: f64,
    ) -> Result<CodedSegment> {
        let EncodedClosed { bytes, seconds, .. } = self.balanced(closed, coded, other)?;
        let mut stages = StageSeconds { entropy: seconds, ..StageSeconds::default() };
        let _span = tracing::debug_span!("check").entered();
        let begin = Instant::now();
        let errors = self.check_closed(closed, &bytes)?;
        stages.check += begin.elapsed().as_secs_f64();
        let header = untried(closed.source.segment, self.knobs().index_coder);
        let encoded = EncodedSegment {
            bytes,
            squared_error: errors.squared,
            overshoot: None,
            spent: Vec::new(),
            stages,
            checked: None,
        };
        Ok(CodedSegment { encoded, errors, candidate: Candidate::plain(header), codings: 1 })
    }

    /// The errors of a segment of closed-loop prediction as it is decoded.
    fn check_closed(&self, closed: &Closed<'_, T>, bytes: &[u8]) -> Result<Errors> {
        let segment = closed.source.segment;
        let whole = Part { from: 0, until: segment.count, halvings: 0 };
        let mut errors = Errors::new(self.context.normalisation.scale());
        let mut exact = Vec::new();
        closed_loop::decode::<T>(bytes, segment, *closed.context, whole, &mut StageSeconds::default(), |window| {
            closed.source.starting_at(window.first).original(window.count, &mut exact);
            let differs = |(a, b): (&T, &T)| a.to_bits_u64() != b.to_bits_u64();
            if closed.bound == 0.0 && exact.iter().zip(window.values).any(differs) {
                return Err(Error::internal("a value is not bit-exact"));
            }
            let dims = [window.count, window.h, window.w];
            errors.add(&exact, window.values, dims, self.context.specials, false)
        })
        .map_err(|error| Error::internal(format!("the check of the own output failed: {error}")))?;
        errors.guard(0.0);
        Ok(errors)
    }
}

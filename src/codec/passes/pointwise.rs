//! Bounds on points: every segment is coded for itself, by transforms and corrections or by closed-loop prediction,
//! whichever is smaller.

use super::plan::Plan;
use super::pricing::{ENOUGH, NEXT, USUAL};
use super::segment::CodedSegment;
use super::{Attempt, PassResult, Passes};
use crate::bound::check::Errors;
use crate::closed_loop::{Account, Choice, Parameters, Search};
use crate::codec::effort::SampleSize;
use crate::codec::plan::candidate::{Candidate, untried};
use crate::codec::rate::step::STEP_POWER;
use crate::codec::report::StageSeconds;
use crate::codec::segment::closed_loop::{self, Closed};
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::decode::Part;
use crate::codec::segment::encode::EncodedSegment;
use crate::error::{Error, Result};
use crate::field::Element;
use crate::options::FmMode;
use crate::residual::kernels::Kernel;
use crate::stream::{PredictionMode, is_closed_loop};
use std::time::Instant;

/// What boxes must say of the bytes of one way over the other's for the other not to be tried: boxes err, those of few
/// bits by more.
const SURE: f64 = 1.25;
/// As much for the first look at a segment to be the last, and where boxes take few bits.
const HOPELESS: f64 = 1.6;
/// Bits of a segment below which steps are tried on all of it.
const ENOUGH_WHOLE: f64 = 8.0 * 16384.0;
/// The least points of a segment that has its own step where others have shown theirs.
const OWN_STEP: usize = 1 << 18;
/// How much larger a section of closed-loop prediction may be for it to be coded again where its mean strays.
const BALANCED: f64 = 1.5;

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
    /// The step that transforms were found to cost least at.
    step: f64,
}

/// What trials of some segments tell of the others.
struct Lessons {
    closed_loop: Vec<Parameters>,
    step: f64,
}

impl Lessons {
    fn of(found: &[Found]) -> Self {
        let mut closed_loop = Vec::new();
        for parameters in found.iter().filter_map(|found| found.closed_loop) {
            if !closed_loop.contains(&parameters) {
                closed_loop.push(parameters);
            }
        }
        let logs: f64 = found.iter().map(|found| found.step.ln()).sum();
        Self { closed_loop, step: (logs / found.len() as f64).exp() }
    }
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
    /// The step at which transforms cost least.
    step: f64,
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
        let step = bound / self.context.normalisation.scale() * USUAL;
        let count = self.cut.segments.len();
        let pilots = pilots(count);
        let found = self.tools.map(0..pilots.len(), |k| self.smaller::<R>(pilots[k], step, bound))?;
        let lessons = Lessons::of(&found);
        let mut found: Vec<(usize, Attempt<CodedSegment>)> =
            pilots.iter().copied().zip(found.into_iter().map(|found| found.segment)).collect();
        let others: Vec<usize> = (0..count).filter(|index| !pilots.contains(index)).collect();
        let coded = self.tools.map(0..others.len(), |k| self.taught::<R>(others[k], bound, &lessons))?;
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
    fn smaller<R: Kernel>(&self, index: usize, start: f64, bound: f64) -> Result<Found> {
        let begin = Instant::now();
        let source = self.source(index);
        let silent = FieldContext { progress: None, ..self.context };
        let closed = Closed { source: &source, context: &silent, bound };
        // Asked for by name, the model is always used.
        if self.tools.options.fm == FmMode::On {
            let step = self.cheapest::<R>(index, &closed, start)?;
            let segment = self.transformed::<R>(index, step)?.map_or(Attempt::Unreachable, Attempt::Done);
            return Ok(Found { segment, closed_loop: None, step });
        }
        let mut search = Some(Search::new(&closed, self.knobs().mixes_contexts()));
        let _span = tracing::debug_span!("choose").entered();
        let (mut ratio, mut choice) = (1.0, None);
        if let Some(first) = search.as_ref().map(Search::first) {
            ratio = self.ratio(&first, self.bits_of_boxes::<R>(index, &first.boxes, start)?, index);
        }
        if ratio < HOPELESS {
            choice = search.take().map(Search::finish);
        }
        let step = self.cheapest::<R>(index, &closed, start)?;
        if let Some(choice) = &choice {
            ratio = self.ratio(choice, self.bits_of_boxes::<R>(index, &choice.boxes, step)?, index);
        }
        drop(_span);
        let looked = Looked { index, step, ratio, choice, seconds: begin.elapsed().as_secs_f64() };
        self.smaller_of::<R>(looked, &closed, || search.take().map(Search::finish))
    }

    /// A segment, coded in the way that is smaller; closed-loop prediction with what other segments have shown alone, and
    /// where they have shown nothing, transforms.
    fn taught<R: Kernel>(&self, index: usize, bound: f64, lessons: &Lessons) -> Result<Attempt<CodedSegment>> {
        let begin = Instant::now();
        let source = self.source(index);
        let silent = FieldContext { progress: None, ..self.context };
        let closed = Closed { source: &source, context: &silent, bound };
        let (mixing, known) = (self.knobs().mixes_contexts(), &lessons.closed_loop);
        let _span = tracing::debug_span!("choose").entered();
        let own = self.size(index) >= OWN_STEP;
        let step = if own { self.cheapest::<R>(index, &closed, lessons.step)? } else { lessons.step };
        if self.tools.options.fm == FmMode::On {
            return Ok(self.transformed::<R>(index, step)?.map_or(Attempt::Unreachable, Attempt::Done));
        }
        let choice = if known.is_empty() { None } else { Search::among(&closed, mixing, known) };
        let ratio = match &choice {
            Some(choice) => self.ratio(choice, self.bits_of_boxes::<R>(index, &choice.boxes, step)?, index),
            None => f64::INFINITY,
        };
        drop(_span);
        let looked = Looked { index, step, ratio, choice, seconds: begin.elapsed().as_secs_f64() };
        let search = || Some(Search::new(&closed, mixing).finish());
        Ok(self.smaller_of::<R>(looked, &closed, search)?.segment)
    }

    /// Codes a segment in the way that a look at it says is smaller, or in both where it is in doubt. `search` is for a
    /// segment that transforms do not bring within the bound.
    fn smaller_of<R: Kernel>(
        &self,
        looked: Looked,
        closed: &Closed<'_, T>,
        search: impl FnOnce() -> Option<Choice>,
    ) -> Result<Found> {
        let Looked { index, step, ratio, mut choice, seconds } = looked;
        let few = choice.as_ref().is_some_and(|choice| choice.bits < ENOUGH);
        let sure = if few { HOPELESS } else { SURE };
        let parameters = choice.as_ref().map(|choice| choice.parameters);
        tracing::debug!(segment = index, ?parameters, ratio, "closed-loop prediction over transforms");
        let mut best = None;
        // Boxes of volumes are of one frame, which need not be like the others.
        if ratio > 1.0 / sure || closed.source.segment.depth > 1 {
            match self.transformed::<R>(index, step)? {
                // Held to the bound by corrections, but for what rounding to the caller's type adds.
                Some(segment) if segment.errors.guarded <= closed.bound => best = Some(segment),
                _ => choice = choice.or_else(search),
            }
        }
        let mut closed_loop = None;
        if let Some(choice) = choice.filter(|_| ratio < sure || best.is_none()) {
            // A segment's progress is counted once.
            let context = if best.is_some() { closed.context } else { &self.context };
            let closed = Closed { context, ..*closed };
            let mut coded = self.encode_closed(&closed, choice.parameters, Account::default())?;
            let other = best.as_ref().map_or(f64::INFINITY, |best| best.encoded.bytes.len() as f64);
            if (coded.bytes.len() as f64) < BALANCED * other {
                coded = self.balanced(&closed, coded, BALANCED * other)?;
            }
            let size = coded.bytes.len() as f64;
            if size < NEAR * other {
                closed_loop = Some(choice.parameters);
            }
            if size < other {
                best = Some(self.finish_closed(&closed, coded)?);
            }
        }
        let segment = best.map_or(Attempt::Unreachable, |mut segment| {
            segment.encoded.stages.mode_decision += seconds;
            Attempt::Done(segment)
        });
        Ok(Found { segment, closed_loop, step })
    }

    /// A segment coded by transforms, at about the step that boxes say costs least: where that is of few bytes or of a
    /// hierarchy, which boxes say little of, or time does not count, at the best of those tried on the whole.
    fn transformed<R: Kernel>(&self, index: usize, step: f64) -> Result<Option<CodedSegment>> {
        let plan = Plan::at(step);
        let begin = Instant::now();
        let candidate = self.candidate_at::<R>(index, &plan, step)?;
        let seconds = begin.elapsed().as_secs_f64();
        // Boxes are not enhanced: the step with which as much error is left.
        let step = step * candidate.enhancement_ratio.powf(-1.0 / STEP_POWER);
        let code = |passes: &Self, step: f64| -> Result<Option<CodedSegment>> {
            Ok(match passes.code_segment::<R>(index, &plan, step, None, Some(&candidate))? {
                Attempt::Done(segment) => Some(segment),
                _ => None,
            })
        };
        let Some(mut best) = code(self, step)? else { return Ok(None) };
        // A segment's progress is counted once.
        let silent = Self { context: FieldContext { progress: None, ..self.context }, ..*self };
        best.encoded.stages.mode_decision += seconds;
        let whole = self.knobs().sample == SampleSize::Whole;
        // Boxes are coded without a hierarchy, whose errors serve other frames: finer steps suit it.
        let finer = candidate.header.mode == PredictionMode::Hierarchical;
        if whole || finer || 8.0 * (best.encoded.bytes.len() as f64) < ENOUGH_WHOLE {
            for factor in if finer { [1.0 / NEXT, NEXT] } else { [NEXT, 1.0 / NEXT] } {
                let (mut at, first) = (step, best.encoded.bytes.len());
                loop {
                    at *= factor;
                    let Some(next) = code(&silent, at)? else { break };
                    if next.encoded.bytes.len() >= best.encoded.bytes.len() {
                        break;
                    }
                    best = next;
                }
                // Else boxes err towards finer steps.
                if best.encoded.bytes.len() < first || !whole && !finer {
                    break;
                }
            }
        }
        Ok(Some(best))
    }

    /// The bits of closed-loop prediction over those of transforms, on the boxes of a choice: 1 where they are the whole
    /// segment, 0 where transforms cannot code them.
    fn ratio(&self, choice: &Choice, transforms: Option<f64>, index: usize) -> f64 {
        if choice.points() >= self.size(index) {
            return 1.0;
        }
        transforms.map_or(0.0, |bits| choice.bits / bits.max(1.0))
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

    /// A segment that was coded in closed loop, checked.
    ///
    /// # Errors
    /// `Internal` where the check of the own output fails.
    pub(super) fn finish_closed(&self, closed: &Closed<'_, T>, coded: EncodedClosed) -> Result<CodedSegment> {
        let EncodedClosed { bytes, seconds, .. } = coded;
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
    pub(super) fn check_closed(&self, closed: &Closed<'_, T>, bytes: &[u8]) -> Result<Errors> {
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

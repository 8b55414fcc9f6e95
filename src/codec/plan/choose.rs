//! Choosing how a segment is coded: the ways of prediction, window lengths and bases, tried on a sample of it.

use super::candidate::{Candidate, HOPELESS, over, plain};
use super::refine::{Refinement, may_enhance};
use super::trial::{Sample, TrialOutcome};
use crate::codec::rate::step::STEP_POWER;
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::frames::{Frames, Source};
use crate::codec::tools::Tools;
use crate::enhance::Network;
use crate::error::Result;
use crate::field::Element;
use crate::model::Model;
use crate::options::{Effort, FmMode};
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::basis::Basis;
use crate::residual::kernels::Kernel;
use crate::stream::{PredictionMode, SegmentHeader};

/// Bits fall with the squared error to a power between 0.2 and 1, which differs from field to field; this one levels the
/// differences of error that are left between trials until two trials of a method tell better.
const ERROR_POWER: f64 = 0.75;
/// One row in so many is looked at for a basis.
const BASIS_ROWS: usize = 4;
/// A trial whose error differs by more than this factor is repeated at a step that brings it near.
const ERROR_NEAR: f64 = 1.06;
/// The same where each trial runs the model.
const ERROR_NEAR_MODEL: f64 = 1.3;
/// Such repetitions, at most; and the factor over the best method so far from which on the first is the last.
const AGAIN: usize = 3;
const NO_RIVAL: f64 = 1.08;
/// The length of hierarchical windows that is tried first.
const USUAL_LENGTH: usize = 8;
/// Factors from layer to layer, in 1/32 above 1; and at the highest effort for interpolated windows that may be enhanced: what corrects
/// all layers alike makes errors that serve no other frame no cheaper.
const LAYER_FACTOR: u8 = 5;
const LAYER_FACTOR_ENHANCED: u8 = 0;
/// What the interpolator leaves of the bits of hierarchical windows, at the least.
const INTERPOLATED_LEAST: f64 = 0.7;

/// The PCA basis of a segment's windows, from all of its frames and rows evenly spread over them: a corner of them has
/// a basis of its own, which costs more than it gains elsewhere (docs/design.md).
fn basis<T: Element, R: Kernel>(source: &Source<'_, T>, shared: &FieldContext<'_>, window: usize) -> Option<Vec<i16>> {
    let segment = source.segment;
    let windows = segment.count / window;
    if windows == 0 || window < 2 {
        return None;
    }
    let mut thinned = *segment;
    thinned.h = segment.h.div_ceil(BASIS_ROWS);
    let mut placement = source.at(0);
    placement.start += (segment.h - 1) % BASIS_ROWS / 2 * placement.strides[1];
    placement.strides[1] *= BASIS_ROWS;
    let thinned = Source { values: source.values, segment: &thinned, placement };
    let n = thinned.segment.h * thinned.segment.w;
    let mut frames = Frames::<R>::default();
    let mut moments = vec![0.0; window * window];
    for k in 0..windows {
        frames.load(&thinned, shared, k * window, window);
        let frames = &frames.frames;
        for i in 0..window {
            for j in 0..=i {
                let dot = R::dot(&frames[i * n..][..n], &frames[j * n..][..n]);
                moments[i * window + j] += dot;
                if i != j {
                    moments[j * window + i] += dot;
                }
            }
        }
    }
    Basis::pca(&moments, window).ok().map(|(_, stored)| stored)
}

/// The method of a segment, at about the step that it will be coded with; for efforts above the lowest, which tries nothing.
///
/// # Errors
/// What the model says.
pub(crate) fn choose<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    step: f64,
    tools: &Tools<'_>,
    shared: &FieldContext<'_>,
) -> Result<Candidate> {
    let sample = &Sample::<R>::take(source, shared, tools.options.effort);
    let count = source.segment.count;
    let base =
        SegmentHeader { step: Step::at_most(step), ..plain(count, tools.options.effort, sample.before.is_some()) };
    let exact = tools.options.effort == Effort::High;
    let mut search = Search { sample, step, error: None, power: ERROR_POWER, exact, best: None };
    // Blocks are corrected with no room for another device's floats.
    let may_run = tools.options.fm != FmMode::Off && !shared.block_bound() && fm::grid(base.step) >= fm::FINEST_GRID;
    let (h, w) = (source.segment.h, source.segment.w);
    let package = shared.package.filter(|_| may_run && fm::takes(h, w));
    if tools.options.fm != FmMode::On || package.is_none() {
        transforms(&mut search, &base, source, shared)?;
    }
    let mut lengths = None;
    if count > 2 && !shared.block_bound() {
        lengths = Some(hierarchies(&mut search, &base, count, tools.options.effort)?);
        if tools.options.fm == FmMode::On && package.is_some() {
            // The trials without the model were for the window's length alone.
            search.best = None;
        }
    }
    let Some(package) = package else {
        return Ok(search.chosen(base).1);
    };
    let enhancing = enhancing::<R>(package, tools, shared);
    // Decoding has time for one of the two networks at normal effort.
    let either = tools.options.effort == Effort::Normal && tools.options.fm == FmMode::Auto;
    let mut refinement = Refinement::new(sample, step, search.power, package, tools.options);
    if let Some(best) = search.best.clone() {
        refinement.add(best, enhancing)?;
    }
    let mut candidates = Vec::new();
    if let Some(lengths) = lengths.filter(|_| package.has_interpolator()) {
        let hopeless = lengths.least * INTERPOLATED_LEAST > refinement.least();
        if !(either && hopeless) {
            candidates = interpolated(&mut search, &base, lengths, package, source, tools, shared)?;
        }
    }
    // Where that is one of them, they know its forecast better, and come first.
    candidates.extend(search.best.clone());
    if package.has_latents() && fm::grid(base.step) >= fm::FINEST_GRID_OF_LATENTS {
        latents(&mut search, &base, package, tools, shared)?;
    }
    candidates.push(search.chosen(base.clone()));
    if exact {
        candidates.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    }
    for candidate in candidates {
        let enhancing = enhancing && !(either && candidate.1.header.uses_model);
        refinement.add(candidate, enhancing)?;
    }
    // The step was set by what this comes to.
    let wanted = SegmentHeader { mode: PredictionMode::Transform, mixing: false, ..base };
    let wanted = if exact && enhancing { sample.try_out(&wanted, step, ModelUse::Off)? } else { None };
    let errors = search.error.zip(wanted).map(|(common, wanted)| [common, wanted.error]);
    refinement.best(errors.filter(|errors| errors.iter().all(|&error| error > 0.0)))
}

/// Whether frames may be enhanced.
fn enhancing<R: Kernel>(package: &Model, tools: &Tools<'_>, shared: &FieldContext<'_>) -> bool {
    Network::of(package, tools.options.effort).is_some() && may_enhance::<R>(shared)
}

/// Tries windows without a hierarchy: their usual lengths, and a basis of the best one's own.
fn transforms<T: Element, R: Kernel>(
    search: &mut Search<'_, R>,
    base: &SegmentHeader,
    source: &Source<'_, T>,
    shared: &FieldContext<'_>,
) -> Result<()> {
    let count = source.segment.count;
    // Windows of single frames would cut the blocks of the block bound.
    let fits = |window: usize| window < count && (window > 1 || !shared.block_bound()) || window == 1 && count == 1;
    // A window of every frame there is, too, where the usual lengths do not reach.
    let mut lengths: Vec<usize> = [1, 8, 16, 32].into_iter().filter(|&n| fits(n)).collect();
    if count > 1 && count < 32 {
        lengths.push(count);
    }
    for window in lengths {
        search.consider(SegmentHeader { window, ..base.clone() }, ModelUse::Off, 0)?;
    }
    if let Some((_, best)) = &search.best
        && let Some(basis) = basis::<T, R>(source, shared, best.header.window)
    {
        let header = SegmentHeader { basis: Some(basis), ..best.header.clone() };
        search.consider(header, ModelUse::Off, 0)?;
    }
    Ok(())
}

fn hierarchical(base: &SegmentHeader, window: usize, uses_model: bool) -> SegmentHeader {
    SegmentHeader { mode: PredictionMode::Hierarchical, window, uses_model, layer_factor: LAYER_FACTOR, ..base.clone() }
}

/// The lengths of hierarchical windows, the best of them without the model, and its bits.
struct Lengths {
    all: Vec<usize>,
    best: usize,
    least: f64,
}

/// Tries hierarchical windows without the model.
fn hierarchies<R: Kernel>(
    search: &mut Search<'_, R>,
    base: &SegmentHeader,
    count: usize,
    effort: Effort,
) -> Result<Lengths> {
    // The longest may be longer than the segment, which is then one window.
    let all: Vec<usize> = [4, 8, 16, 32].into_iter().filter(|&n| n < count || n == 32 && count > 17).collect();
    let mut lengths = Lengths { all, best: USUAL_LENGTH, least: f64::INFINITY };
    let so_far = search.best.as_ref().map_or(f64::INFINITY, |(bits, _)| *bits);
    // The usual length first; the others where it comes near what was found before.
    lengths.all.sort_by_key(|&n| (n != USUAL_LENGTH, n));
    for &window in &lengths.all {
        if lengths.least > so_far * HOPELESS && lengths.least.is_finite() && effort < Effort::High {
            break;
        }
        if let Some(Outcome { bits, .. }) = search.consider(hierarchical(base, window, false), ModelUse::Off, 0)?
            && bits < lengths.least
        {
            (lengths.least, lengths.best) = (bits, window);
        }
    }
    Ok(lengths)
}

/// Tries hierarchical windows with the interpolator; gives what their lengths come to, but for hopeless ones.
fn interpolated<T: Element, R: Kernel>(
    search: &mut Search<'_, R>,
    base: &SegmentHeader,
    lengths: Lengths,
    package: &Model,
    source: &Source<'_, T>,
    tools: &Tools<'_>,
    shared: &FieldContext<'_>,
) -> Result<Vec<(f64, Candidate)>> {
    let wider = match tools.options.fm {
        FmMode::Auto => search.sample.wider(source, shared),
        _ => None,
    };
    let sample = wider.as_ref().unwrap_or(search.sample);
    let grid = fm::grid(base.step);
    let interpolator = fm::interpolator(package, sample.layout.h, sample.layout.w, grid, None);
    let model = ModelUse::of(tools.options.fm, &*interpolator);
    let mut again = Search { sample, error: None, best: None, ..*search };
    let plain = match (&search.best, &wider) {
        (Some((bits, candidate)), Some(_)) => {
            let known = again.consider(candidate.header.clone(), ModelUse::Off, 0)?;
            known.map_or(1.0, |known| bits / known.bits)
        }
        (best, _) => {
            (again.error, again.best) = (search.error, best.clone());
            1.0
        }
    };
    let windows = match tools.options.effort {
        Effort::High => lengths.all,
        _ => vec![lengths.best],
    };
    // Enhancement may change what is best.
    let (layer_factor, rivals) = if again.exact && enhancing::<R>(package, tools, shared) {
        (LAYER_FACTOR_ENHANCED, HOPELESS)
    } else {
        (LAYER_FACTOR, 1.0)
    };
    let mut found = Vec::new();
    for window in windows {
        let header = SegmentHeader { layer_factor, ..hierarchical(base, window, true) };
        let Some(Outcome { bits, error }) = again.consider(header.clone(), model, 0)? else { continue };
        let best = again.best.as_ref().map_or(f64::INFINITY, |(best, _)| *best);
        if bits > best * rivals {
            continue;
        }
        let trial = SegmentHeader { mixing: false, uses_model: false, ..header.clone() };
        let without = sample.try_out(&trial, search.step, ModelUse::Off)?;
        let over_forecast = without.map_or(1.0, |without| over(error, without.coefficients));
        // In bits of the smaller sample, for what is still to be tried.
        found.push((bits * plain, Candidate { over_forecast, ..Candidate::plain(header) }));
    }
    search.best = again.best.map(|(bits, candidate)| (bits * plain, candidate));
    Ok(found)
}

/// Tries the autoencoder with each gain (at normal effort: the middle one, and where that comes near the coarsest).
fn latents<R: Kernel>(
    search: &mut Search<'_, R>,
    base: &SegmentHeader,
    package: &Model,
    tools: &Tools<'_>,
    shared: &FieldContext<'_>,
) -> Result<()> {
    let grid = fm::grid(base.step);
    let part = package.latents()?;
    let sample = search.sample;
    let (h, w) = (sample.layout.h, sample.layout.w);
    let window = part.frames;
    if sample.count < window {
        return Ok(());
    }
    let gains: Vec<usize> = match tools.options.effort {
        Effort::High => (0..part.gains.len()).collect(),
        _ => vec![part.gains.len() / 2, 0],
    };
    // At normal effort the middle window speaks for all.
    let windows = sample.count / window;
    let (first, count) = match tools.options.effort {
        Effort::High => (0, windows * window),
        _ => (windows / 2 * window, window),
    };
    let n = h * w;
    let so_far = search.best.as_ref().map_or(f64::INFINITY, |(bits, _)| *bits);
    let mut least = f64::INFINITY;
    for gain in gains {
        if least > so_far * HOPELESS && least.is_finite() && tools.options.effort < Effort::High {
            break;
        }
        let mut residual = sample.frames[first * n..][..count * n].to_vec();
        let mut bytes = 0;
        for frames in residual.chunks_exact_mut(window * n) {
            let coded = fm::encode_latents(package, frames, window, h, w, shared.normalisation, grid, gain)?;
            bytes += coded.bytes.len();
            for (v, p) in frames.iter_mut().zip(&coded.frames) {
                *v -= *p;
            }
        }
        let header = SegmentHeader { mode: PredictionMode::Latents, window, uses_model: true, ..base.clone() };
        let trial = search.trial(&header);
        let part = count as f64 / sample.count as f64;
        let left =
            Sample { frames: residual, count, layout: sample.layout.clone(), before: None, share: sample.share * part };
        let found = left.try_out(&trial, search.step, ModelUse::Off)?;
        let share = sample.count as f64 / count as f64;
        // Less error than asked for is no gain here: the latents cost the same at a coarser step, however little is left.
        let least_error = search.error.unwrap_or(0.0);
        let found = found.map(|found| TrialOutcome {
            bits: (found.bits + 8.0 * bytes as f64) * share,
            error: (found.error * share).max(least_error),
            coefficients: found.coefficients * share,
        });
        least = search.weigh(found, header, gain).map_or(least, |bits| bits.min(least));
    }
    Ok(())
}

struct Search<'a, R> {
    sample: &'a Sample<R>,
    step: f64,
    /// The error of the first trial: the one that all are compared at.
    error: Option<f64>,
    /// Bits fall with the squared error to about this power here.
    power: f64,
    /// Whether methods are tried just as they would be used.
    exact: bool,
    best: Option<(f64, Candidate)>,
}

/// A trial's outcome.
#[derive(Clone, Copy)]
struct Outcome {
    /// Bits at the common error.
    bits: f64,
    /// Squared error at the search's step.
    error: f64,
}

impl<R: Kernel> Search<'_, R> {
    /// The best so far, or `base` where nothing could be tried.
    fn chosen(&self, base: SegmentHeader) -> (f64, Candidate) {
        self.best.clone().unwrap_or_else(|| (f64::INFINITY, Candidate::plain(base)))
    }

    /// How a method is tried: at normal effort with the fast contexts, which rank methods nearly as the mixed ones do.
    fn trial(&self, header: &SegmentHeader) -> SegmentHeader {
        SegmentHeader { mixing: self.exact, ..header.clone() }
    }

    /// Tries a method, again at other steps while its error is not near the common one and it may be the best.
    fn consider(&mut self, header: SegmentHeader, model: ModelUse<'_>, gain: usize) -> Result<Option<Outcome>> {
        let trial = self.trial(&header);
        let first = self.sample.try_out(&trial, self.step, model)?;
        let near = if header.uses_model { ERROR_NEAR_MODEL } else { ERROR_NEAR };
        let (mut step, mut found, mut slope) = (self.step, first, STEP_POWER);
        for round in 0..AGAIN {
            let (Some(TrialOutcome { bits, error, .. }), Some(common)) = (found, self.error) else { break };
            let ratio = common / error.max(f64::MIN_POSITIVE);
            let hopeless = || {
                let best = self.best.as_ref().map_or(f64::INFINITY, |(bits, _)| *bits);
                bits * ratio.powf(-self.power) > best * NO_RIVAL
            };
            if (1.0 / near..near).contains(&ratio) || round > 0 && hopeless() {
                break;
            }
            let next = step * ratio.powf(1.0 / slope).clamp(0.5, 2.0);
            let again = self.sample.try_out(&trial, next, model)?;
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
        let bits = self.weigh(found, header, gain);
        Ok(bits.zip(first).map(|(bits, first)| Outcome { bits, error: first.error }))
    }

    fn weigh(&mut self, found: Option<TrialOutcome>, header: SegmentHeader, gain: usize) -> Option<f64> {
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

//! Mode decision: the prediction mode of a segment, its window length and its basis, tried on a sample of it.

use super::candidate::{Candidate, HOPELESS, over, untried};
use super::compare::{Compared, Comparison};
use super::refine::{Refinement, may_enhance};
use super::trial::{Sample, TrialOutcome};
use crate::codec::effort::{Breadth, EffortKnobs, EnhancedAt, NetworksPerSegment, SampleSize, TrialContexts};
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::frames::Frames;
use crate::codec::tools::Tools;
use crate::enhance::Network;
use crate::error::Result;
use crate::field::Element;
use crate::model::Model;
use crate::options::FmMode;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::basis::Basis;
use crate::residual::kernels::Kernel;
use crate::stream::{IndexCoder, PredictionMode, SegmentHeader};
use crate::window::Source;

/// Lengths of windows that are transformed as a whole, and of hierarchical ones.
const TRANSFORM_LENGTHS: [usize; 4] = [1, 8, 16, 32];
const HIERARCHY_LENGTHS: [usize; 4] = [4, 8, 16, 32];
/// The length of hierarchical windows that is tried first.
const USUAL_LENGTH: usize = 8;
/// One row in so many is looked at for a basis.
const BASIS_ROWS: usize = 4;
/// Factors from layer to layer, in 1/32 above 1; and for interpolated windows that may be enhanced, where candidates
/// are compared as they are enhanced: what corrects all layers alike makes errors that serve no other frame no cheaper.
const LAYER_FACTOR: u8 = 5;
const LAYER_FACTOR_ENHANCED: u8 = 0;
/// What the interpolator leaves of the bits of hierarchical windows, at the least.
const INTERPOLATED_LEAST: f64 = 0.7;

/// Decides how a segment is coded, at about the step that it will be coded with.
///
/// # Errors
/// What the model says.
pub(crate) fn choose<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    step: f64,
    tools: &Tools<'_>,
    context: &FieldContext<'_>,
) -> Result<Candidate> {
    let knobs = tools.knobs();
    let sample = &Sample::<R>::take(source, context, knobs.sample);
    let base = untried(source.segment, knobs.index_coder);
    let base = SegmentHeader { step: Step::at_most(step), ..base };
    let comparison = Comparison::new(step);
    let mut decision = Decision { source, tools, knobs, context, base, sample, comparison };
    let package = decision.package();
    let (fm_mode, count) = (tools.options.fm, source.segment.count);
    let of_volumes = source.segment.depth > 1;
    // Windows of a hierarchy would cut the blocks of the block bound.
    if fm_mode != FmMode::On || package.is_none() || of_volumes || context.block_bound() {
        decision.transforms()?;
    }
    let mut lengths = None;
    if count > 2 && !context.block_bound() && !of_volumes {
        lengths = Some(decision.hierarchies()?);
        if fm_mode == FmMode::On && package.is_some() {
            // The trials without the model were for the window's length alone.
            decision.comparison.best = None;
        }
    }
    match package {
        Some(package) => decision.with_model(package, lengths),
        None => Ok(decision.comparison.chosen(decision.base).1),
    }
}

/// The lengths of hierarchical windows, the best of them without the model, and its bits.
struct Lengths {
    all: Vec<usize>,
    best: usize,
    least: f64,
}

/// A segment's decision on its way.
struct Decision<'a, T, R> {
    source: &'a Source<'a, T>,
    tools: &'a Tools<'a>,
    knobs: &'static EffortKnobs,
    context: &'a FieldContext<'a>,
    /// What all headers have in common.
    base: SegmentHeader,
    sample: &'a Sample<R>,
    comparison: Comparison,
}

impl<'a, T: Element, R: Kernel> Decision<'a, T, R> {
    /// The model, where it may be used for this segment.
    fn package(&self) -> Option<&'a Model> {
        let may_run = self.tools.options.fm != FmMode::Off && fm::grid(self.base.step) >= fm::FINEST_GRID;
        self.context.package.filter(|_| may_run && fm::takes(self.source.segment.h, self.source.segment.w))
    }

    /// Tries a header on a sample without the model.
    fn consider(&mut self, header: SegmentHeader) -> Result<Option<Compared>> {
        let (trial, sample) = (self.trial(&header), self.sample);
        self.comparison.consider(header, |step| sample.try_out(&trial, step, ModelUse::Off))
    }

    /// The header that a header is tried with.
    fn trial(&self, header: &SegmentHeader) -> SegmentHeader {
        let coder = match self.knobs.trial_contexts {
            TrialContexts::Fast => IndexCoder::Counters,
            TrialContexts::Mixed => IndexCoder::Mixed,
        };
        SegmentHeader { coder, ..header.clone() }
    }

    fn hierarchical(&self, window: usize, uses_model: bool) -> SegmentHeader {
        let mode = PredictionMode::Hierarchical;
        SegmentHeader { mode, window, uses_model, layer_factor: LAYER_FACTOR, ..self.base.clone() }
    }

    /// Whether no more is to be tried beside trials that came to `least` bits where others came to `so_far`.
    fn is_hopeless(&self, least: f64, so_far: f64) -> bool {
        self.knobs.breadth == Breadth::Promising && least > so_far * HOPELESS && least.is_finite()
    }

    /// Tries windows without a hierarchy: their usual lengths, and a basis of the best one's own.
    fn transforms(&mut self) -> Result<()> {
        let segment = self.source.segment;
        let (count, blocks) = (segment.count / segment.depth, self.context.block_bound());
        // Windows of single frames would cut the blocks of the block bound.
        let fits = |window: usize| window < count && (window > 1 || !blocks) || window == 1 && count == 1;
        // A window of every frame there is, too, where the usual lengths do not reach.
        let mut lengths: Vec<usize> = TRANSFORM_LENGTHS.into_iter().filter(|&n| fits(n)).collect();
        if count > 1 && count < 32 {
            lengths.push(count);
        }
        lengths.retain(|&n| segment.depth == 1 || n <= segment.longest_window());
        for window in lengths {
            self.consider(SegmentHeader { window, ..self.base.clone() })?;
        }
        if let Some((_, best)) = &self.comparison.best
            && segment.depth == 1
            && let Some(basis) = basis::<T, R>(self.source, self.context, best.header.window)
        {
            let header = SegmentHeader { basis: Some(basis), ..best.header.clone() };
            self.consider(header)?;
        }
        Ok(())
    }

    /// Tries hierarchical windows without the model.
    fn hierarchies(&mut self) -> Result<Lengths> {
        let count = self.source.segment.count;
        // The longest may be longer than the segment, which is then one window.
        let all = HIERARCHY_LENGTHS.into_iter().filter(|&n| n < count || n == 32 && count > 17).collect();
        let mut lengths = Lengths { all, best: USUAL_LENGTH, least: f64::INFINITY };
        let so_far = self.comparison.least();
        // The usual length first; the others where it comes near what was found before.
        lengths.all.sort_by_key(|&n| (n != USUAL_LENGTH, n));
        for &window in &lengths.all {
            if self.is_hopeless(lengths.least, so_far) {
                break;
            }
            if let Some(Compared { bits, .. }) = self.consider(self.hierarchical(window, false))?
                && bits < lengths.least
            {
                (lengths.least, lengths.best) = (bits, window);
            }
        }
        Ok(lengths)
    }

    /// The best candidate, the model taking part where that pays.
    fn with_model(mut self, package: &Model, lengths: Option<Lengths>) -> Result<Candidate> {
        let (step, fm_mode) = (self.comparison.step, self.tools.options.fm);
        let enhancing = self.enhances(package);
        // Decoding has time for one of the two networks.
        let either = self.knobs.networks_per_segment == NetworksPerSegment::One && fm_mode == FmMode::Auto;
        let own_step = self.knobs.enhanced_at == EnhancedAt::OwnStep;
        let mut refinement = Refinement::new(self.sample, &self.comparison, package, self.tools);
        if let Some(best) = self.comparison.best.clone() {
            refinement.add(best, enhancing)?;
        }
        let mut candidates = Vec::new();
        if let Some(lengths) = lengths.filter(|_| package.has_interpolator()) {
            let hopeless = lengths.least * INTERPOLATED_LEAST > refinement.least();
            if !(either && hopeless) {
                candidates = self.interpolated(lengths, package)?;
            }
        }
        // Where that is one of them, they know its forecast better, and come first.
        candidates.extend(self.comparison.best.clone());
        let of_volumes = self.source.segment.depth > 1;
        if package.has_latents()
            && !of_volumes
            && !self.context.block_bound()
            && fm::grid(self.base.step) >= fm::FINEST_GRID_OF_LATENTS
        {
            self.latents(package)?;
        }
        candidates.push(self.comparison.chosen(self.base.clone()));
        if own_step {
            candidates.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        for candidate in candidates {
            let enhancing = enhancing && !(either && candidate.1.header.uses_model);
            refinement.add(candidate, enhancing)?;
        }
        // The step was set by the error of this.
        let usual = SegmentHeader { mode: PredictionMode::Transform, coder: IndexCoder::Counters, ..self.base };
        let wanted = if own_step && enhancing { self.sample.try_out(&usual, step, ModelUse::Off)? } else { None };
        let errors = self.comparison.error.zip(wanted).map(|(common, wanted)| [common, wanted.error]);
        refinement.best(errors.filter(|errors| errors.iter().all(|&error| error > 0.0)))
    }

    /// Whether frames may be enhanced.
    fn enhances(&self, package: &Model) -> bool {
        Network::of(package, self.knobs.networks).is_some() && may_enhance::<R>(self.context)
    }

    /// Tries hierarchical windows with the interpolator; gives the candidates of their lengths, but for hopeless ones.
    fn interpolated(&mut self, lengths: Lengths, package: &Model) -> Result<Vec<(f64, Candidate)>> {
        let fm_mode = self.tools.options.fm;
        let wider = match fm_mode {
            FmMode::Auto => self.sample.wider(self.source, self.context),
            _ => None,
        };
        let sample = wider.as_ref().unwrap_or(self.sample);
        let grid = fm::grid(self.base.step);
        let interpolator = fm::interpolator(package, sample.layout.h, sample.layout.w, grid, None);
        let model = ModelUse::of(fm_mode, &*interpolator);
        let mut again = Comparison { error: None, best: None, ..self.comparison.clone() };
        // Bits of the smaller sample over those of the wider one.
        let smaller = match (&self.comparison.best, &wider) {
            (Some((bits, candidate)), Some(_)) => {
                let trial = self.trial(&candidate.header);
                let try_at = |step| sample.try_out(&trial, step, ModelUse::Off);
                again.consider(candidate.header.clone(), try_at)?.map_or(1.0, |known| bits / known.bits)
            }
            (best, _) => {
                (again.error, again.best) = (self.comparison.error, best.clone());
                1.0
            }
        };
        let windows = match self.knobs.breadth {
            Breadth::All => lengths.all,
            Breadth::Promising => vec![lengths.best],
        };
        // Enhancement may change what is best.
        let (layer_factor, rivals) = if self.knobs.enhanced_at == EnhancedAt::OwnStep && self.enhances(package) {
            (LAYER_FACTOR_ENHANCED, HOPELESS)
        } else {
            (LAYER_FACTOR, 1.0)
        };
        let mut found = Vec::new();
        for window in windows {
            let header = SegmentHeader { layer_factor, ..self.hierarchical(window, true) };
            let trial = self.trial(&header);
            let compared = again.consider(header.clone(), |step| sample.try_out(&trial, step, model))?;
            let Some(Compared { bits, error }) = compared else { continue };
            if bits > again.least() * rivals {
                continue;
            }
            let trial = SegmentHeader { coder: IndexCoder::Counters, uses_model: false, ..header.clone() };
            let without = sample.try_out(&trial, self.comparison.step, ModelUse::Off)?;
            let over_forecast = without.map_or(1.0, |without| over(error, without.coefficients));
            // In bits of the smaller sample, for what is still to be tried.
            found.push((bits * smaller, Candidate { over_forecast, ..Candidate::plain(header) }));
        }
        self.comparison.best = again.best.map(|(bits, candidate)| (bits * smaller, candidate));
        Ok(found)
    }

    /// Tries the autoencoder with each gain (or with the middle one, and where that comes near with the coarsest).
    fn latents(&mut self, package: &Model) -> Result<()> {
        let part = package.latents()?;
        let sample = self.sample;
        let window = part.frames;
        if sample.count < window {
            return Ok(());
        }
        let gains: Vec<usize> = match self.knobs.breadth {
            Breadth::All => (0..part.gains.len()).collect(),
            Breadth::Promising => vec![part.gains.len() / 2, 0],
        };
        let windows = sample.count / window;
        let (first, count) = match self.knobs.sample {
            SampleSize::Whole => (0, windows * window),
            // The middle window speaks for all.
            SampleSize::Part => (windows / 2 * window, window),
        };
        let so_far = self.comparison.least();
        let mut least = f64::INFINITY;
        for gain in gains {
            if self.is_hopeless(least, so_far) {
                break;
            }
            let (residual, bytes) = self.latent_residual(window, first..first + count, gain)?;
            let header = SegmentHeader { mode: PredictionMode::Latents, window, uses_model: true, ..self.base.clone() };
            let trial = self.trial(&header);
            let part = count as f64 / sample.count as f64;
            let layout = sample.layout.clone();
            let left = Sample { frames: residual, count, layout, reference: None, share: sample.share * part };
            let found = left.try_out(&trial, self.comparison.step, ModelUse::Off)?;
            let share = sample.count as f64 / count as f64;
            // Less error than asked for is no gain here: the latents cost the same at a coarser step, however little is
            // left.
            let least_error = self.comparison.error.unwrap_or(0.0);
            let found = found.map(|found| TrialOutcome {
                bits: (found.bits + 8.0 * bytes as f64) * share,
                error: (found.error * share).max(least_error),
                coefficients: found.coefficients * share,
            });
            least = self.comparison.weigh(found, header, gain).map_or(least, |bits| bits.min(least));
        }
        Ok(())
    }

    /// What the autoencoder leaves of some frames of the sample, and the bytes of its latents.
    fn latent_residual(&self, window: usize, frames: std::ops::Range<usize>, gain: usize) -> Result<(Vec<R>, usize)> {
        let (h, w) = (self.sample.layout.h, self.sample.layout.w);
        let n = h * w;
        let autoencoder = self.context.autoencoder([h, w], self.base.step)?;
        let mut residual = self.sample.frames[frames.start * n..frames.end * n].to_vec();
        let mut bytes = 0;
        for frames in residual.chunks_exact_mut(window * n) {
            let coded = fm::encode_latents(autoencoder, frames, gain)?;
            bytes += coded.bytes.len();
            for (v, p) in frames.iter_mut().zip(&coded.frames) {
                *v -= *p;
            }
        }
        Ok((residual, bytes))
    }
}

/// The PCA basis of a segment's windows, from all of its frames and rows evenly spread over them: a corner of them has
/// a basis of its own, which costs more than it gains elsewhere (docs/design.md).
fn basis<T: Element, R: Kernel>(source: &Source<'_, T>, context: &FieldContext<'_>, window: usize) -> Option<Vec<i16>> {
    let segment = source.segment;
    let windows = segment.count / window;
    if windows == 0 || window < 2 {
        return None;
    }
    let mut thinned = *segment;
    thinned.h = segment.h.div_ceil(BASIS_ROWS);
    let mut placement = source.placement;
    placement.start += (segment.h - 1) % BASIS_ROWS / 2 * placement.strides[2];
    placement.strides[2] *= BASIS_ROWS;
    let thinned = Source { values: source.values, segment: &thinned, placement };
    let n = thinned.segment.h * thinned.segment.w;
    let mut frames = Frames::<R>::default();
    let mut moments = vec![0.0; window * window];
    for k in 0..windows {
        frames.load(&thinned, context, k * window, window);
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

//! Compressing a field: what kind of content it gets, and the stream of that.

use super::effort::{EffortKnobs, MadeWithoutModel};
use super::lossless::field::{lossless_sections, raw_section, repeats_sections};
use super::lossless::outlook::Outlook;
use super::passes::{Centred, PassResult, Passes};
use super::progress::Progress;
use super::rate::budget::Target;
use super::report::StageSeconds;
use super::segment::context::FieldContext;
use super::segment::reference::Reference;
use super::tools::Tools;
use crate::bound::Bound;
use crate::bound::check::{BLOCK, Errors};
use crate::error::{Error, Result};
use crate::field::{Axes, Element, FieldStats, FieldView, Normalisation, Specials, f32_suffices};
use crate::model::STREAM_HASH_BYTES;
use crate::options::{FmMode, Options, Sentinels};
use crate::stream::{Content, Header, ModelName, SectionKinds, SegmentBytes, assemble, is_closed_loop};
use crate::window::Cut;
use std::time::Instant;

/// A compressed field and what was found on the way.
pub(crate) struct Compressed {
    pub(crate) bytes: Vec<u8>,
    /// RMSE margin for device drift, in the field's units.
    pub(crate) drift: f64,
    /// Values that were found to mark points without data.
    pub(crate) sentinels: Vec<f64>,
    /// Mean of decoded less original values, in the field's units.
    pub(crate) mean_error: f64,
    pub(crate) stages: StageSeconds,
}

/// What the model has to leave of a stream's bytes, as samples tell, to be taken at its word at normal effort. Fields
/// that it gains less on are coded without it, too, as are those with holes or bounds on points, those of a few bytes,
/// and at the highest effort all: the smaller stream counts.
const SURE_GAIN: f64 = 0.96;
/// Streams of so few bytes are doubted, whatever samples tell: little of them is typical.
const FEW_BYTES: usize = 8192;
/// Streams longer than this share of the field are compared with lossless coding, whatever samples tell of that; and
/// others where it promises no more than so many times their bytes, and a few more.
const LOSSLESS_FROM: f64 = 0.4;
const LOSSLESS_DOUBT: f64 = 1.5;
const LOSSLESS_FEW: f64 = 512.0;

/// What there is beside a field.
#[derive(Default)]
pub(crate) struct Beside<'a> {
    /// The last frame of the field before it.
    pub(crate) reference: Option<&'a Reference>,
    /// A stream that competes with those that are made of it.
    pub(crate) rival: Option<Compressed>,
}

/// Compresses a field of type `T` and of these statistics.
pub(crate) fn compress<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    stats: FieldStats,
    bound: Bound,
    Beside { reference, rival }: Beside<'_>,
    tools: &Tools<'_>,
) -> Result<Compressed> {
    let mut stages = rival.as_ref().map_or_else(StageSeconds::default, |rival| rival.stages);
    let range = tools.options.range.unwrap_or(stats.range());
    let header = Header {
        dtype: T::DTYPE,
        shape: *field.shape(),
        axes: tools.options.axes,
        bound,
        nrmse: 0.0,
        max_abs_error: 0.0,
        range: if range.is_finite() { range } else { 0.0 },
        content: Content::Lossless(Specials::new()),
    };
    let segment = tools.options.segment;
    if let (Bound::BlockL2(_), Some(frames)) = (bound, segment)
        && usize::from(frames.get()) % BLOCK != 0
    {
        return Err(Error::invalid(format!(
            "segment={frames} would cut the blocks of {BLOCK} frames that block_l2 bounds; give a multiple of {BLOCK}"
        )));
    }
    axes_fit(tools.options.axes, bound)?;
    let cut = Cut::new(field.shape(), tools.options.axes, segment)?;
    if let Some(bits) = stats.uniform {
        let header = Header { content: Content::Constant(bits), ..header };
        let bytes = assemble(&header, &[]);
        return Ok(Compressed { bytes, drift: 0.0, sentinels: stats.sentinels, mean_error: 0.0, stages });
    }
    // Every value is encoded and checked.
    let progress = Progress::new(2 * field.shape().len());
    let asked = Asked { field, values, header, stats: &stats, cut: &cut, reference, progress: &progress };
    let without_model = |stages: &mut StageSeconds| {
        let options = Options { fm: FmMode::Off, ..tools.options.clone() };
        asked.segments(&Tools { options: &options, package: None, ..*tools }, stages)
    };
    let mut best = match asked.segments(tools, &mut stages) {
        // As on a GPU whose memory the simulation has taken.
        Err(error) if tools.options.fm.goes_without(&error) => {
            tracing::warn!(reason = error.message(), "fm=auto: the model fails, the field is coded without it");
            without_model(&mut stages)?
        }
        found => found?,
    };
    if let Some(found) = best.as_mut().filter(|found| asked.is_doubtful(found, tools.options)) {
        let _span = tracing::debug_span!("without_model").entered();
        if let Some(other) = without_model(&mut stages)?.filter(|other| other.bytes.len() < found.bytes.len()) {
            *found = other;
        }
    }
    let most = best.as_ref().map(|found| found.bytes.len()).or(rival.as_ref().map(|rival| rival.bytes.len()));
    let exact = asked.without_loss(most, tools, &mut stages)?;
    let (bytes, drift, mean_error) = match (exact, best, rival) {
        (Some(bytes), _, _) => (bytes, 0.0, 0.0),
        (None, Some(found), _) => {
            let found = if tools.keeps_mean { asked.about_its_mean(found, tools, &mut stages)? } else { found };
            (found.bytes, found.done.drift, found.done.errors.mean())
        }
        (None, None, Some(rival)) => (rival.bytes, rival.drift, rival.mean_error),
        (None, None, None) => return Err(Error::internal("lossless coding has no bytes for a field")),
    };
    Ok(Compressed { bytes, drift, sentinels: stats.sentinels, mean_error, stages })
}

/// Whether points are corrected in any of a field's sections, which are then clamped.
fn clamps(context: &FieldContext<'_>, sections: &[Vec<u8>]) -> bool {
    let corrects = |section: &Vec<u8>| {
        !is_closed_loop(section) && SegmentBytes::read(section).is_ok_and(|(_, parts)| !parts.corrections.is_empty())
    };
    context.pointwise().is_some() && sections.iter().any(corrects)
}

/// The finite values that mark points of a field without data.
fn masked<T: Element>(stats: &FieldStats, options: &Options) -> Specials {
    let mut masked = Specials::new();
    let known = stats.specials.iter().flat_map(|specials| specials.patterns().iter().copied());
    // Where there are too many for a mask, those with a name.
    let given: &[f64] = if let Sentinels::Given(values) = &options.sentinels { values } else { &[] };
    let named = options.fill_value.iter().chain(given).filter(|_| stats.specials.is_none()).chain(&stats.sentinels);
    for bits in known.chain(named.map(|&value| T::from_f64(value).to_bits_u64())) {
        if T::from_bits_u64(bits).to_f64().is_finite() {
            masked.add(bits);
        }
    }
    masked
}

/// Checks that a bound can be one of frames with these axes.
///
/// # Errors
/// `InvalidArgument` for blocks of volumes.
pub(super) fn axes_fit(axes: Option<Axes>, bound: Bound) -> Result<()> {
    if matches!(bound, Bound::BlockL2(_)) && axes.is_some_and(|axes| axes.planes.is_some()) {
        return Err(Error::invalid("block_l2 bounds blocks of frames that are planes; name three axes"));
    }
    Ok(())
}

/// What is to be compressed, and what is known of it.
struct Asked<'a, T> {
    field: &'a FieldView<'a>,
    values: &'a [T],
    /// The header, but for the content and the errors.
    header: Header,
    stats: &'a FieldStats,
    cut: &'a Cut,
    reference: Option<&'a Reference>,
    progress: &'a Progress,
}

/// A stream of segments, and what it was made of.
struct Segments {
    bytes: Vec<u8>,
    header: Header,
    done: PassResult,
    /// Bytes of its sections, and what they would be without the model, as samples tell; `None` where it is not used.
    model: Option<(usize, f64)>,
}

impl<T: Element> Asked<'_, T> {
    /// Whether the model may have made a stream larger than it would be without: samples err, and know nothing of
    /// corrections of points and of holes.
    fn is_doubtful(&self, found: &Segments, options: &Options) -> bool {
        let sampled = self.stats.valid == self.field.shape().len()
            && matches!(self.header.bound, Bound::Nrmse(_) | Bound::Psnr(_));
        let sure = |(with, without): (usize, f64)| sampled && with > FEW_BYTES && with as f64 <= SURE_GAIN * without;
        let all = EffortKnobs::of(options.effort).made_without_model == MadeWithoutModel::All;
        options.fm == FmMode::Auto && found.model.is_some_and(|model| all || !sure(model))
    }

    /// The stream of segments that meets the bound; `None` where there is none.
    fn segments(&self, tools: &Tools<'_>, stages: &mut StageSeconds) -> Result<Option<Segments>> {
        let Some(normalisation) = Normalisation::of(self.stats) else { return Ok(None) };
        let Some(passes) = self.passes(&normalisation, tools) else { return Ok(None) };
        let context = passes.context;
        let mut done = None;
        if f32_suffices(self.stats.range(), passes.target.size()) {
            done = passes.run::<f32>(stages)?;
        }
        let double = done.is_none();
        if double {
            done = passes.run::<f64>(stages)?;
        }
        let Some(done) = done else { return Ok(None) };
        let model = tools.package.filter(|_| done.uses_model).map(|package| ModelName {
            name: package.name().to_owned(),
            hash: package.hash()[..STREAM_HASH_BYTES].try_into().expect("a hash has 32 bytes"),
        });
        let closed = |section: &Vec<u8>| is_closed_loop(section);
        let content = Content::Segments {
            normalisation,
            specials: context.specials.clone(),
            double,
            // Closed-loop prediction has no use for a frame before.
            follows: context.reference.filter(|_| !done.sections.iter().all(closed)).map(Reference::name),
            segment: tools.options.segment,
            model,
            kinds: SectionKinds::of(&done.sections),
            clamped: clamps(&context, &done.sections),
        };
        let sizes = (done.sections.iter().map(Vec::len).sum(), done.without_model);
        let header = with_errors(Header { content, ..self.header.clone() }, &done.errors);
        let bytes = assemble(&header, &done.sections);
        let model = done.uses_model.then_some(sizes);
        Ok(Some(Segments { bytes, header, done, model }))
    }

    /// What passes over the segments work with; `None` where no step leads to the bound, or a mask has no room.
    fn passes<'p>(&'p self, normalisation: &'p Normalisation, tools: &'p Tools<'p>) -> Option<Passes<'p, T>> {
        let (stats, bound) = (self.stats, self.header.bound);
        let target = Target::new(bound, stats, tools.options.range.unwrap_or(stats.range()))?;
        // Corrections of blocks leave no room for other devices' floats.
        let reference =
            self.reference.filter(|reference| reference.drift == 0.0 || !matches!(bound, Bound::BlockL2(_)));
        let context = FieldContext {
            normalisation,
            specials: stats.specials.as_ref()?,
            clamped: true,
            bound,
            range: self.header.range,
            package: tools.package,
            reference,
            progress: Some(self.progress),
            memo: None,
        };
        Some(Passes {
            field: self.field,
            values: self.values,
            cut: self.cut,
            context,
            target,
            valid: stats.valid,
            tools,
        })
    }

    /// The same stream, about the mean with which decoded values have the field's.
    fn about_its_mean(&self, mut found: Segments, tools: &Tools<'_>, stages: &mut StageSeconds) -> Result<Segments> {
        let Content::Segments { normalisation, double, follows, kinds, clamped, .. } = &mut found.header.content else {
            return Ok(found);
        };
        let follows = follows.is_some();
        let known = *normalisation;
        let Some(passes) = self.passes(&known, tools) else { return Ok(found) };
        let centred = if *double {
            passes.centred::<f64>(&found.done, stages)?
        } else {
            passes.centred::<f32>(&found.done, stages)?
        };
        if let Some(Centred { mean, errors, sections }) = centred {
            (normalisation.mean, found.done.errors) = (mean, errors);
            if let Some(sections) = sections {
                *kinds = SectionKinds::of(&sections);
                *clamped = clamps(&passes.context, &sections);
                found.done.sections = sections;
            }
            if !follows {
                normalisation.reference_mean = mean;
            }
            found.header = with_errors(found.header, &found.done.errors);
            found.bytes = assemble(&found.header, &found.done.sections);
        }
        Ok(found)
    }

    /// The smallest stream from which all bits return, where it has fewer than `most` bytes.
    ///
    /// # Errors
    /// `Internal` where the check of the own output fails.
    fn without_loss(
        &self,
        most: Option<usize>,
        tools: &Tools<'_>,
        stages: &mut StageSeconds,
    ) -> Result<Option<Vec<u8>>> {
        let _span = tracing::debug_span!("lossless").entered();
        let begin = Instant::now();
        let (field, values, raw) = (self.field, self.values, self.field.byte_len());
        let masked = masked::<T>(self.stats, tools.options);
        let outlook = Outlook::of(field, values);
        let mut smallest = Smallest { header: &self.header, most: most.unwrap_or(usize::MAX), bytes: None };
        let limit = most.map_or(f64::INFINITY, |most| most as f64);
        let worth = |bytes: f64| bytes <= LOSSLESS_DOUBT * limit + LOSSLESS_FEW;
        if limit > LOSSLESS_FROM * raw as f64 || worth(outlook.plain) {
            let sections = lossless_sections(field, values, tools)?;
            if sections.iter().map(Vec::len).sum::<usize>() >= raw {
                smallest.offer(Content::Raw(masked.clone()), &[raw_section(field, values)]);
            } else {
                smallest.offer(Content::Lossless(masked.clone()), &sections);
            }
        }
        if outlook.repeats <= LOSSLESS_DOUBT * outlook.plain + LOSSLESS_FEW && worth(outlook.repeats) {
            smallest.offer(Content::Repeats(masked), &repeats_sections(field, values, tools)?);
        }
        stages.entropy += begin.elapsed().as_secs_f64();
        if let Some((content, sections)) = self.on_a_lattice(smallest.most, tools, stages)? {
            smallest.offer(content, &sections);
        }
        Ok(smallest.bytes)
    }

    /// Segments from which all bits return, where their values lie on lattices and that promises fewer than `most`
    /// bytes.
    fn on_a_lattice(
        &self,
        most: usize,
        tools: &Tools<'_>,
        stages: &mut StageSeconds,
    ) -> Result<Option<(Content, Vec<Vec<u8>>)>> {
        let normalisation = Normalisation::of(self.stats).or_else(|| Normalisation::of_constant(self.stats));
        let (Some(normalisation), Some(specials)) = (normalisation, &self.stats.specials) else {
            return Ok(None);
        };
        let context = FieldContext {
            normalisation: &normalisation,
            specials,
            clamped: false,
            bound: Bound::Lossless,
            range: self.header.range,
            package: None,
            reference: None,
            progress: None,
            memo: None,
        };
        let (field, values, cut, valid) = (self.field, self.values, self.cut, self.stats.valid);
        let passes = Passes { field, values, cut, context, target: Target::Pointwise(0.0), valid, tools };
        let sections = passes.exact(most as f64, stages)?;
        let content = Content::Segments {
            normalisation,
            specials: specials.clone(),
            double: false,
            follows: None,
            segment: tools.options.segment,
            model: None,
            kinds: SectionKinds { closed_loop: true, ..SectionKinds::default() },
            clamped: false,
        };
        Ok(sections.map(|sections| (content, sections)))
    }
}

/// A header that says these errors.
fn with_errors(header: Header, errors: &Errors) -> Header {
    let nrmse = if header.range > 0.0 { errors.nrmse(header.range) } else { 0.0 };
    Header { nrmse, max_abs_error: errors.largest, ..header }
}

/// The smallest stream offered so far.
struct Smallest<'a> {
    header: &'a Header,
    most: usize,
    bytes: Option<Vec<u8>>,
}

impl Smallest<'_> {
    /// Takes a stream without errors, if it is smaller.
    fn offer(&mut self, content: Content, sections: &[Vec<u8>]) {
        let bytes = assemble(&Header { nrmse: 0.0, max_abs_error: 0.0, content, ..self.header.clone() }, sections);
        if bytes.len() < self.most {
            self.most = bytes.len();
            self.bytes = Some(bytes);
        }
    }
}

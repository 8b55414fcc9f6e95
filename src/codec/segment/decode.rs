//! Decoding one segment: bytes to values in the caller's type, window by window.

use super::coefficients::CoefficientReader;
use super::context::FieldContext;
use super::corrections::Corrections;
use super::fingerprint::{Checked, fingerprint};
use super::low_resolution::LowResolution;
use super::state::{Buffers, SegmentState};
use super::units::{finish, finish_exact, in_units};
use crate::bound::{Bound, block, pointwise::PointwiseModel};
use crate::codec::report::StageSeconds;
use crate::enhance::{Enhanced, Enhancer, Queue};
use crate::entropy::Decoder;
use crate::error::{Error, Result};
use crate::field::{Element, MaskModel};
use crate::predict::hierarchical::ModelUse;
use crate::predict::{CodedWindow, Reconstruction, Synthesis, fm};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::{PredictionMode, SegmentBytes, SegmentHeader};
use crate::window::{Segment, Source};
use std::collections::VecDeque;
use std::time::Instant;

/// The part of a segment that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The first plane, and the one after the last: those of whole frames.
    pub(crate) from: usize,
    pub(crate) until: usize,
    /// How often rows and columns are halved, and planes of volumes.
    pub(crate) halvings: usize,
}

/// A decoded window: `values [count][h][w]` at the scale that was asked for.
pub(crate) struct DecodedWindow<'a, T> {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) values: &'a [T],
}

/// What a segment is decoded with: memory that was touched before, and where times are added.
pub(crate) struct Work<'a, R: Kernel> {
    pub(crate) stages: &'a mut StageSeconds,
    pub(crate) buffers: &'a mut Buffers<R>,
}

/// Decodes the windows of a segment up to the one that holds the part's last frame, and hands those that hold frames of
/// the part to `sink`.
///
/// # Errors
/// `Corrupt`, what the model says, or what `sink` says.
pub(crate) fn decode<T: Element, R: Kernel>(
    bytes: &[u8],
    segment: &Segment,
    context: FieldContext<'_>,
    part: Part,
    work: Work<'_, R>,
    mut sink: impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
) -> Result<()> {
    let (header, parts) = SegmentBytes::read(bytes)?;
    check(&header, segment, &context)?;
    let layout = segment.layout();
    let run = Run::<T, R>::new(segment, &header, &layout, context, parts, part)?;
    run_through(run, work, &mut sink).map(|_| ())
}

/// The corrections that a segment's points or blocks need where they are decoded in this context, in which they were not
/// corrected: the section, with these in place of its own; `None` where nothing will do.
///
/// # Errors
/// What the model says, and `Internal` where the section cannot be read.
pub(crate) fn corrected_anew<T: Element, R: Kernel>(
    bytes: &[u8],
    source: &Source<'_, T>,
    context: FieldContext<'_>,
    work: Work<'_, R>,
) -> Result<Option<Vec<u8>>> {
    let segment = source.segment;
    let (header, parts) = SegmentBytes::read(bytes)?;
    let layout = segment.layout();
    let whole = Part { from: 0, until: segment.count, halvings: 0 };
    let uncorrected = SegmentBytes { corrections: &bytes[..0], ..parts.clone() };
    let mut run = Run::<T, R>::new(segment, &header, &layout, context, uncorrected, whole)?;
    run.anew = Some(Corrections::new(source, context));
    let Some(corrections) = run_through(run, work, &mut |_| Ok(()))? else { return Ok(None) };
    let owned = SegmentBytes {
        side: parts.side.to_vec(),
        mask: parts.mask.to_vec(),
        latents: parts.latents.to_vec(),
        coefficients: parts.coefficients.to_vec(),
        corrections,
    };
    Ok(Some(owned.write(&header)))
}

/// Decodes the windows of a run; the corrections that it has made anew, where it was to.
///
/// # Errors
/// `Corrupt`, what the model says, or what `sink` says.
fn run_through<T: Element, R: Kernel>(
    mut run: Run<'_, T, R>,
    work: Work<'_, R>,
    sink: &mut impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
) -> Result<Option<Vec<u8>>> {
    let Work { stages, buffers } = work;
    let Run { segment, header, layout, context, part, .. } = run;
    let grid = fm::grid(header.step);
    let package = context.package.filter(|_| header.uses_model);
    let interpolator = package.map(|package| fm::interpolator(package, segment.h, segment.w, grid, context.memo));
    let model = match &interpolator {
        Some(interpolator) => ModelUse::Always(interpolator),
        None => ModelUse::Off,
    };
    let reference = context.reference_frame(segment);
    let mut coded = std::mem::take(&mut buffers.coded);
    let mut state =
        SegmentState::<R>::new(layout, header, model)?.within(std::mem::take(buffers)).after(reference.as_deref());
    // Enhanced frames depend on some before and after them.
    let ahead = run.queue.as_ref().map_or(0, Queue::context);
    let mut first = 0;
    for count in state.windows(segment.count) {
        if first >= part.until + ahead {
            break;
        }
        let begin = Instant::now();
        run.read(&mut state, &mut coded, count)?;
        stages.entropy += begin.elapsed().as_secs_f64();
        let window = Window { first, count, wanted: first + count + ahead > part.from };
        let decoded = run.reconstruct(&mut state, &coded, window, stages)?;
        run.hand_on(&decoded, window, stages, sink)?;
        state.advance(decoded);
        first += count;
        if let Some(progress) = context.progress {
            progress.add(count * layout.len());
        }
    }
    let anew = run.anew.take();
    if part.until >= segment.count {
        run.finish()?;
    }
    *buffers = state.into_buffers(coded);
    Ok(anew.map(Corrections::finish))
}

/// Reads a segment's codes to their ends, without making frames of them, and compares each window with what its encoder
/// had.
///
/// # Errors
/// `Corrupt` where anything differs.
pub(crate) fn verify<T: Element, R: Kernel>(
    bytes: &[u8],
    segment: &Segment,
    context: FieldContext<'_>,
    known: &Checked,
    buffers: &mut Buffers<R>,
) -> Result<()> {
    let (header, parts) = SegmentBytes::read(bytes)?;
    check(&header, segment, &context)?;
    if header != known.header {
        return Err(Error::corrupt("a segment's header is not what was encoded"));
    }
    let layout = segment.layout();
    let reference = context.reference_frame(segment);
    let mut coded = std::mem::take(&mut buffers.coded);
    let state = SegmentState::<R>::new(&layout, &header, ModelUse::Off)?;
    let mut state = state.within(std::mem::take(buffers)).after(reference.as_deref());
    let whole = Part { from: 0, until: segment.count, halvings: 0 };
    let mut run = Run::<T, R>::new(segment, &header, &layout, context, parts, whole)?;
    let counts = state.windows(segment.count);
    if counts.len() != known.windows.len() {
        return Err(Error::corrupt(format!("{} windows; expected {}", counts.len(), known.windows.len())));
    }
    for (index, (count, &window)) in counts.into_iter().zip(&known.windows).enumerate() {
        run.read(&mut state, &mut coded, count)?;
        if fingerprint(&coded, &run.classes) != window {
            return Err(Error::corrupt(format!("window {index} is not what was encoded")));
        }
        // Codes depend on how many planes a window has, and on what was read of it.
        state.advance(Reconstruction { count, ..Default::default() });
        if let Some(progress) = context.progress {
            progress.add(count * layout.len());
        }
    }
    run.finish()?;
    *buffers = state.into_buffers(coded);
    Ok(())
}

/// Whether a header can be decoded here.
fn check(header: &SegmentHeader, segment: &Segment, context: &FieldContext<'_>) -> Result<()> {
    if header.needs_model() && context.package.is_none() {
        return Err(Error::corrupt("a segment uses a model that the header does not name"));
    }
    let (h, w) = (segment.h, segment.w);
    if segment.depth > 1 {
        if header.mode != PredictionMode::Transform || header.uses_model || header.basis.is_some() {
            let mode = header.mode.name();
            return Err(Error::corrupt(format!(
                "volumes of the mode {mode}; expected transform, and the cosine basis"
            )));
        }
        if header.window.min(segment.count / segment.depth) > segment.longest_window() {
            return Err(Error::corrupt(format!("windows of {} volumes are too large", header.window)));
        }
    }
    if header.needs_model() && !fm::takes(h, w) {
        return Err(Error::corrupt(format!(
            "a segment uses a model on frames of {h} × {w}, which are too small for one"
        )));
    }
    Ok(())
}

/// A window on its way.
#[derive(Clone, Copy)]
struct Window {
    first: usize,
    count: usize,
    /// Whether it, or a frame that is enhanced with it, is asked for.
    wanted: bool,
}

/// A segment on its way from bytes to values.
struct Run<'a, T, R> {
    segment: &'a Segment,
    header: &'a SegmentHeader,
    layout: &'a Layout,
    context: FieldContext<'a>,
    part: Part,
    side_info: Decoder<'a>,
    coefficients: CoefficientReader<'a>,
    mask: Decoder<'a>,
    corrections: Decoder<'a>,
    latents: fm::LatentReader<'a>,
    // Made where they are needed: segments can be many and small.
    masks: Option<MaskModel>,
    pointwise: Option<PointwiseModel>,
    /// Whether corrections are applied. They run through all windows, and reduced scales have no use for them.
    corrected: bool,
    /// What points or blocks need is coded here, in place of being read.
    anew: Option<Corrections<'a, T>>,
    queue: Option<Queue<'a>>,
    /// The ends of the windows in the queue.
    ends: VecDeque<usize>,
    classes: Vec<u8>,
    values: Vec<T>,
    /// The window's frames, where they are not those of its reconstruction.
    copy: Vec<R>,
    copied: bool,
}

impl<'a, T: Element, R: Kernel> Run<'a, T, R> {
    fn new(
        segment: &'a Segment,
        header: &'a SegmentHeader,
        layout: &'a Layout,
        context: FieldContext<'a>,
        parts: SegmentBytes<&'a [u8]>,
        part: Part,
    ) -> Result<Self> {
        let queue = match (header.enhance, context.package) {
            (Some(how), Some(package)) if part.halvings == 0 => {
                let enhancer = Enhancer::new(package, segment.h, segment.w, how, fm::grid(header.step))?;
                let enhancer = enhancer.of_volumes(segment.depth).with(context.memo);
                let from = if parts.corrections.is_empty() { part.from } else { 0 };
                Some(Queue::new(enhancer, segment.count, layout.len(), from))
            }
            _ => None,
        };
        Ok(Self {
            segment,
            header,
            layout,
            context,
            part,
            side_info: Decoder::new(parts.side),
            coefficients: CoefficientReader::new(parts.coefficients, header.coder)?,
            mask: Decoder::new(parts.mask),
            corrections: Decoder::new(parts.corrections),
            latents: fm::LatentReader::new(parts.latents),
            masks: None,
            pointwise: None,
            corrected: part.halvings == 0 && !parts.corrections.is_empty(),
            anew: None,
            queue,
            ends: VecDeque::new(),
            classes: Vec::new(),
            values: Vec::new(),
            copy: Vec::new(),
            copied: false,
        })
    }

    /// Reads a window's mask, side information and indices.
    fn read(&mut self, state: &mut SegmentState<'_, R>, coded: &mut CodedWindow<R>, count: usize) -> Result<()> {
        let points = count * self.layout.len();
        let kinds = self.context.specials.patterns().len() as u8;
        if kinds > 0 {
            self.classes.resize(points, 0);
            let masks = self.masks.get_or_insert_with(MaskModel::new);
            masks.code(&mut self.mask, &mut self.classes, [count, self.segment.h, self.segment.w], kinds)?;
        }
        coded.count = count;
        coded.indices.clear();
        coded.indices.resize(points, R::Index::default());
        state.code_side(&mut self.side_info, coded)?;
        self.coefficients.read(state, coded)
    }

    /// Turns a window's indices into planes, and into frames where they are needed.
    fn reconstruct(
        &mut self,
        state: &mut SegmentState<'_, R>,
        coded: &CodedWindow<R>,
        window: Window,
        stages: &mut StageSeconds,
    ) -> Result<Reconstruction<R>> {
        let begin = Instant::now();
        let halvings = self.part.halvings;
        let low = LowResolution::new(self.layout, halvings);
        let frames = window.wanted && low.needs_frames() || self.corrected;
        let decoded = state.reconstruct(coded, if frames { Synthesis::Frames } else { Synthesis::Planes })?;
        let used = window.wanted || self.corrected;
        let latents = self.header.mode == PredictionMode::Latents;
        self.copied = used && (halvings > 0 || latents);
        match halvings {
            _ if !self.copied => {}
            0 => self.copy.clone_from(&decoded.frames),
            _ => {
                low.frames(state, &decoded, &mut self.copy);
                low.along_planes(&mut self.copy);
            }
        }
        stages.transform += begin.elapsed().as_secs_f64();
        if latents {
            let begin = Instant::now();
            let autoencoder = self.context.autoencoder([self.segment.h, self.segment.w], self.header.step)?;
            if used {
                self.latents.add(autoencoder, &mut self.copy, halvings)?;
            } else {
                self.latents.skip(autoencoder)?;
            }
            stages.model += begin.elapsed().as_secs_f64();
        }
        Ok(decoded)
    }

    /// Makes values of a window's frames, and hands to `sink` those that are wanted.
    fn hand_on(
        &mut self,
        decoded: &Reconstruction<R>,
        window: Window,
        stages: &mut StageSeconds,
        sink: &mut impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let begin = Instant::now();
        let copy = std::mem::take(&mut self.copy);
        let frames = if self.copied { &copy } else { &decoded.frames };
        if self.part.halvings > 0 {
            if window.wanted {
                self.scaled(frames, window, sink)?;
            }
        } else if self.queue.is_some() {
            self.enhanced(frames, window, stages, sink)?;
        } else if window.wanted || self.corrected {
            let classes = std::mem::take(&mut self.classes);
            self.corrected(frames, &classes, window, sink)?;
            self.classes = classes;
        }
        self.copy = copy;
        stages.field += begin.elapsed().as_secs_f64();
        Ok(())
    }

    fn scaled(
        &mut self,
        frames: &[R],
        window: Window,
        sink: &mut impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let low = LowResolution::new(self.layout, self.part.halvings);
        let classes = low.classes(&self.classes, window.count);
        finish(frames, &classes, self.context, &mut self.values);
        let count = self.values.len() / (low.h * low.w);
        sink(DecodedWindow { first: window.first, count, h: low.h, w: low.w, values: &self.values })
    }

    fn enhanced(
        &mut self,
        frames: &[R],
        window: Window,
        stages: &mut StageSeconds,
        sink: &mut impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
    ) -> Result<()> {
        // Corrections are of whole windows, and run through all.
        let by_windows = self.corrected || self.anew.is_some();
        let Some(mut queue) = self.queue.take() else { return Ok(()) };
        if window.wanted || by_windows {
            queue.push(frames, &self.classes);
            self.ends.push_back(window.first + window.count);
        } else {
            queue.skip(window.count);
        }
        loop {
            let until = match self.ends.front() {
                _ if !by_windows => self.part.until,
                Some(&end) if queue.reaches(end) => end,
                _ => break,
            };
            let begin = Instant::now();
            let enhanced = queue.pop(until)?;
            let seconds = begin.elapsed().as_secs_f64();
            stages.model += seconds;
            stages.field -= seconds;
            let Some(Enhanced { first, count, frames, classes }) = enhanced else { break };
            if by_windows {
                self.ends.pop_front();
            }
            let wanted = first < self.part.until && first + count > self.part.from;
            self.corrected(&frames, classes, Window { first, count, wanted }, sink)?;
            if !by_windows {
                break;
            }
        }
        self.queue = Some(queue);
        Ok(())
    }

    /// Makes values of frames, corrects them, and hands them to `sink` where they are wanted.
    fn corrected(
        &mut self,
        frames: &[R],
        classes: &[u8],
        Window { first, count, wanted }: Window,
        sink: &mut impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let (h, w) = (self.segment.h, self.segment.w);
        let context = self.context;
        if let Some(anew) = &mut self.anew {
            if !anew.window(frames, classes, first..first + count, self.header)? {
                self.anew = None;
            }
            return Ok(());
        }
        if let (Bound::BlockL2(tau), true) = (context.bound, self.corrected) {
            let mut exact = in_units(frames, context);
            let target = context.block_target::<T>(tau, self.header);
            if target.is_nan() || target <= 0.0 {
                return Err(Error::corrupt("blocks are corrected to a bound that their values cannot meet"));
            }
            block::decode(&mut self.corrections, &mut exact, [count, h, w], target)?;
            finish_exact(&exact, classes, context, &mut self.values);
        } else {
            finish(frames, classes, context, &mut self.values);
            if let (Some(epsilon), true) = (context.pointwise(), self.corrected) {
                let pointwise = self.pointwise.get_or_insert_with(|| PointwiseModel::new(h, w));
                pointwise.decode(&mut self.corrections, &mut self.values, epsilon, context.limits())?;
            }
        }
        if wanted { sink(DecodedWindow { first, count, h, w, values: &self.values }) } else { Ok(()) }
    }

    /// Checks that nothing is left after the last window.
    fn finish(self) -> Result<()> {
        self.side_info.finish()?;
        self.coefficients.finish()?;
        self.mask.finish()?;
        // Reduced scales have no use for corrections.
        if self.part.halvings == 0 {
            self.corrections.finish()?;
        }
        self.latents.finish()
    }
}
